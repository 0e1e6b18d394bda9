"""What a path holds of DICOM: the CT slices, and how many objects of which kind beside them."""

from __future__ import annotations

import os
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from retrieval.sources.dicom.elements import Elements, Known
from retrieval.sources.dicom.errors import DicomError
from retrieval.sources.dicom.file import read_dataset
from retrieval.sources.dicom.header import DicomPlane, ct_planes, planes_of
from retrieval.sources.dicom.objects import stray_kind
from retrieval.sources.dicom.sniffing import is_dicom

OTHER_FILE = "file of another kind"
_SHOWN = 3


@dataclass(frozen=True)
class DicomContents:
    """The slices of one file or of a folder with its folders, of however many series.

    Attributes:
        planes: every CT image and frame.
        left_out: what lies beside them, kind -> how many.
    """

    planes: tuple[DicomPlane, ...]
    left_out: Counter[str]

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out, as a sentence; empty where nothing was."""
        return (f"left out: {counted(self.left_out)}",) if self.left_out else ()


def read_contents(path: Path) -> DicomContents:
    """The DICOM of a file, or of a folder and the folders in it.

    Raises:
        DicomError: no CT slice there, or a damaged one.
    """
    if path.is_file():
        return DicomContents(tuple(planes_of(path.name, read_dataset(path))), Counter())
    planes: list[DicomPlane] = []
    left_out: Counter[str] = Counter()
    files = dicom_files(path, left_out)
    known: Known = {}
    for file in files:
        header = Elements(read_dataset(file, pixels_later=True), known)
        if (stray := stray_kind(header)) is not None:
            left_out[stray] += 1
        else:
            planes.extend(ct_planes(_name_in(path, file), header))
    if not planes:
        beside = f"; it holds {counted(left_out)}" if left_out else ""
        raise DicomError(
            f"{path.name} holds no CT slice as DICOM{beside}: give a file, or a folder with one "
            "series"
        )
    return DicomContents(tuple(planes), left_out)


def dicom_files(folder: Path, left_out: Counter[str]) -> list[Path]:
    """The DICOM files of a folder and its folders in the order of their names.

    Hidden files are passed over; others that are no DICOM are counted in ``left_out``.
    """
    found, folders = [], [str(folder)]
    while folders:
        with os.scandir(folders.pop()) as entries:
            for entry in entries:
                if entry.name.startswith("."):
                    continue
                if entry.is_dir(follow_symlinks=False):
                    folders.append(entry.path)
                elif entry.is_file():
                    if is_dicom(Path(entry.path)):
                        found.append(entry.path)
                    else:
                        left_out[OTHER_FILE] += 1
    return sorted(map(Path, found))


def counted(left_out: Counter[str]) -> str:
    """``2 scouts, 1 structured report``."""
    return ", ".join(
        f"{count} {kind if count == 1 else _plural(kind)}"
        for kind, count in sorted(left_out.items())
    )


def _plural(kind: str) -> str:
    if kind.startswith(("file of", "picture of")):
        first, _, rest = kind.partition(" ")
        return f"{first}s {rest}"
    if kind.startswith("CT object of"):
        return kind.replace("object", "objects", 1)
    return kind[:-1] + "ies" if kind.endswith("y") else kind + "s"


def _name_in(folder: Path, file: Path) -> str:
    """The file's name, with the folders that lead to it."""
    return file.relative_to(folder).as_posix()
