"""A series in a PACS as CT: ordered by position, and only the slices that are needed retrieved."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import BytesIO

import numpy as np
from pydicom.dataset import Dataset

from retrieval.image import Slab
from retrieval.sources.dicom.contents import counted
from retrieval.sources.dicom.errors import DicomError
from retrieval.sources.dicom.file import TAGS
from retrieval.sources.dicom.header import DicomPlane, plane_of
from retrieval.sources.dicom.objects import stray_kind
from retrieval.sources.dicom.parts import SeriesPart, chosen_part, parts_of
from retrieval.sources.dicom.placing import SAME_PLACE_MM
from retrieval.sources.dicom.series import grid_of, slab_of
from retrieval.sources.intensity.judgement import NotHounsfieldError
from service.decoding.limits import UploadError
from service.decoding.reading import UploadOptions
from service.pacs.client import InstanceEntry, PacsClient, SeriesEntry, StudyEntry
from service.pacs.errors import PacsError, PacsLimitError, UnknownReferenceError

BYTES_PER_PIXEL = 2
SAME_ORIENTATION = 1e-3


class PacsImageError(PacsError):
    """A series in the PACS that cannot be read as CT."""


@dataclass(frozen=True, slots=True)
class PacsReference:
    """Which image is meant: its series, and the key slice by UID or by position.

    ``study_uid`` is looked up where it is not given. ``key_slice_index`` counts the series'
    slices by position from 0, feet to head for a usual series; without it and ``sop_uid`` the
    middle slice is meant.
    """

    series_uid: str
    study_uid: str | None = None
    sop_uid: str | None = None
    key_slice_index: int | None = None


@dataclass(frozen=True)
class PacsSeries:
    """A CT series in order.

    Attributes:
        study: with the patient's id and the date.
        entry: the series as the PACS lists it.
        images: along the normal of the slices, those of other orientations left out.
        turned: how many images of other orientations, or without a position, were left out.
    """

    study: StudyEntry
    entry: SeriesEntry
    images: tuple[InstanceEntry, ...]
    turned: int = 0

    @property
    def notes(self) -> tuple[str, ...]:
        """What of the series is no slice of it, as a sentence; empty where nothing is."""
        if not self.turned:
            return ()
        images = "1 image" if self.turned == 1 else f"{self.turned} images"
        return (f"left out: {images} of another orientation, or without one",)

    @property
    def interval_mm(self) -> float:
        """The median distance of neighbouring slices; 0 for a single one."""
        gaps = np.diff([image.depth_mm for image in self.images])
        return float(np.median(gaps)) if len(gaps) else 0.0

    def position_of(self, reference: PacsReference) -> int:
        """The key slice's position; raises UnknownReferenceError or PacsImageError."""
        if reference.sop_uid is not None:
            for position, image in enumerate(self.images):
                if image.sop_uid == reference.sop_uid:
                    return position
            raise UnknownReferenceError("the series has no axial image of this SOP instance UID")
        count = len(self.images)
        position = count // 2 if reference.key_slice_index is None else reference.key_slice_index
        if not 0 <= position < count:
            raise PacsImageError(f"key slice {position} is not in the series: 0 to {count - 1}")
        return position

    def within(self, position: int, half_depth_mm: float) -> range:
        """Positions of the slices around one, its neighbours always among them."""
        depths = [image.depth_mm for image in self.images]
        # One slice beyond the depth, so that a plane at its very end lies between two slices.
        reach = half_depth_mm + self.interval_mm
        near = [p for p, depth in enumerate(depths) if abs(depth - depths[position]) <= reach]
        first = max(min(near[0], position - 1), 0)
        last = min(max(near[-1], position + 1), len(depths) - 1)
        return range(first, last + 1)


def find_series(pacs: PacsClient, reference: PacsReference) -> PacsSeries:
    """The series a reference names; raises PacsError."""
    entry = pacs.series(reference.series_uid, reference.study_uid)
    if entry.modality != "CT":
        raise PacsImageError(f"the series has the modality {entry.modality!r}: CT is read")
    return open_series(pacs, pacs.study(entry.study_uid), entry, key_uid=reference.sop_uid)


def open_series(
    pacs: PacsClient, study: StudyEntry, entry: SeriesEntry, *, key_uid: str | None = None
) -> PacsSeries:
    """A listed series with its images in order; raises PacsError.

    Images of another orientation than the key image's are left out: scouts often share a series.
    Without a key image the most common orientation is taken.
    """
    images = pacs.instances(entry)
    placed = [image for image in images if image.position and image.orientation]
    if not placed:
        raise PacsImageError("the PACS tells no position of the series' images: not axial CT")
    chosen = _of_one_orientation(placed, key_uid)
    ordered = tuple(sorted(chosen, key=lambda image: image.depth_mm))
    return PacsSeries(study, entry, ordered, len(images) - len(chosen))


