"""The study list of a real PACS on the page: search, open, priors, a report sent back, a link."""

from __future__ import annotations

from datetime import date

import pytest
from playwright.sync_api import expect

from index.lesion_index import LesionIndex
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.settings import Settings
from tests.retrieval.segmentation.scenes import INTERVAL, SPACING, ball
from tests.service.browser import reading, serving
from tests.service.dicom_samples import SeriesLabels, ct_series
from tests.service.pacs.orthanc.server import PASSWORD, USER, running_orthanc
from tests.service.page.hand import drag, query_canvas
from tests.service.page.test_accessibility import choose_look, violations
from tests.service.samples import ToyEncoder

CHEST = "CT chest 2.5"
PRIOR = SeriesLabels(
    "PAGE-53", "prior", date(2023, 2, 1), description=CHEST, study_name="Thorax", accession="B-7"
)
NOW = {"study_name": "Abdomen, staging", "accession": "A-10-2024-05-170"}
CURRENT = SeriesLabels("PAGE-53", "current", date(2024, 5, 17), description=CHEST, **NOW)
SECOND = SeriesLabels("PAGE-53", "current", date(2024, 5, 17), "2", "CT thin", -900.0, **NOW)


@pytest.fixture(scope="module")
def pacs(tmp_path_factory):
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        for labels in (PRIOR, CURRENT, SECOND):
            made = ct_series(ball().hu, labels, spacing_mm_px=SPACING, interval_mm=INTERVAL)
            running.store(made)
        yield running


@pytest.fixture(scope="module")
def empty(tmp_path_factory):
    encoder = ToyEncoder()
    folder = tmp_path_factory.mktemp("pacs_page") / "index"
    with LesionIndex.create(folder, binding_of(encoder)) as index:
        yield SearchEngine(encoder, index)


@pytest.fixture
def address(pacs, empty, monkeypatch):
    for name, value in (("URL", pacs.url), ("USER", USER), ("PASSWORD", PASSWORD)):
        monkeypatch.setenv(f"LESION_SEARCH_PACS_{name}", value)
    with serving(create_app(Settings(index=empty.index.path), engine=empty)) as running:
        yield running


@pytest.fixture
def reader(browser, address, screenshots):
    with reading(browser, address, screenshots, (1440, 900)) as opened:
        yield opened


def test_a_study_is_found_opened_measured_and_its_report_sent_back(reader, pacs):
    page = reader.open()
    page.get_by_role("tab", name="PACS").click()
    studies = page.get_by_role("group", name="Studies of the PACS")
    expect(studies).to_contain_text("Search by patient")
    page.get_by_role("tabpanel").get_by_label("Patient").fill("PAGE*")
    page.keyboard.press("Enter")
    heads = page.locator(".pacs-study")
    expect(heads).to_have_count(2)
    expect(heads.first).to_contain_text("2024-05-17")
    heads.first.click()
    expect(page.locator(".series-row")).to_have_count(2)
    reader.shoot("pacs_list")
    assert violations(page) == []
    page.locator(".series-row").filter(has_text="CT chest").click()
    expect(page.locator(".pane.query .pane-heading")).to_contain_text("PAGE-53")
    expect(page.locator(".pane.query .note.top-right")).to_contain_text("image")
    # The prior stands in the list, the open study is marked.
    expect(page.locator(".pacs-study[aria-current=true]")).to_contain_text("2024-05-17")
    expect(heads.nth(1)).to_contain_text("2023-02-01")
    drag(page, query_canvas(page), (0.35, 0.35), (0.65, 0.65))
    page.wait_for_url("**box=*")
    page.keyboard.press("s")
    measured = page.get_by_label("Measurement", exact=True)
    expect(measured).to_contain_text("volume")
    measured.get_by_role("button", name="Report to the PACS").click()
    expect(measured).to_contain_text("Report stored in the PACS")
    reader.shoot("pacs_report")
    (entry,) = pacs.client().series_of(CURRENT.study_uid, "SR")
    (uid,) = pacs.client().instance_uids(entry)
    report = pacs.client().retrieve(entry, uid, patient_id="PAGE-53")
    assert any(CURRENT.instance_uid(n) in str(report) for n in range(len(ball().hu)))
    pacs.forget_reports()
    heads.nth(1).click()
    page.locator(".series-row").click()
    expect(page.locator(".pacs-study[aria-current=true]")).to_contain_text("2023-02-01")
    assert "box=" not in page.url


