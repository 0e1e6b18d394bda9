"""Two people whose images meet on one page: one is in the index, the other a stranger."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
from playwright.sync_api import Locator, Page, expect

from index.lesion_index import LesionIndex
from retrieval.lesion import Lesion
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.deeplesion.coding import table_file_name
from retrieval.sources.deeplesion.png import read_deeplesion_png
from tests.service.dicom_samples import SeriesLabels, ct_series


@dataclass(frozen=True)
class SentFile:
    """A file as a reader drops it."""

    name: str
    content: bytes

    def payload(self) -> dict[str, Any]:
        """For a file chooser."""
        return {"name": self.name, "mimeType": "application/octet-stream", "buffer": self.content}


@dataclass(frozen=True)
class Meeting:
    """A service, an indexed patient's slice, and a stranger's series as a zip of DICOM."""

    address: str
    lesion: Lesion
    indexed: SentFile
    spacing: tuple[float, float, float]
    stranger: SentFile
    stranger_id: str
    stranger_date: str


TAGGED = "000001_02_01_017_x256_y291"
"""The lesion of the known sample that has tags."""


@dataclass(frozen=True)
class KnownSample:
    """A service over lesions that were measured and put into categories."""

    address: str
    index: LesionIndex
    lesions: tuple[Lesion, ...]

    def lesion(self, lesion_id: str) -> Lesion:
        """The lesion of an id."""
        return next(one for one in self.lesions if one.lesion_id == lesion_id)

    @property
    def categories(self) -> set[str]:
        """Of all lesions."""
        return {one.category for one in self.lesions if one.category is not None}


def key_slice_file(archive: DeepLesionArchive, lesion: Lesion) -> SentFile:
    """The key slice under the name that DeepLesion's table gives it."""
    path = archive.root / archive.source(lesion).image
    return SentFile(table_file_name(lesion.series_id, lesion.key_slice_index), path.read_bytes())


def another_slice(file: SentFile, name: str) -> SentFile:
    """A slice that is in no index, under a name that says nothing."""
    pixels = cv2.imdecode(np.frombuffer(file.content, np.uint8), cv2.IMREAD_UNCHANGED)
    _, content = cv2.imencode(".png", np.roll(pixels, 3, axis=1))
    return SentFile(name, content.tobytes())


def phantom_stranger(
    archive: DeepLesionArchive,
    lesion: Lesion,
    patient_id: str = "STRANGER-1",
    day: date | None = date(2024, 5, 17),
) -> SentFile:
    """Slices of a phantom as DICOM of somebody whom no index knows."""
    source = archive.source(lesion)
    plane = read_deeplesion_png(archive.root / source.image)
    images = ct_series(
        [plane, plane, plane],  # type: ignore[arg-type]
        SeriesLabels(patient_id, "one", day),
        spacing_mm_px=source.spacing_mm_px,
        interval_mm=source.slice_interval_mm,
    )
    contents = []
    for image in images:
        written = io.BytesIO()
        image.save_as(written, enforce_file_format=True)
        contents.append((f"{image.InstanceNumber}.dcm", written.getvalue()))
    return SentFile("stranger.zip", zipped(contents))


def real_stranger(folder: Path) -> SentFile:
    """The CT images of a folder of DICOM, which also holds other objects."""
    files = [
        file
        for file in sorted(folder.rglob("*"))
        if file.is_file() and pydicom.dcmread(file, specific_tags=["Modality"]).Modality == "CT"
    ]
    return SentFile("STS_007.zip", zipped((file.name, file.read_bytes()) for file in files))


def zipped(entries: Iterable[tuple[str, bytes]]) -> bytes:
    """The entries in one zip."""
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return packed.getvalue()


def drop(page: Page, files: Sequence[SentFile], target: str = "body") -> None:
    """Lets files fall on a part of the page."""
    page.evaluate("window.fallen = new DataTransfer()")
    for file in files:
        picker = page.evaluate_handle(
            """() => {
              const picker = document.createElement("input");
              picker.type = "file";
              picker.hidden = true;
              document.body.append(picker);
              return picker;
            }"""
        ).as_element()
        assert picker is not None
        picker.set_input_files(file.payload())  # type: ignore[arg-type]
        picker.evaluate("node => { window.fallen.items.add(node.files[0]); node.remove(); }")
    page.evaluate(
        """target => document.querySelector(target).dispatchEvent(
          new DragEvent("drop", {dataTransfer: window.fallen, bubbles: true, cancelable: true}))""",
        target,
    )


def open_png(page: Page, spacing: Sequence[float]) -> None:
    """Says a PNG's spacing and sends it."""
    for axis, value in zip(["x", "y", "slice"], spacing, strict=True):
        page.locator(f"[name=spacing-{axis}]").fill(json.dumps(value))
    page.get_by_role("button", name="Open", exact=True).click()


def wait_for_image(page: Page, patient: str) -> Locator:
    """The query's heading, once it tells that patient."""
    heading = page.locator(".pane.query .pane-heading")
    expect(heading).to_contain_text(patient)
    expect(page.locator(".pane.query .cover")).to_be_hidden()
    return heading
