"""What the service cannot do, or its reader may not, is not offered; what opens is waited for."""

from __future__ import annotations

import json

import pytest
from playwright.sync_api import Page, expect

from tests.service.browser import Reader
from tests.service.page.hand import hits, upload

NOTHING: dict[str, object] = dict.fromkeys(
    ("detect", "measure", "follow", "forecast", "report", "pacs", "study_list", "write"), False
) | {"mine": []}


def answering(page: Page, **changes: bool) -> None:
    """Lets the service say that it can do nothing but what is named."""
    body = json.dumps({**NOTHING, **changes})
    page.route("**/v1/capabilities", lambda route: route.fulfill(json=json.loads(body)))


@pytest.fixture
def poor(reader: Reader):
    answering(reader.page)
    return reader


def test_a_search_without_models_offers_marks_alone(poor: Reader, phantoms):
    page = poor.open()
    upload(page, phantoms, phantoms.lesions[0])
    toolbar = page.locator("#search .toolbar")
    expect(toolbar.get_by_role("button", name="Box around")).to_be_visible()
    for name in ("Detect", "Measure"):
        expect(toolbar.get_by_role("button", name=name)).to_have_count(0)
    expect(page.locator(".answers")).not_to_contain_text("detector")
    page.keyboard.press("?")
    keys = page.get_by_role("dialog", name="Keys")
    expect(keys).to_contain_text("Box around")
    expect(keys).not_to_contain_text("etector")
    expect(keys).not_to_contain_text("Measure")
    poor.shoot("without_models")


def test_a_reader_without_the_right_to_write_decides_nothing(poor: Reader, course):
    page = poor.open(f"#/patient?id={course[0]}")
    page.locator(".link-score").first.click()
    expect(page.locator(".pair-facts")).to_contain_text("probability")
    expect(page.get_by_role("button", name="Same lesion")).to_have_count(0)
    page.keyboard.press("y")
    expect(page.get_by_text("A reader confirmed")).to_have_count(0)
    page.keyboard.press("Escape")
    page.locator(".track-patch").first.click()
    expect(page.locator(".pair-facts")).to_contain_text("Choose a patch")
    expect(page.get_by_role("button", name="Forecast")).to_have_count(0)
    page.locator(".patient .export summary").click()
    expect(page.get_by_role("menuitem", name="Table")).to_be_visible()
    expect(page.get_by_role("menuitem", name="DICOM")).to_have_count(0)


def test_what_there_is_a_model_for_is_offered(reader: Reader, phantoms, course):
    page = reader.open()
    upload(page, phantoms, phantoms.lesions[0])
    for name in ("Detect", "Measure"):
        expect(page.get_by_role("button", name=name, exact=True)).to_be_visible()
    page = reader.open(f"#/patient?id={course[0]}")
    page.locator(".link-score").first.click()
    expect(page.get_by_role("button", name="Same lesion")).to_be_visible()


def test_a_service_that_still_opens_its_index_is_waited_for(reader: Reader, course):
    asked = []

    def later(route):
        asked.append(route.request.url)
        if len(asked) < 3:
            route.fulfill(status=503, json={"detail": "the service is starting"})
        else:
            route.continue_()

    reader.refusals.add(503)
    reader.page.route("**/v1/capabilities", later)
    page = reader.open(f"#/search?lesion={course[1].lesion_id}")
    expect(page.get_by_text("The service opens its index")).to_be_visible()
    expect(hits(page).first).to_be_visible()
    assert len(asked) == 3
