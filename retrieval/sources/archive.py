"""What the rest of the product needs of an archive, whatever layout it is stored in.

A layout is one module with a class of the Protocol ``Layout``, named in ``_LAYOUTS``. Nothing
outside ``retrieval.sources`` asks which one it is.
"""

from __future__ import annotations

import importlib
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray

from retrieval.image import Slab
from retrieval.lesion import Box, ImageSource, Lesion, Recist
from retrieval.sources.errors import ArchiveError

if TYPE_CHECKING:
    from retrieval.progress import ReportProgress
    from retrieval.sources.archive_report import ArchiveReport

_LAYOUTS = ("retrieval.sources.deeplesion.stored:DeepLesionLayout",)
"""``module:class`` of every layout, tried in this order."""


NOISY_TAG = "possibly_noisy"
"""The tag of a lesion whose mark the archive's own table calls doubtful."""


class Archive(Protocol):
    """CT with a table of its lesions.

    ``track_ids`` (lesion id to track id) and ``attributes`` (lesion id to named numbers, such as
    a radiologist's ratings) are empty where the archive does not hold them.
    """

    @property
    def root(self) -> Path:
        """The archive's folder."""
        ...

    @property
    def lesions(self) -> Sequence[Lesion]:
        """Every sound lesion of the table, in its order."""
        ...

    @property
    def notes(self) -> Sequence[str]:
        """What is unusual about the archive and read all the same, a sentence each."""
        ...

    @property
    def problems(self) -> Sequence[object]:
        """Every row of its tables that is not used, each with the reason."""
        ...

    @property
    def track_ids(self) -> Mapping[str, str]:
        """The lesion track of each lesion, where it is known."""
        ...

    @property
    def attributes(self) -> Mapping[str, Mapping[str, float]]:
        """Named numbers of each lesion, where they are known."""
        ...

    def slab(self, lesion: Lesion, *, half_depth_mm: float) -> Slab:
        """The slices within ``half_depth_mm`` of the lesion's key slice; raises ArchiveError."""
        ...

    def recist(self, lesion: Lesion) -> Recist | None:
        """The lesion's RECIST mark on its key slice, where the table holds one."""
        ...

    def source(self, lesion: Lesion) -> ImageSource:
        """Where the lesion's pixels stand and their spacing."""
        ...

    def image_name(self, lesion: Lesion) -> str:
        """What the archive's own table calls the key slice: predictions name images by it."""
        ...

    def checksum(self) -> int:
        """CRC-32 of the table: whether two machines see the same archive."""
        ...


class StoredSeries(Protocol):
    """The slices on disk of one lesion's series, found without reading the archive's table."""

    @property
    def key_slice_index(self) -> int:
        """The series' own number of the lesion's key slice."""
        ...

    @property
    def feet_first(self) -> bool:
        """Whether the slices' numbers grow from the feet to the head."""
        ...

    @property
    def files(self) -> Mapping[int, Path]:
        """The file of each slice by the series' own number: the key slice and what follows on it.

        Slices beyond a gap in the numbers are left out.
        """
        ...

    def key_slice(self) -> NDArray[np.float32]:
        """The key slice (rows, columns) in HU; raises ArchiveError."""
        ...

    def read(self, slice_index: int) -> NDArray[np.float32]:
        """One of ``files`` (rows, columns) in HU; raises ArchiveError."""
        ...


class SeriesIds(NamedTuple):
    """The ids that the name of an archive's file carries."""

    patient_id: str
    study_id: str
    series_id: str


class Layout(Protocol):
    """A way in which archives are stored."""

    def recognises(self, path: Path) -> bool:
        """Whether the folder or table is an archive of this layout."""
        ...

    def accepted(self) -> str:
        """What such an archive consists of, for who gave something else."""
        ...

    def open(self, path: Path) -> Archive:
        """Reads the archive's tables; raises ArchiveError."""
        ...

    def holds(self, image: Path) -> bool:
        """Whether a key slice's file is of this layout, as far as its name tells."""
        ...

    def series(self, image: Path, key_slice_index: int) -> StoredSeries:
        """The series of a key slice's file."""
        ...

    def series_named(self, name: str) -> SeriesIds | None:
        """Whose slice a file is by its name; None for names of another kind."""
        ...

    def check(
        self, path: Path, *, read_images: bool, progress: ReportProgress | None
    ) -> ArchiveReport:
        """Checks every row of an archive, and every image; raises ArchiveError."""
        ...

    def numbered(self, slab: Slab) -> Slab:
        """A slab in the display grid under the numbers that the layout gives its slices."""
        ...

    def slice_files(self, slab: Slab, positions: range) -> dict[str, bytes]:
        """Slices of a numbered slab as the layout's files, by name; raises ArchiveError."""
        ...

    def slice_name(self, number: int) -> str:
        """The name of one of those files."""
        ...


def lesion_id_of(series_id: str, key_slice: int, box: Box) -> str:
    """``000001_01_01_109_x233_y100``: the key slice and the 0-based box centre, rounded.

    Made of the lesion's own content, so it does not change with the order of the table or with
    the rows around it.
    """
    # The table keeps six decimals: a centre on .5 must not fall to another side when read back.
    x, y = (math.floor(round(middle, 6) + 0.5) for middle in box.center)
    return f"{series_id}_{key_slice:03d}_x{x}_y{y}"


def open_archive(path: Path | str) -> Archive:
    """The archive in a folder, or of a table alone; no image is touched.

    Raises:
        ArchiveError: there is no archive of any known layout, or its table cannot be read.
    """
    return _layout_of(Path(path)).open(Path(path))


def check_archive(
    path: Path | str, *, read_images: bool = True, progress: ReportProgress | None = None
) -> ArchiveReport:
    """What is in an archive, and what is wrong with it; a bad row never stops the rest.

    Args:
        path: the archive's folder, or a table alone, of which only the rows are checked.
        read_images: decode each slice; otherwise files are only looked for.
        progress: called as slices are checked.

    Raises:
        ArchiveError: there is no archive of any known layout.
    """
    return _layout_of(Path(path)).check(Path(path), read_images=read_images, progress=progress)


def series_named(name: str) -> SeriesIds | None:
    """Whose slice a file is by its name, where the name is one that an archive gives."""
    found = (layout.series_named(name) for layout in _layouts())
    return next((ids for ids in found if ids is not None), None)


def own_layout() -> Layout:
    """The layout in which slices are kept that belong to no archive."""
    return _layouts()[0]


def stored_series(image: Path, key_slice_index: int) -> StoredSeries:
    """The series of an indexed lesion, by the file of its key slice.

    Raises:
        ArchiveError: the file is of no known layout.
    """
    for layout in _layouts():
        if layout.holds(image):
            return layout.series(image, key_slice_index)
    raise ArchiveError(f"{image.name} is a file of no known archive: index its archive again")


def _layout_of(path: Path) -> Layout:
    layouts = _layouts()
    for layout in layouts:
        if layout.recognises(path):
            return layout
    accepted = ", or ".join(layout.accepted() for layout in layouts)
    raise ArchiveError(f"{path} is no archive: {accepted} is needed")


def _layouts() -> list[Layout]:
    found = []
    for name in _LAYOUTS:
        module, _, layout = name.partition(":")
        found.append(cast(Layout, getattr(importlib.import_module(module), layout)()))
    return found
