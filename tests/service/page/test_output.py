"""What leaves the page: figures, tables, documents, links, and the case basket."""

from __future__ import annotations

import csv
import io
import json
import zipfile

import cv2
import numpy as np
import pydicom
import pytest
from playwright.sync_api import Page, expect

from tests.service.browser import Reader
from tests.service.page.hand import hits


def saved(page: Page, words: str, within: str) -> bytes:
    """The file that a way out of a menu gives."""
    home = page.locator(f"{within} .export-home")
    home.locator("summary").click()
    with page.expect_download() as download:
        home.get_by_role("menuitem", name=words).click()
    return download.value.path().read_bytes()


@pytest.fixture
def found(reader, course):
    page = reader.open(f"#/search?lesion={course[1].lesion_id}")
    expect(hits(page).first).to_be_visible()
    return page


def test_an_answer_leaves_as_table_document_and_figure(found, course):
    document = json.loads(saved(found, "Document", ".answers"))
    rows = list(csv.DictReader(saved(found, "Table", ".answers").decode().splitlines()))
    similar = [row for row in rows if row["relation"] == "similar"]
    assert [row["lesion_id"] for row in similar] == [
        hit["lesion"]["lesion_id"] for hit in document["hits"]
    ]
    assert float(similar[0]["similarity"]) == pytest.approx(document["hits"][0]["similarity"])
    assert {row["relation"] for row in rows} == {"similar", "same patient"}
    grounds = []
    for theme in ("light", "dark"):
        picture = saved(found, f"Figure, {theme}", ".answers")
        image = cv2.imdecode(np.frombuffer(picture, "uint8"), 1)
        grounds.append(int(image[2, 2].mean()))
        assert image[200:300, 100:300].std() > 5, "the query's picture is on it"
    assert grounds[0] > 250
    assert grounds[1] < 20


def test_the_ways_out_know_what_came_after_the_hits(reader: Reader, course):
    """The facts of the query come later than its hits: the report is offered all the same."""
    page = reader.page
    held = []

    def hold(route):
        held.append(route)

    page.route(f"**/v1/lesions/{course[1].lesion_id}", hold)
    reader.open(f"#/search?lesion={course[1].lesion_id}")
    expect(page.locator(".card.hit").first).to_be_visible()
    assert len(held) == 1
    held[0].continue_()
    expect(page.locator(".pane.query .pane-heading")).to_contain_text("Query")
    page.locator(".answers .export summary").click()
    expect(page.get_by_role("menuitem", name="DICOM report")).to_be_visible()


def test_a_link_is_copied(found, reader):
    found.context.grant_permissions(["clipboard-read", "clipboard-write"])
    found.locator(".answers .export summary").click()
    found.get_by_role("menuitem", name="Copy link").click()
    expect(found.locator(".answers .menu-told")).to_have_text("Link copied.")
    assert found.evaluate("navigator.clipboard.readText()") == found.url


def test_lesions_are_collected_with_notes_and_exported(found: Page, reader: Reader):
    hits(found).first.click()
    first = hits(found).first.get_attribute("data-lesion")
    expect(found.locator(".pane.hit .note.top-left")).to_contain_text("patient")
    found.keyboard.press("a")
    expect(found.get_by_role("button", name="Collect")).to_have_attribute("aria-pressed", "true")
    found.keyboard.press("ArrowRight")
    expect(found.get_by_role("button", name="Collect")).to_have_attribute("aria-pressed", "false")
    found.get_by_role("button", name="Collect").click()
    expect(found.locator("#basket-count")).to_have_text("2")
    found.get_by_role("button", name="Basket").click()
    dialog = found.get_by_role("dialog", name="Case basket")
    dialog.get_by_label(f"Note on {first}").fill("ring, as in the talk")
    reader.shoot("basket")
    rows = list(csv.DictReader(saved(found, "CSV", "dialog").decode().splitlines()))
    assert rows[0]["lesion_id"] == first
    assert rows[0]["note"] == "ring, as in the talk"
    assert len(saved(found, "Figure, light", "dialog")) > 20_000
    dialog.get_by_role("button", name=f"Take {first} out").click()
    expect(dialog.locator(".basket-row")).to_have_count(1)
    found.keyboard.press("Escape")
    found.reload()
    expect(found.locator("#basket-count")).to_have_text("1")


def test_a_patient_leaves_as_dicom_reports(found: Page, reader: Reader, course):
    saved_from_search = saved(found, "DICOM report", ".answers")
    page = reader.open(f"#/patient?id={course[0]}")
    expect(page.locator(".track-row").first).to_be_visible()
    for content in (saved_from_search, saved(page, "DICOM report", ".patient")):
        reports = [content]
        if content.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(content)) as archive:
                reports = [archive.read(name) for name in archive.namelist()]
        patients = {pydicom.dcmread(io.BytesIO(one)).PatientID for one in reports}
        assert patients == {course[0]}
    expect(page.locator(".patient .menu-told")).to_contain_text("unverified")


def test_a_patient_leaves_as_table_and_figure(reader: Reader, course):
    page = reader.open(f"#/patient?id={course[0]}")
    expect(page.locator(".track-row").first).to_be_visible()
    rows = list(csv.DictReader(saved(page, "Table", ".patient").decode().splitlines()))
    assert {row["patient_id"] for row in rows} == {course[0]}
    assert {"track_id", "state", "response", "long_mm"} <= set(rows[0])
    assert len(saved(page, "Figure, light", ".patient")) > 20_000
