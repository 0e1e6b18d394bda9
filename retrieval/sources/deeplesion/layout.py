"""Where an archive's slices stand: as released, or in one of the ways in which they get unpacked.

Released as zips, DeepLesion ends up on disks as ``Images_png/Images_png/...`` as often as not, or
as key slices alone. What is unambiguous is read, and said; what is not says what to do.
"""

from __future__ import annotations

import os
import re
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from retrieval.sources.deeplesion import coding

KEY_SLICE_FOLDERS = ("Key_slices", "key_slices")
_SERIES = re.compile(r"\d{6}_\d{2,}_\d{2,}")
_KEY_SLICE = re.compile(r"\d{6}_\d{2,}_\d{2,}_\d{3,}\.png")
_BITS_AND_COLOUR = slice(24, 26)
_GREY_16 = bytes((16, 0))


@dataclass(frozen=True, slots=True)
class ImageLayout:
    """How the path of a slice is made.

    Attributes:
        folder: the folder that holds the series' folders, or the key slices themselves.
        is_flat: slices lie in it as ``000001_01_01_109.png``; otherwise in a folder a series.
        note: what is unusual about it, in a sentence; empty for the released layout.
        hint: what to do where a slice is missing; empty where there is nothing to add.
    """

    folder: Path
    is_flat: bool = False
    note: str = ""
    hint: str = ""

    def path(self, series_id: str, slice_index: int) -> Path:
        """Where the PNG of a slice stands, or would stand."""
        if self.is_flat:
            return self.folder / coding.table_file_name(series_id, slice_index)
        return self.folder / series_id / coding.slice_file_name(slice_index)

    def slices_there(self, series_id: str) -> set[str]:
        """The names of the files in a series' folder; all key slices' where they lie together."""
        folder = self.path(series_id, 0).parent
        return set(os.listdir(folder)) if folder.is_dir() else set()


def image_layout(root: Path) -> ImageLayout:
    """The layout of an archive's folder; no image is read, one header at most."""
    images = root / coding.IMAGE_FOLDER
    inner = images / coding.IMAGE_FOLDER
    if _holds_series(images):
        return ImageLayout(images)
    if _holds_series(inner):
        return ImageLayout(inner, note=f"the series lie in {_twice()}, which is read")
    for name in KEY_SLICE_FOLDERS:
        if (layout := _key_slices(root / name, images)) is not None:
            return layout
    return ImageLayout(images)


def table_of_series(folder: Path) -> Path | None:
    """The table of the archive in which a series' folder of PNGs lies; None outside of one."""
    images = folder.resolve().parent
    if images.name != coding.IMAGE_FOLDER:
        return None
    roots = [images.parent]
    if images.parent.name == coding.IMAGE_FOLDER:
        roots.append(images.parent.parent)
    tables = (root / coding.TABLE_NAME for root in roots)
    return next((table for table in tables if table.is_file()), None)


def _twice() -> str:
    return f"{coding.IMAGE_FOLDER}/{coding.IMAGE_FOLDER}"


def _key_slices(folder: Path, images: Path) -> ImageLayout | None:
    if not folder.is_dir():
        return None
    entries = sorted(entry.name for entry in islice(os.scandir(folder), 100))
    slices = [name for name in entries if _KEY_SLICE.fullmatch(name)]
    if not slices:
        return None
    with (folder / slices[0]).open("rb") as file:
        is_ct = file.read(26)[_BITS_AND_COLOUR] == _GREY_16
    if is_ct:
        note = f"only the key slices of {folder.name} are there: no slice has a neighbour"
        return ImageLayout(folder, is_flat=True, note=note)
    hint = (
        f"{folder.name} holds pictures to look at, without Hounsfield units: unpack the zips of "
        f"{coding.IMAGE_FOLDER} beside it"
    )
    return ImageLayout(images, note=hint, hint=hint)


def _holds_series(folder: Path) -> bool:
    if not folder.is_dir():
        return False
    with os.scandir(folder) as entries:
        return any(_SERIES.fullmatch(entry.name) for entry in islice(entries, 100))
