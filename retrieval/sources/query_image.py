"""Opens whatever a user points at as CT: PNG slices, DICOM or a volume, decided by content."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, replace
from enum import StrEnum
from functools import lru_cache
from pathlib import Path

import numpy as np

from retrieval.grid import GridMap
from retrieval.image import CTError, Slab
from retrieval.sources.deeplesion.layout import table_of_series
from retrieval.sources.deeplesion.png import read_deeplesion_png
from retrieval.sources.deeplesion.table import read_lesion_table
from retrieval.sources.dicom.sniffing import is_dicom, is_dicom_head
from retrieval.sources.grey_picture import (
    ASSUMED_WINDOW,
    is_grey_picture,
    read_grey_picture,
)
from retrieval.sources.intensity.judgement import require_hu
from retrieval.sources.volumes.reading import (
    VolumeKind,
    header_of,
    refuse_analyze,
    volume_kind,
    volume_slab,
)

SpacingMm = tuple[float, float, float]
"""Millimetres along x, along y and from slice to slice."""

ACCEPTED = (
    "a 16-bit PNG holding HU + 32768, a folder of them, a DICOM file, a folder of one DICOM "
    "series, or a volume as NIfTI, NRRD or MetaImage"
)
NEIGHBOUR_DEPTH_MM = 10.0
"""PNG neighbours are read this far from the key slice; decoding them is what takes the time."""

_SNIFFED_BYTES = 132


class QueryImageError(CTError):
    """A query image of no known kind, or one whose geometry is not known."""


class ImageKind(StrEnum):
    """What a file is by its first bytes."""

    PNG = "PNG"
    DICOM = "DICOM"
    NIFTI = VolumeKind.NIFTI.value
    NRRD = VolumeKind.NRRD.value
    META_IMAGE = VolumeKind.META_IMAGE.value
    UNKNOWN = "unknown"

    @property
    def is_volume(self) -> bool:
        """Whether one file, or a header with its data file, holds the whole image."""
        return self in {ImageKind.NIFTI, ImageKind.NRRD, ImageKind.META_IMAGE}


def open_query_image(
    path: Path,
    *,
    key_slice_index: int | None = None,
    spacing_mm: SpacingMm | None = None,
    half_depth_mm: float = NEIGHBOUR_DEPTH_MM,
    series: str | None = None,
    assume_hu: bool = False,
) -> Slab:
    """CT from a file or a folder.

    Args:
        path: a 16-bit PNG in DeepLesion's coding, a folder of them, a DICOM file, a folder with
            DICOM in it or in its folders, or a volume (NIfTI, NRRD, MetaImage; of a pair either
            file); file names decide nothing but a PNG's number and which data file belongs to a
            header.
        key_slice_index: for a folder of PNGs the number in the file's name, for DICOM the
            position among the sorted slices from 0, for volumes the file's own index; the default
            is the middle. A PNG file is its own key slice.
        spacing_mm: of PNGs, which carry none. Not needed where the PNG lies in an archive whose
            table has its series; refused for others, which say it themselves.
        half_depth_mm: how far from the key slice PNG neighbours are read.
        series: which one of several DICOM series: its number in the list that the error shows, or
            its UID.
        assume_hu: the values are HU, whatever header and histogram say: noted, not refused; an
            8-bit grey PNG is taken for a picture under the soft-tissue window.

    Raises:
        QueryImageError: nothing there, no known kind, or no spacing.
        NotHounsfieldError: the values are no HU.
        CTError, ArchiveError: of that kind, but not readable as CT.
    """
    asked = _Asked(key_slice_index, spacing_mm, half_depth_mm, series, assume_hu)
    if path.is_dir():
        return _open_folder(path, asked)
    if not path.is_file():
        raise QueryImageError(f"{path} does not exist: give {ACCEPTED}")
    kind = kind_of(path)
    if kind is ImageKind.UNKNOWN and (header := header_of(path)) is not None:
        path, kind = header, kind_of(header)
    if kind is ImageKind.PNG:
        return _open_png(path, asked)
    return _open_volume(kind, path, asked)


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a user says of an image."""

    key_slice_index: int | None
    spacing_mm: SpacingMm | None
    half_depth_mm: float
    series: str | None
    assume_hu: bool


