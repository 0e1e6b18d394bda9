"""IndexedPlanes: finds the images of marks in the header index, which is filled as they ask."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import LesionSearchError
from retrieval.progress import ReportProgress
from retrieval.sources.marks.mark import ImageReference
from retrieval.sources.marks.planes import ImagePlane, PlaneIndex
from retrieval.sources.mining.header import ImageHeader
from retrieval.sources.mining.stores import HeaderStore, MarkStore

_HELD = 4
"""Frames of reference whose slices are held in memory at once."""


class SourceUnavailableError(LesionSearchError):
    """A source that cannot be asked now: no verdict is made of that, the next run goes on."""


class ImageProvider(Protocol):
    """Where images come from: a folder whose headers are indexed, or a PACS that is asked."""

    def find(self, image: ImageReference) -> None:
        """Puts the headers of the series or study that a reference names into the index.

        Called before an image is looked up; whoever has them there already does nothing.
        """
        ...

    def read(self, header: ImageHeader) -> Any:
        """The DICOM dataset of an image, with its pixels; raises LesionSearchError."""
        ...

    def attributes(self, header: ImageHeader) -> Any:
        """All that an image says but its pixels, its patient included; raises LesionSearchError."""
        ...


class MarkedSource(ImageProvider, Protocol):
    """Images with marks: a folder or a PACS."""

    def collect(
        self, index: HeaderStore, journal: MarkStore, progress: ReportProgress | None = None
    ) -> None:
        """Reads the marks of every carrier that is new, and what images are known without asking.

        Safe to be killed and called again.
        """
        ...


class IndexedPlanes:
    """The PlaneSource of the readers of marks, over a header index."""

    def __init__(self, index: HeaderStore, source: ImageProvider) -> None:
        self._index = index
        self._source = source
        self._held: OrderedDict[tuple[str, str], PlaneIndex] = OrderedDict()

    def header(self, image: ImageReference) -> ImageHeader | None:
        """The header of an image that a plane was found for."""
        return self._index.image(image.sop_uid, image.frame)

    def plane(self, image: ImageReference) -> ImagePlane | None:
        """The image of a reference by its instance UID, or by series and instance number."""
        self._source.find(image)
        if image.sop_uid:
            found = self._index.image(image.sop_uid, image.frame)
            return None if found is None else found.plane
        if image.instance_number is None:
            return None
        numbered = self._index.numbered(image)
        return numbered[0].plane if len(numbered) == 1 else None

    def at(
        self, frame_of_reference_uid: str, point_mm: NDArray[np.float64], image: ImageReference
    ) -> ImagePlane | None:
        """The slice that a patient point lies on, None off all slices."""
        self._source.find(image)
        uid = frame_of_reference_uid
        held = self._planes_of(("reference", uid) if uid else ("series", image.series_uid))
        return held.at(uid, point_mm, image)

    def _planes_of(self, key: tuple[str, str]) -> PlaneIndex:
        if key in self._held:
            self._held.move_to_end(key)
            return self._held[key]
        kind, uid = key
        index = self._index
        planes = PlaneIndex()
        for header in index.of_reference(uid) if kind == "reference" else index.of_series(uid):
            planes.add(header.plane)
        self._held[key] = planes
        while len(self._held) > _HELD:
            self._held.popitem(last=False)
        return planes