def test_studies_are_searched_by_description_and_number_and_their_columns_sort(reader):
    page = reader.open()
    page.get_by_role("tab", name="PACS").click()
    panel = page.get_by_role("tabpanel")
    panel.get_by_label("Description").fill("staging")
    page.keyboard.press("Enter")
    table = page.get_by_role("table", name="Studies")
    heads = page.locator(".pacs-study")
    expect(heads).to_have_text(["2024-05-17"])
    expect(table).to_contain_text("Abdomen, staging")
    expect(table).to_contain_text("A-10")
    panel.get_by_label("Description").fill("")
    panel.get_by_label("Accession").fill("B-*")
    page.keyboard.press("Enter")
    expect(heads).to_have_text(["2023-02-01"])
    page.get_by_role("button", name="Clear").click()
    expect(page.get_by_role("group", name="Studies of the PACS")).to_contain_text("Search by")
    panel.get_by_label("Patient").fill("PAGE*")
    page.keyboard.press("Enter")
    newest = ["2024-05-17", "2023-02-01"]
    expect(heads).to_have_text(newest)
    column = {
        name: page.get_by_role("columnheader", name=name)
        for name in ("Date", "Patient", "Description", "Accession", "Images")
    }
    expect(column["Date"]).to_have_attribute("aria-sort", "descending")
    # From head to head by the arrows, sorted by Enter; the focus stays on the head.
    column["Date"].get_by_role("button").focus()
    page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    expect(column["Description"]).to_have_attribute("aria-sort", "ascending")
    expect(column["Date"]).to_have_attribute("aria-sort", "none")
    expect(heads).to_have_text(newest)
    page.keyboard.press("Enter")
    expect(column["Description"]).to_have_attribute("aria-sort", "descending")
    expect(heads).to_have_text(newest[::-1])
    expect(column["Description"].get_by_role("button")).to_be_focused()
    column["Images"].get_by_role("button").click()
    expect(heads).to_have_text(newest)
    for theme in ("Light", "Dark"):
        choose_look(page, theme)
        reader.shoot(f"pacs_table_{theme.lower()}")
        assert violations(page) == []
    for width in (1000, 1920):
        page.set_viewport_size({"width": width, "height": 700})
        reader.shoot("pacs_table")
        side = page.locator(".side")
        assert side.evaluate("node => node.scrollWidth <= node.clientWidth")
    heads.first.click()
    page.locator(".series-row").filter(has_text="thin").click()
    expect(page.locator(".pane.query .pane-heading")).to_contain_text("PAGE-53")
    page.set_viewport_size({"width": 1000, "height": 700})
    reader.shoot("pacs_table_narrow")
    for row in ("of-study_date", "listed-study", "series-row", "studies-head"):
        inside = "nodes => nodes.every(node => node.scrollWidth <= node.clientWidth)"
        assert page.locator(f".{row}").evaluate_all(inside)


def test_a_link_of_a_viewer_opens_a_series(reader):
    page = reader.open(f"?study={CURRENT.study_uid}&series={CURRENT.series_uid}")
    expect(page.locator(".pane.query .pane-heading")).to_contain_text("PAGE-53")
    assert "study=" not in page.url.split("#")[0]
    page = reader.open(f"?StudyInstanceUIDs={PRIOR.study_uid}")
    expect(page.locator(".pane.query .pane-heading")).to_contain_text("2023-02-01")


def test_a_link_to_a_study_of_two_series_lets_the_reader_choose(reader):
    page = reader.open(f"?study={CURRENT.study_uid}")
    expect(page.locator(".pane.query .cover")).to_contain_text("2 CT series")
    page.locator(".series-row").filter(has_text="thin").click()
    expect(page.locator(".pane.query .pane-heading")).to_contain_text("PAGE-53")
    expect(page.locator(".pane.query .note.top-left")).to_contain_text("CT thin")


def test_what_the_pacs_does_not_have_is_told(reader):
    reader.refusals.add(404)
    page = reader.open("?study=1.2.3&series=1.2.4")
    expect(page.locator(".pane.query .cover")).to_contain_text("PACS")
    page.get_by_role("button", name="Choose another image").click()
    expect(page.get_by_text("Which lesion?")).to_be_visible()


def test_without_a_pacs_a_link_says_so(browser, empty, screenshots):
    app = create_app(Settings(index=empty.index.path), engine=empty)
    with (
        serving(app) as address,
        reading(browser, address, screenshots) as reader,
    ):
        page = reader.open("?study=1.2.3")
        expect(page.locator(".pane.query .cover")).to_contain_text("started without one")
        expect(page.get_by_role("tab", name="PACS")).to_have_count(0)
