"""A folder of DICOM files without its patients: file by file, resumable, every verdict told."""

from __future__ import annotations

import os
import warnings
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import InvalidDicomError

from retrieval.lesion import LesionSearchError
from service.deid.image import (
    Deidentified,
    DeidentifyError,
    deidentify,
    patient_id_of,
)
from service.deid.pseudonyms import PseudonymError, PseudonymKey

_NAMING = ["PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID"]
_UNREADABLE = (
    InvalidDicomError,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    AttributeError,
    TypeError,
)


class DeidentifyFolderError(LesionSearchError):
    """Folders that cannot be source and target."""


class Outcome(StrEnum):
    """What became of a file."""

    WRITTEN = "written"
    THERE = "there already"
    REFUSED = "refused"
    NOT_DICOM = "not DICOM"


@dataclass(frozen=True)
class FileVerdict:
    """One file: what became of it and why.

    ``source`` is the path below the source folder: it may name the patient, so a report stays
    with whoever holds the source. ``output`` is the path below the target.
    """

    source: str
    verdict: Outcome
    output: str | None = None
    kept: tuple[str, ...] = ()
    dropped: Mapping[str, int] = field(default_factory=dict)
    flags: tuple[str, ...] = ()
    reason: str | None = None

    def to_json(self) -> dict[str, Any]:
        """One line of the report."""
        return {
            "source": self.source,
            "verdict": self.verdict.value,
            "output": self.output,
            "kept": list(self.kept),
            "dropped": dict(self.dropped),
            "flags": list(self.flags),
            "reason": self.reason,
        }


def deidentify_folder(
    source: Path,
    target: Path,
    key: PseudonymKey,
    *,
    progress: Callable[[int, int], None] | None = None,
) -> Iterator[FileVerdict]:
    """Every file below ``source`` as ``target/patient/study/series/instance.dcm``, all pseudonyms.

    Files whose output exists are not read again but for their ids, so a killed run goes on. A
    source that is one file stands for its folder with that file alone.

    Raises:
        DeidentifyFolderError: no source, or one folder lies inside the other.
    """
    files = _files(source, target)
    # What is made here is its owner's alone; who shares it decides so.
    target.parent.mkdir(parents=True, exist_ok=True)
    target.mkdir(mode=0o700, exist_ok=True)
    root = source if source.is_dir() else source.parent
    for done, file in enumerate(files, start=1):
        yield _one(file, str(file.relative_to(root)), target, key)
        if progress is not None:
            progress(done, len(files))


def summary(verdicts: Mapping[Outcome, int]) -> dict[str, int]:
    """How many files came to each verdict, those of none included."""
    return {verdict.value.replace(" ", "_"): verdicts.get(verdict, 0) for verdict in Outcome}


def _files(source: Path, target: Path) -> list[Path]:
    if not source.exists():
        raise DeidentifyFolderError(f"{source} does not exist: give a DICOM file or a folder")
    inner, outer = target.resolve(), source.resolve()
    if inner == outer or inner.is_relative_to(outer) or outer.is_relative_to(inner):
        raise DeidentifyFolderError(
            f"{target} and {source} lie in one another: give the de-identified files a folder of "
            "their own"
        )
    if source.is_file():
        return [source]
    return sorted(file for file in source.rglob("*") if file.is_file() and not file.is_symlink())


def _one(file: Path, name: str, target: Path, key: PseudonymKey) -> FileVerdict:
    with warnings.catch_warnings():
        # What pydicom finds odd in a file is judged by the allow-list.
        warnings.simplefilter("ignore")
        try:
            header = pydicom.dcmread(file, specific_tags=list(_NAMING), stop_before_pixels=True)
        except InvalidDicomError:
            return FileVerdict(name, Outcome.NOT_DICOM)
        except _UNREADABLE as wrong:
            return FileVerdict(name, Outcome.REFUSED, reason=f"unreadable: {_line(wrong)}")
        try:
            output = _output(header, key)
            if (target / output).exists():
                return FileVerdict(name, Outcome.THERE, str(output))
            made = deidentify(pydicom.dcmread(file), key)
        except (DeidentifyError, PseudonymError) as refused:
            return FileVerdict(name, Outcome.REFUSED, reason=str(refused))
        except _UNREADABLE as wrong:
            return FileVerdict(name, Outcome.REFUSED, reason=f"unreadable: {_line(wrong)}")
    _write(made, target / output)
    return FileVerdict(name, Outcome.WRITTEN, str(output), made.kept, made.dropped, made.flags)


def _output(header: pydicom.Dataset, key: PseudonymKey) -> Path:
    """A name of pseudonyms alone: nothing that a file says reaches the file system."""
    study, series, instance = (key.uid(str(header.get(name) or "")) for name in _NAMING[1:])
    return Path(key.patient(patient_id_of(header)), study, series, f"{instance}.dcm")


def _write(made: Deidentified, path: Path) -> None:
    """Whole or not at all: a killed run leaves no half file under a final name."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(f".{os.getpid()}.part")
    try:
        made.dataset.save_as(partial, enforce_file_format=True)
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _line(wrong: BaseException) -> str:
    return str(wrong).splitlines()[0] if str(wrong) else type(wrong).__name__


def count(verdicts: Iterator[FileVerdict], keep: Callable[[FileVerdict], None]) -> dict[str, int]:
    """Runs through the verdicts, shows each to ``keep``, and returns their ``summary``."""
    found: Counter[Outcome] = Counter()
    for verdict in verdicts:
        keep(verdict)
        found[verdict.verdict] += 1
    return summary(found)
