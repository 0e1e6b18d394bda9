"""What lies in a folder of images and in a folder of masks, told by content."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import InvalidDicomError
from pydicom.uid import RTStructureSetStorage, SegmentationStorage

from retrieval.image import CTError
from retrieval.sources.importers.source import ImporterError
from retrieval.sources.volumes.reading import volume_kind

LABEL_MAP_STORAGE = "1.2.840.10008.5.1.4.1.1.66.7"
MASK_CLASSES = {str(SegmentationStorage), LABEL_MAP_STORAGE, str(RTStructureSetStorage)}
_TAGS = [
    "SOPClassUID",
    "Modality",
    "SeriesInstanceUID",
    "StudyInstanceUID",
    "PatientID",
    "ReferencedSeriesSequence",
    "ReferencedFrameOfReferenceSequence",
]


@dataclass(frozen=True)
class FoundImage:
    """A CT: a volume file, or the files of one DICOM series.

    Attributes:
        name: its path below the folder that was given, for messages and for pairing.
        files: one volume, or every file of the series.
        series_uid, study_uid, patient: DICOM's, to tell images apart; never shown or stored.
    """

    name: Path
    files: tuple[Path, ...]
    series_uid: str = ""
    study_uid: str = ""
    patient: str = ""


@dataclass(frozen=True)
class FoundMask:
    """A mask: a volume file, or a DICOM SEG or RTSTRUCT with the series it refers to."""

    name: Path
    file: Path
    sop_class: str = ""
    series_uids: frozenset[str] = field(default_factory=frozenset)


def find_images(source: Path, reached: Callable[[Path], None]) -> list[FoundImage]:
    """Every volume and every CT series below a folder, or the one file given; raises ImporterError.

    ``reached`` hears of each file that is neither.
    """
    images: list[FoundImage] = []
    series: dict[tuple[Path, str], list[tuple[Path, Any]]] = {}
    for name, file in _files(source):
        dataset = _dicom(file)
        if dataset is not None and str(dataset.get("Modality", "")) == "CT":
            uid = str(dataset.get("SeriesInstanceUID", ""))
            series.setdefault((name.parent, uid), []).append((file, dataset))
        elif dataset is None and _is_volume(file):
            images.append(FoundImage(name, (file,)))
        else:
            reached(name)
    of_folder = [folder for folder, _ in series]
    for (folder, uid), members in sorted(series.items()):
        first = members[0][1]
        alone = of_folder.count(folder) == 1
        name = folder if alone and str(folder) != "." else folder / members[0][0].name
        files = tuple(file for file, _ in members)
        study, patient = (str(first.get(key, "")) for key in ("StudyInstanceUID", "PatientID"))
        images.append(FoundImage(name, files, uid, study, patient))
    return sorted(images, key=lambda image: image.name)


def find_masks(source: Path, reached: Callable[[Path], None]) -> list[FoundMask]:
    """Every volume, SEG and RTSTRUCT below a folder, or one file; raises ImporterError."""
    masks: list[FoundMask] = []
    for name, file in _files(source):
        dataset = _dicom(file)
        sop_class = "" if dataset is None else str(dataset.get("SOPClassUID", ""))
        if sop_class in MASK_CLASSES:
            masks.append(FoundMask(name, file, sop_class, _referenced(dataset)))
        elif dataset is None and _is_volume(file):
            masks.append(FoundMask(name, file))
        elif dataset is None or str(dataset.get("Modality", "")) != "CT":
            reached(name)
    return sorted(masks, key=lambda mask: mask.name)


def _files(source: Path) -> Iterator[tuple[Path, Path]]:
    if source.is_file():
        yield Path(source.name), source
        return
    if not source.is_dir():
        raise ImporterError(f"{source} does not exist: give a file or a folder")
    for file in sorted(source.rglob("*")):
        name = file.relative_to(source)
        if file.is_file() and not any(part.startswith(".") for part in name.parts):
            yield name, file


def _is_volume(file: Path) -> bool:
    try:
        return volume_kind(file) is not None
    except CTError:
        return False


def _dicom(file: Path) -> Any:
    """The header of a DICOM file with a preamble; None for anything else."""
    with file.open("rb") as opened:
        if opened.read(132)[128:] != b"DICM":
            return None
    try:
        return pydicom.dcmread(file, specific_tags=list(_TAGS), stop_before_pixels=True)
    except (InvalidDicomError, OSError, EOFError, ValueError, KeyError, AttributeError):
        return None


def _referenced(dataset: Any) -> frozenset[str]:
    uids = {str(item.get("SeriesInstanceUID", "")) for item in _items(dataset, "ReferencedSeries")}
    for frame in _items(dataset, "ReferencedFrameOfReference"):
        for study in _items(frame, "RTReferencedStudy"):
            uids |= {
                str(item.get("SeriesInstanceUID", ""))
                for item in _items(study, "RTReferencedSeries")
            }
    return frozenset(uids - {""})


def _items(dataset: Any, sequence: str) -> list[Any]:
    return list(dataset.get(f"{sequence}Sequence", None) or [])