def read_slab(
    pacs: PacsClient,
    series: PacsSeries,
    position: int,
    *,
    half_depth_mm: float,
    assume_hu: bool = False,
) -> Slab:
    """The slices within a depth of one of them, retrieved one by one.

    Its slices keep their numbers: their positions in the series. Of several acquisitions in one
    series that of the key slice is read; what is left out is counted in the slab's notes.

    Raises:
        PacsLimitError: they are more bytes than one query may take.
        PacsImageError: they cannot be read as CT in HU, or the key slice shows burned-in text.
        OtherInstanceError: the PACS brings other images, or another patient's.
        PacsError: the PACS cannot bring them.
    """
    wanted = series.within(position, half_depth_mm)
    _check_bytes(pacs, [series.images[place] for place in wanted])
    found = _Retrieved()
    for place in wanted:
        found.take(pacs, series, place, is_key=place == position)
    try:
        images, key, notes = found.of_key_slice(f"slice {position}")
        slab = _read(pacs, images, key, assume_hu=assume_hu)
    except (DicomError, NotHounsfieldError, UploadError) as wrong:
        raise PacsImageError(str(wrong)) from None
    notes = (*series.notes, *found.notes, *notes, *slab.notes)
    return replace(slab, grid=slab.grid.with_slices_from(position - key), notes=notes)


class _Retrieved:
    """The images that the PACS brought: CT slices by name, and what lies among them."""

    def __init__(self) -> None:
        self._images: dict[str, Dataset] = {}
        self._left_out: Counter[str] = Counter()

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, as a sentence; empty where nothing was."""
        return (f"left out: {counted(self._left_out)}",) if self._left_out else ()

    def take(self, pacs: PacsClient, series: PacsSeries, place: int, *, is_key: bool) -> None:
        """Retrieves one image; raises PacsImageError for a key slice that is no CT slice."""
        sop_uid, patient_id = series.images[place].sop_uid, series.study.patient_id
        dataset = pacs.retrieve(series.entry, sop_uid, patient_id=patient_id)
        stray = stray_kind(dataset)
        if stray is None:
            self._images[f"slice {place}"] = _geometry_and_pixels(dataset)
        elif is_key:
            raise PacsImageError(f"slice {place} is a {stray}: CT slices are read")
        else:
            self._left_out[stray] += 1

    def of_key_slice(self, key: str) -> tuple[list[tuple[str, Dataset]], int, tuple[str, ...]]:
        """The images of the key slice's acquisition in order, its place there, what to know."""
        planes = [plane_of(name, image) for name, image in self._images.items()]
        (at,) = (plane for plane in planes if plane.name == key)
        # Of two copies the other one may have stayed: it lies at the same place.
        part = max(parts_of(planes), key=lambda part: (_holds(part, at), _holds_place(part, at)))
        ordered = sorted(part.planes, key=lambda plane: plane.depth_mm)
        place = min(range(len(ordered)), key=lambda n: abs(ordered[n].depth_mm - at.depth_mm))
        others = len(planes) - len(ordered)
        notes = part.notes
        if others and not notes:
            notes = (f"left out: {others} images of another acquisition than the key slice's",)
        return [(plane.name, plane.dataset) for plane in ordered], place, notes


def _holds(part: SeriesPart, at: DicomPlane) -> bool:
    return any(plane is at for plane in part.planes)


def _holds_place(part: SeriesPart, at: DicomPlane) -> bool:
    return any(np.abs(plane.position - at.position).max() < SAME_PLACE_MM for plane in part.planes)


def _read(
    pacs: PacsClient, images: Sequence[tuple[str, Dataset]], key_slice: int, *, assume_hu: bool
) -> Slab:
    """The images as CT, decoded in another process where the client has one for it."""
    if pacs.decoders is None:
        part = chosen_part([plane_of(name, image) for name, image in images])
        return slab_of(grid_of(part, key_slice=key_slice), assume_hu=assume_hu)
    files = []
    for name, image in images:
        file = BytesIO()
        try:
            image.save_as(file, enforce_file_format=True)
        except (ValueError, LookupError, TypeError, AttributeError, NotImplementedError):
            raise PacsImageError(
                f"{name} is no whole DICOM instance: its SOP class, or another attribute that a "
                "file needs, is missing or of another kind"
            ) from None
        files.append(BytesIO(file.getvalue()))
    options = UploadOptions(key_slice_index=key_slice, assume_hu=assume_hu)
    return pacs.decoders.decode(files, options).slab


def _of_one_orientation(
    images: Sequence[InstanceEntry], key_uid: str | None
) -> list[InstanceEntry]:
    groups: list[list[InstanceEntry]] = []
    for image in images:
        for group in groups:
            if _turned_alike(group[0], image):
                group.append(image)
                break
        else:
            groups.append([image])
    for group in groups:
        if any(image.sop_uid == key_uid for image in group):
            return group
    return max(groups, key=len)


def _turned_alike(one: InstanceEntry, other: InstanceEntry) -> bool:
    assert one.orientation is not None
    assert other.orientation is not None
    return bool(np.allclose(one.orientation, other.orientation, atol=SAME_ORIENTATION))


def _check_bytes(pacs: PacsClient, images: Sequence[InstanceEntry]) -> None:
    size = sum(image.pixels for image in images) * BYTES_PER_PIXEL
    if len(images) > pacs.settings.max_instances or size > pacs.settings.max_mb << 20:
        raise PacsLimitError(
            f"{len(images)} slices of together {size >> 20} MB are needed: at most "
            f"{pacs.settings.max_instances} and {pacs.settings.max_mb} MB are taken"
        )


def _geometry_and_pixels(dataset: Dataset) -> Dataset:
    """Nothing of the patient goes further."""
    kept = Dataset()
    for keyword in TAGS:
        if keyword in dataset:
            kept[keyword] = dataset[keyword]
    kept.file_meta = dataset.file_meta
    kept.preamble = b"\0" * 128
    return kept