def kind_of(path: Path) -> ImageKind:
    """What a file is by its content, whatever its name."""
    with path.open("rb") as file:
        head = file.read(_SNIFFED_BYTES)
    if head.startswith(b"\x89PNG\r\n\x1a\n"):
        return ImageKind.PNG
    if is_dicom_head(head):
        return ImageKind.DICOM
    volume = volume_kind(path)
    return ImageKind.UNKNOWN if volume is None else ImageKind(volume.value)


def _open_folder(folder: Path, asked: _Asked) -> Slab:
    visible = [p for p in sorted(folder.iterdir()) if p.is_file() and not p.name.startswith(".")]
    files: dict[ImageKind, list[Path]] = {}
    for file in visible:
        files.setdefault(kind_of(file), []).append(file)
    files.pop(ImageKind.UNKNOWN, None)
    if not files and _holds_dicom(folder):
        return _open_volume(ImageKind.DICOM, folder, asked)
    if not files:
        what = "is empty" if not visible else f"holds {len(visible)} files, none of them CT"
        raise QueryImageError(f"folder {folder} {what}: give {ACCEPTED}")
    if len(files) > 1:
        found = ", ".join(f"{len(paths)} {kind}" for kind, paths in files.items())
        raise QueryImageError(f"folder {folder} mixes kinds ({found}): give one of them alone")
    kind, paths = next(iter(files.items()))
    if kind is ImageKind.PNG:
        numbered = _numbered(paths)
        key = _key_number(numbered, asked.key_slice_index, folder)
        return _slab_of_pngs(numbered, key, asked, _archive_spacing(folder))
    if kind.is_volume and len(paths) > 1:
        raise QueryImageError(f"folder {folder} holds {len(paths)} {kind} files: give one file")
    return _open_volume(kind, folder if kind is ImageKind.DICOM else paths[0], asked)


def _holds_dicom(folder: Path) -> bool:
    """Whether there is DICOM in the folders of a folder."""
    return any(file.is_file() and is_dicom(file) for file in sorted(folder.rglob("*")))


def _open_volume(kind: ImageKind, path: Path, asked: _Asked) -> Slab:
    if asked.spacing_mm is not None and kind is not ImageKind.UNKNOWN:
        raise QueryImageError(f"{path} is {kind} and says its spacing itself: leave it out")
    key, assume_hu = asked.key_slice_index, asked.assume_hu
    if kind is ImageKind.DICOM:
        from retrieval.sources.dicom.series import read_dicom

        return read_dicom(path, key_slice=key, series=asked.series, assume_hu=assume_hu)
    if kind is ImageKind.UNKNOWN:
        refuse_analyze(path)
        raise QueryImageError(f"{path} is of no kind that is read: give {ACCEPTED}")
    if asked.series is not None:
        raise QueryImageError(f"{path} is {kind} and holds one series: leave the series out")
    return volume_slab(path, key_slice=key, assume_hu=assume_hu)


def _open_png(path: Path, asked: _Asked) -> Slab:
    """One PNG: with its neighbours if it lies in an archive, alone otherwise."""
    if asked.assume_hu and is_grey_picture(path):
        return _open_grey_picture(path, asked)
    archived = _archive_spacing(path.parent)
    if archived is None:
        number = _number(path) if asked.key_slice_index is None else asked.key_slice_index
        return _slab_of_pngs({number or 0: path}, number or 0, asked, None)
    siblings = [file for file in path.parent.glob("*.png") if file.is_file()]
    numbered = _numbered(siblings)
    key = next(number for number, file in numbered.items() if file.name == path.name)
    if asked.key_slice_index not in (None, key):
        raise QueryImageError(
            f"{path} is slice {key}, not {asked.key_slice_index}: give one of the two"
        )
    return _slab_of_pngs(numbered, key, asked, archived)


