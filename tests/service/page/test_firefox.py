"""The main path in Firefox, on real files: drop, mark, search, words, patient, map, export."""

from __future__ import annotations

import csv
import time
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.service.browser import Reader, opened_browser, reading
from tests.service.page.hand import drag, hits, query_canvas
from tests.service.page.patients import drop, open_png, wait_for_image
from tests.service.page.test_accessibility import choose_look, violations


@pytest.fixture(scope="module")
def downloads(tmp_path_factory):
    return tmp_path_factory.mktemp("downloads")


@pytest.fixture(scope="module")
def browser(downloads):
    with opened_browser("firefox", downloads) as opened:
        yield opened


@pytest.fixture
def reader(browser, real_meeting, screenshots):
    with reading(browser, real_meeting.address, screenshots, (1440, 900)) as opened:
        yield opened


def exported(page: Page, words: str, within: str, downloads: Path) -> bytes:
    """The file that a way out of a menu leaves in the folder of downloads.

    Firefox tells no number of a download that is no navigation, so Playwright does not hear of it.
    """
    before = set(downloads.iterdir())
    page.locator(f"{within} .export-home summary").click()
    page.locator(within).get_by_role("menuitem", name=words).click()
    deadline = time.monotonic() + 40
    while True:
        new = [file for file in set(downloads.iterdir()) - before if file.suffix != ".part"]
        if new and new[0].stat().st_size:
            return new[0].read_bytes()
        assert time.monotonic() < deadline, "no file came"
        page.wait_for_timeout(50)


def test_firefox_is_what_is_driven(reader: Reader):
    assert "Firefox/" in reader.open().evaluate("navigator.userAgent")


def test_a_real_series_is_dropped_scrolled_marked_and_searched_with(
    reader: Reader, real_meeting, downloads
):
    page = reader.open()
    choose_look(page, "Light")
    assert page.evaluate("getComputedStyle(document.body).colorScheme") == "light"
    drop(page, [real_meeting.stranger])
    heading = wait_for_image(page, real_meeting.stranger_id)
    expect(heading).to_contain_text(real_meeting.stranger_date)
    shown = page.locator(".pane.query .note.top-right")
    page.keyboard.press("Home")
    expect(shown).to_contain_text("image 1 of 70")
    query_canvas(page).hover()
    page.mouse.wheel(0, 120)
    expect(shown).to_contain_text("image 2 of 70")
    page.keyboard.press("t")
    expect(page.locator(".pane.query .scout canvas.coronal")).to_be_visible()
    drag(page, query_canvas(page), (0.40, 0.42), (0.52, 0.54))
    page.wait_for_url("**box=*")
    expect(hits(page).first).to_be_visible()
    hits(page).first.click()
    expect(page.locator(".pane.hit .note.top-right")).to_contain_text("slice")
    assert violations(page) == []
    reader.shoot("firefox_search")
    rows = list(
        csv.DictReader(exported(page, "Table", ".answers", downloads).decode().splitlines())
    )
    assert [row["lesion_id"] for row in rows if row["relation"] == "similar"]
    picture = exported(page, "Figure, dark", ".answers", downloads)
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 20_000


def test_an_indexed_slice_is_recognised_and_its_patient_follows(reader: Reader, real_meeting):
    page = reader.open()
    drop(page, [real_meeting.indexed])
    open_png(page, real_meeting.spacing)
    wait_for_image(page, real_meeting.lesion.patient_id)
    box = ",".join(str(round(edge, 1)) for edge in real_meeting.lesion.box.to_list())
    page.get_by_label("Box in pixels").focus()
    page.keyboard.type(box)
    page.keyboard.press("Enter")
    expect(page.locator(".recognised")).to_contain_text(real_meeting.lesion.lesion_id)
    page.goto(f"{reader.address}/#/patient?id={real_meeting.lesion.patient_id}")
    expect(page.locator(".track-row").first).to_be_visible()
    page.locator(".link-score").first.click()
    expect(page.locator(".drawer .note.top-left").nth(1)).to_contain_text("patient")
    page.keyboard.press("v")
    expect(page.get_by_role("button", name="Flicker")).to_have_attribute("aria-pressed", "true")
    page.keyboard.press("y")
    expect(page.get_by_text("A reader confirmed: the same lesion.")).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_text("A reader confirmed: the same lesion.")).to_have_count(0)
    assert violations(page) == []
    reader.shoot("firefox_patient")


def test_words_and_the_keyboard(reader: Reader):
    page = reader.open()
    expect(page.get_by_text("Which lesion?")).to_be_visible()
    page.keyboard.press("Tab")
    expect(page.get_by_role("button", name="Skip to the main part")).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
    words = page.get_by_role("combobox", name="Search by words")
    words.focus()
    page.keyboard.type("liver lesion over 5 mm")
    page.keyboard.press("Enter")
    expect(page.get_by_role("group", name="Understood words")).to_be_visible()
    expect(hits(page).first).to_be_visible()
    page.locator(".filters summary").click()
    page.get_by_label("Long diameter, at least mm").focus()
    page.keyboard.type("900")
    page.keyboard.press("Enter")
    page.wait_for_url("**min=900*")
    reader.shoot("firefox_words")


def test_the_map_is_drawn_walked_and_lassoed(reader: Reader):
    page = reader.open("#/map")
    expect(page.locator(".legend-row").first).to_be_visible()
    canvas = page.locator(".plot canvas")
    page.wait_for_function(
        """() => {
          const canvas = document.querySelector(".plot canvas");
          const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          return pixels.data.filter((value, place) => place % 4 === 3 && value > 200).length > 500;
        }"""
    )
    canvas.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".tip img")).to_be_visible()
    assert violations(page) == []
    page.keyboard.press("l")
    area = canvas.bounding_box()
    assert area is not None
    corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99)]
    places = [(area["x"] + x * area["width"], area["y"] + y * area["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()
    expect(page.get_by_label("Chosen lesions").locator("a.row").first).to_be_visible()
    reader.shoot("firefox_map")
