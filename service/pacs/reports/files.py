"""Reports as files: what each is called, and several in a folder or a zip."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydicom import dcmread


def names_of(reports: Sequence[Any], stem: str) -> list[str]:
    """A file name for each report: its study's date, or its number where no date is told.

    So a further study leaves the names of the others as they are. No name holds a patient's id.
    """
    names: list[str] = []
    undated = 0
    for report in reports:
        day = str(report.get("StudyDate") or "")
        if len(day) == 8 and day.isdigit():
            name = f"{stem}_{day[:4]}-{day[4:6]}-{day[6:]}"
        else:
            undated += 1
            name = f"{stem}_study_{undated}"
        same = sum(one == f"{name}.dcm" or one.startswith(f"{name}_") for one in names)
        names.append(f"{name}_{same + 1}.dcm" if same else f"{name}.dcm")
    return names


def content_of(report: Any) -> bytes:
    """The report as a DICOM file."""
    written = io.BytesIO()
    report.save_as(written, enforce_file_format=True)
    return written.getvalue()


def zip_of(reports: Sequence[Any], stem: str) -> bytes:
    """All reports in a zip, one file each."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, report in zip(names_of(reports, stem), reports, strict=True):
            archive.writestr(name, content_of(report))
    return packed.getvalue()


def write_reports(reports: Sequence[Any], out: Path) -> list[Path]:
    """Writes reports where a person asked for them; returns the files.

    A name with ``.zip`` takes all of them in one. A folder, or a name without a suffix, which
    becomes one, takes a file for each study. Another name takes a single report; of several, each
    stands beside it under the name and its study's date.
    """
    if out.suffix.lower() == ".zip":
        out.write_bytes(zip_of(reports, "report"))
        return [out]
    if out.is_dir() or not out.suffix:
        out.mkdir(parents=True, exist_ok=True)
        files = [out / name for name in names_of(reports, "report")]
    elif len(reports) == 1:
        files = [out]
    else:
        files = [out.with_name(name) for name in names_of(reports, out.stem)]
    for report, file in zip(reports, files, strict=True):
        report.save_as(file, enforce_file_format=True)
    return files


def write_anew(report: Any, path: Path) -> bool:
    """Writes a report; a file that holds the same one is left as it is, and False is returned."""
    if path.exists():
        held = dcmread(path, stop_before_pixels=True, specific_tags=["SOPInstanceUID"])
        if held.get("SOPInstanceUID") == report.SOPInstanceUID:
            return False
    report.save_as(path, enforce_file_format=True)
    return True