def _open_grey_picture(path: Path, asked: _Asked) -> Slab:
    """An 8-bit picture, taken for HU under the soft-tissue window on the user's word alone."""
    if asked.spacing_mm is None:
        raise QueryImageError(
            f"{path.name} is an 8-bit picture and says nothing of its size in mm: give the spacing "
            "as x,y,interval in mm"
        )
    slab = read_grey_picture(path, asked.spacing_mm[:2])
    low, high = ASSUMED_WINDOW
    window = f"its window is assumed to be {low:g} to {high:g} HU"
    note = f"{path.name} has no Hounsfield units: {window}"
    return require_hu(replace(slab, notes=(note,)), path.name, assume_hu=True)


def _slab_of_pngs(
    numbered: dict[int, Path], key: int, asked: _Asked, archived_mm: SpacingMm | None
) -> Slab:
    """The key slice with those neighbours whose numbers follow on without a gap."""
    spacing_mm = asked.spacing_mm or archived_mm
    if spacing_mm is None:
        raise QueryImageError(
            f"{numbered[key].name} is a PNG and says nothing of its size in mm: give the spacing "
            "as x,y,interval in mm"
        )
    if not all(math.isfinite(length) and length > 0 for length in spacing_mm):
        raise QueryImageError(f"spacing {list(spacing_mm)} mm: three numbers above 0 are needed")
    reach = math.ceil(asked.half_depth_mm / spacing_mm[2])
    first = last = key
    while first - 1 in numbered and key - first < reach:
        first -= 1
    while last + 1 in numbered and last - key < reach:
        last += 1
    key_hu = read_deeplesion_png(numbered[key])
    rows, columns = key_hu.shape
    planes = [
        key_hu
        if number == key
        else read_deeplesion_png(numbered[number], image_size=(rows, columns))
        for number in range(last, first - 1, -1)
    ]
    grid = GridMap.from_last_slice(last)
    slab = Slab(np.stack(planes), spacing_mm[:2], spacing_mm[2], last - key, grid)
    return require_hu(slab, numbered[key].name, assume_hu=asked.assume_hu)


def _numbered(paths: list[Path]) -> dict[int, Path]:
    numbered: dict[int, Path] = {}
    for path in sorted(paths):
        number = _number(path)
        if number is None:
            raise QueryImageError(f"{path.name} has no slice number: name slices as 109.png")
        if number in numbered:
            raise QueryImageError(
                f"{numbered[number].name} and {path.name} are both slice {number}"
            )
        numbered[number] = path
    return numbered


def _number(path: Path) -> int | None:
    """The digits that end the name: 109 of ``109.png`` and of ``000001_01_01_109.png``."""
    digits = re.search(r"(?<!\d)(\d++)$", path.stem)
    return int(digits.group(1)) if digits else None


def _key_number(numbered: dict[int, Path], asked: int | None, folder: Path) -> int:
    numbers = sorted(numbered)
    if asked is not None:
        if asked not in numbered:
            raise QueryImageError(
                f"slice {asked} is not in {folder}: its {len(numbers)} slices are numbered "
                f"{numbers[0]} to {numbers[-1]}"
            )
        return asked
    if numbers[-1] - numbers[0] + 1 != len(numbers):
        raise QueryImageError(
            f"{folder} holds {len(numbers)} slices between {numbers[0]} and {numbers[-1]}, some "
            "are missing and the middle is not clear: name the key slice"
        )
    return numbers[len(numbers) // 2]


def _archive_spacing(folder: Path) -> SpacingMm | None:
    """The spacing that the archive's table states for a folder of its PNGs."""
    table = table_of_series(folder)
    if table is None:
        return None
    return _spacing_by_series(table, table.stat().st_mtime_ns).get(folder.resolve().name)


@lru_cache(maxsize=4)
def _spacing_by_series(table: Path, changed_ns: int) -> dict[str, SpacingMm]:  # noqa: ARG001
    """Read again only when the table has changed: 32,735 rows take seconds, a query must not."""
    return {
        row.lesion.series_id: (*row.spacing_mm_px, row.slice_interval_mm)
        for row in read_lesion_table(table).rows
    }
