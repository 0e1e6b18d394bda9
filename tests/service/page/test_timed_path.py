"""The path of a working day, timed: drop, follow, measure, correct, export; 70 real slices."""

from __future__ import annotations

import csv
import io
import json
import os
import time
from datetime import date
from urllib.request import Request, urlopen

import numpy as np
import pydicom
import pytest
from playwright.sync_api import expect

from index.lesion_index import LesionIndex
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.settings import Settings
from tests.service.browser import reading, serving
from tests.service.dicom_samples import SeriesLabels, ct_series
from tests.service.page.hand import hits
from tests.service.page.patients import drop, real_stranger, wait_for_image, zipped
from tests.service.page.test_output import saved
from tests.service.samples import ToyEncoder
from tests.service.serving import multipart

MASS = (38, 95, 118, 165)
"""The tumour of the gluteal muscle on slice 35, in pixels of the display grid."""


def prior_series(folder) -> bytes:
    """The series as an earlier scan would be: moved by a few pixels, with noise of its own."""
    files = [pydicom.dcmread(file) for file in folder.rglob("*.dcm")]
    images = sorted(
        (one for one in files if one.Modality == "CT"),
        key=lambda one: float(one.ImagePositionPatient[2]),
    )
    rng = np.random.default_rng(0)
    planes = [
        np.roll(
            one.pixel_array * float(one.RescaleSlope) + float(one.RescaleIntercept), (2, -3), (0, 1)
        )
        + rng.normal(0, 8, one.pixel_array.shape)
        for one in images
    ]
    made = ct_series(
        [plane.astype(np.float32) for plane in planes],
        SeriesLabels("STS_007", "prior", date(2004, 3, 1)),
        spacing_mm_px=tuple(map(float, images[0].PixelSpacing)),
        interval_mm=float(images[1].ImagePositionPatient[2] - images[0].ImagePositionPatient[2]),
    )
    entries = []
    for image in made:
        written = io.BytesIO()
        image.save_as(written, enforce_file_format=True)
        entries.append((f"{image.InstanceNumber}.dcm", written.getvalue()))
    return zipped(entries)


@pytest.fixture(scope="module")
def clinic(real_data, tmp_path_factory):
    """A service that knows the patient's prior, and the current series as a file."""
    folder = real_data / "sarcoma_ct" / "dicom" / "STS_007"
    encoder = ToyEncoder()
    path = tmp_path_factory.mktemp("clinic") / "index"
    with LesionIndex.create(path, binding_of(encoder)) as index:
        engine = SearchEngine(encoder, index)
        with serving(create_app(Settings(index=path), engine=engine)) as address:
            x1, y1, x2, y2 = MASS
            form = {
                "file": prior_series(folder),
                "grid": "display",
                "box": f"{x1 - 3},{y1 + 2},{x2 - 3},{y2 + 2}",
                "key_slice_index": "35",
                "patient_id": "STS_007",
                "study_id": "prior",
                "study_date": "2004-03-01",
                "lesion_type": "soft tissue",
            }
            body, headers = multipart(form)
            asked = Request(f"{address}/v1/lesions", body, headers, method="POST")
            with urlopen(asked, timeout=120) as answer:
                lesion = json.load(answer)
            yield address, lesion, real_stranger(folder), engine


def current_study(real_data) -> str:
    folder = real_data / "sarcoma_ct" / "dicom" / "STS_007"
    first = next(iter(sorted(folder.rglob("*.dcm"))))
    return str(pydicom.dcmread(first, stop_before_pixels=True).StudyInstanceUID)


def test_a_working_day(browser, screenshots, clinic, real_data):
    """Drop a 70-slice zip, follow the prior's lesion, measure it, correct a match, export."""
    address, prior, series, engine = clinic
    with reading(browser, address, screenshots, (1440, 900)) as reader:
        page = reader.open()
        expect(page.get_by_text("Which lesion?")).to_be_visible()
        steps: dict[str, float] = {}
        began = time.monotonic()

        def done(step: str) -> None:
            steps[step] = round(time.monotonic() - began - sum(steps.values()), 2)

        drop(page, [series])
        wait_for_image(page, "STS_007")
        done("drop")
        page.locator(f".prior-row[data-lesion='{prior['lesion_id']}']").click()
        looked = page.get_by_label("Lesion looked for")
        expect(looked.get_by_role("heading")).to_contain_text("probability")
        looked.locator(".candidates .plain").first.click()
        expect(page.locator(".pane.query .note.top-right")).to_contain_text("slice")
        (search,) = engine.index.searches.of("STS_007")
        assert (search.lesion_id, search.study_id) == (prior["lesion_id"], current_study(real_data))
        assert search.state in {"found", "uncertain"}
        done("follow")
        page.keyboard.press("s")
        measured = page.get_by_label("Measurement", exact=True)
        expect(measured).to_contain_text("volume")
        with page.expect_download() as download:
            measured.get_by_role("button", name="DICOM report").click()
        report = pydicom.dcmread(download.value.path())
        expect(measured).to_contain_text("Report saved")
        measured.get_by_role("button", name="Use these diameters").click()
        page.wait_for_url("**recist=*")
        reader.shoot("path_measured")
        done("measure")
        page.locator(f".prior-row[data-lesion='{prior['lesion_id']}']").click()
        looked.get_by_role("button", name="Accept candidate 1").click()
        looked.get_by_role("link", name="Compare prior and current").click()
        expect(page.locator(".drawer .note.top-left").nth(1)).to_contain_text("STS_007")
        done("accept")
        page.keyboard.press("n")
        expect(page.get_by_text("A reader said: two different lesions.")).to_be_visible()
        page.keyboard.press("y")
        expect(page.get_by_text("A reader confirmed: the same lesion.")).to_be_visible()
        done("correct")
        reader.shoot("path_pair")
        page.keyboard.press("o")
        rows = list(csv.DictReader(saved(page, "Table", ".patient").decode().splitlines()))
        figure = saved(page, "Figure, light", ".patient")
        done("export")
        assert report.PatientID == "STS_007"
        assert report.StudyInstanceUID == current_study(real_data)
        assert b"Long Axis" in download.value.path().read_bytes()
        assert [match.verdict for match in engine.index.matches("STS_007")] == ["confirmed"]
        assert {row["study_id"] for row in rows} >= {"prior"}
        assert len(rows) == 2
        assert len(figure) > 20_000
        (screenshots / "timed_path.json").write_text(json.dumps(steps))
        # The bound is for a machine that does nothing else; one that is busy takes its load more.
        busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
        assert sum(steps.values()) < 60 * busy, steps


def test_a_stranger_is_not_offered_anything_to_follow(browser, screenshots, clinic, real_meeting):
    address = real_meeting.address
    with reading(browser, address, screenshots) as reader:
        page = reader.open()
        drop(page, [clinic[2]])
        wait_for_image(page, "STS_007")
        page.wait_for_load_state("networkidle")
        expect(page.locator(".prior-row")).to_have_count(0)
        expect(page.locator(".bench")).to_be_hidden()
        page.keyboard.press("s")
        expect(page.get_by_text("Mark the lesion first")).to_be_visible()
        assert hits(page).count() == 0
