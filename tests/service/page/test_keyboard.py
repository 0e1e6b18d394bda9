"""The working path by keyboard alone: open, propose, search, measure, collect, export, decide."""

from __future__ import annotations

import json

import nibabel
import numpy as np
import pytest
from playwright.sync_api import Page, expect

from retrieval.sources.deeplesion.png import read_deeplesion_png
from tests.service.browser import Reader, reading
from tests.service.page.hand import hits, slice_file, upload
from tests.service.page.patients import SentFile, drop, open_png
from tests.service.page.test_accessibility import violations

MOST_STOPS = 60


def tab_to(page: Page, selector: str, words: str = "") -> None:
    """Presses Tab until an element has the focus: nothing is reached otherwise."""
    for _ in range(MOST_STOPS):
        page.keyboard.press("Tab")
        is_there = page.evaluate(
            """([selector, words]) => document.activeElement?.matches(selector)
              && document.activeElement.textContent.includes(words)""",
            [selector, words],
        )
        if is_there:
            return
    raise AssertionError(f"{selector} {words!r} was not reached by {MOST_STOPS} stops")


def open_by_keyboard(page: Page, phantoms, lesion) -> None:
    with page.expect_file_chooser() as chooser:
        tab_to(page, ".pane.query button", "Choose files")
        page.keyboard.press("Enter")
    chooser.value.set_files(slice_file(phantoms, lesion))
    source = phantoms.source(lesion)
    first = page.locator("[name=spacing-x]")
    expect(first).to_be_focused()
    for place, value in enumerate((*source.spacing_mm_px, source.slice_interval_mm)):
        if place:
            page.keyboard.press("Tab")
        page.keyboard.type(str(value))
    page.keyboard.press("Enter")
    expect(page.locator(".pane.query .note.top-right")).to_contain_text("image 1 of 1")


def test_the_path_by_keyboard_alone(reader: Reader, phantoms, course, engine):
    page = reader.open()
    expect(page.get_by_text("Which lesion?")).to_be_visible()
    open_by_keyboard(page, phantoms, phantoms.lesions[0])
    page.keyboard.press("d")
    expect(page.get_by_text("Click a proposal")).to_be_visible()
    page.keyboard.press("Enter")
    expect(hits(page).first).to_be_visible()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".pane.hit .note.top-left")).to_contain_text("patient")
    page.keyboard.press("a")
    expect(page.locator("#basket-count")).to_have_text("1")
    with page.expect_download() as download:
        tab_to(page, ".answers summary", "Export")
        page.keyboard.press("Enter")
        expect(page.locator(".answers .menu-item").first).to_be_focused()
        for _ in range(3):
            page.keyboard.press("ArrowDown")
        page.keyboard.press("Enter")
    document = json.loads(download.value.path().read_text())
    assert document["box_source"] == "detected"
    reader.shoot("keyboard_search")

    page.keyboard.press("g")
    page.keyboard.press("p")
    expect(page.get_by_text("Which patient?")).to_be_visible()
    page.keyboard.press("/")
    page.keyboard.type(course[0])
    expect(page.locator(".patients [data-patient]")).to_have_count(1)
    page.keyboard.press("Enter")
    expect(page.locator(".track-row").first).to_be_visible()
    tab_to(page, ".link-score")
    page.keyboard.press("Enter")
    expect(page.locator(".drawer .note.top-left").nth(1)).to_contain_text("patient")
    page.keyboard.press("y")
    expect(page.get_by_text("A reader confirmed: the same lesion.")).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_text("A reader confirmed: the same lesion.")).to_have_count(0)
    assert engine.index.matches(course[0]) == []


def test_the_open_bench_breaks_no_rule_of_axe(reader: Reader, phantoms, course):
    """A measurement in both themes."""
    for theme in ("light", "dark"):
        page = reader.open()
        page.evaluate("theme => { document.documentElement.dataset.theme = theme; }", theme)
        expect(page.get_by_text("Which lesion?")).to_be_visible()
        upload(page, phantoms, phantoms.lesions[0])
        page.keyboard.press("d")
        expect(page.get_by_text("Click a proposal")).to_be_visible()
        page.keyboard.press("Enter")
        expect(hits(page).first).to_be_visible()
        box = ",".join(str(round(edge)) for edge in phantoms.lesions[0].box.to_list())
        page.get_by_label("Box in pixels").fill(box)
        page.keyboard.press("Enter")
        page.wait_for_url("**box=*")
        page.evaluate("document.activeElement.blur()")
        page.keyboard.press("s")
        expect(page.get_by_label("Measurement", exact=True)).to_contain_text("long diameter")
        page.wait_for_load_state("networkidle")
        assert violations(page) == []
        reader.shoot(f"bench_{theme}")


FORECAST_SIZES = [(1280, 800), (1440, 900), (1920, 1080)]


@pytest.mark.parametrize("size", FORECAST_SIZES, ids=lambda size: f"{size[0]}")
def test_a_forecast_stands_on_its_track(browser, address, screenshots, course, size):
    """The service's own answer may abstain; this one has a fan, and neighbours that lead on."""
    with reading(browser, address, screenshots, size) as reader:
        page = reader.page
        page.route("**/forecast", lambda route: route.fulfill(json=fan_of(route.fetch().json())))
        page = reader.open(f"#/patient?id={course[0]}")
        page.locator(".track-patch").last.click()
        page.keyboard.press("p")
        expect(page.locator(".diameters .track-fan .fan-band")).to_have_count(2)
        expect(page.locator(".diameters .track-fan .fan-median")).to_be_visible()
        first = page.locator(".cases a").first
        expect(first).to_contain_text("+12 %")
        page.wait_for_load_state("networkidle")
        assert violations(page) == []
        reader.shoot("forecast_on_track")
        first.click()
        page.wait_for_url("**/patient?id=000002**")
        expect(page.locator(".diameters .track-fan")).to_have_count(0)


def fan_of(document):
    """A forecast with a fan of three steps for the lesion of an answer."""
    size = document["lesion"]["long_mm"]

    def ranges(step):
        return [
            {
                "level_pct": level,
                "low": size * (1 - share * step),
                "high": size * (1 + share * step),
                "low_pct": -100 * share * step,
                "high_pct": 100 * share * step,
            }
            for level, share in ((50, 0.06), (80, 0.13))
        ]

    outlook = {
        "days": 90.0,
        "median": size * 1.05,
        "median_pct": 5.0,
        "ranges": ranges(1),
        "growth_probability": 0.2,
        "growth_pct": 20.0,
        "shrinkage_probability": 0.05,
        "shrinkage_pct": 30.0,
    }
    steps = [
        {"days": 90.0 * step, "median": size * (1 + 0.05 * step), "ranges": ranges(step)}
        for step in (1, 2, 3)
    ]
    case = {
        "lesion_id": "000002_01_01_010",
        "patient_id": "000002",
        "lesion_type": "liver",
        "weight": 0.3,
        "similarity": 0.9,
        "change_pct": 12.0,
        "days": 91.0,
        "course": [],
    }
    neighbours = {"count": 20, "effective": 9.0, "cases": [case]}
    course = [{"study_id": "s", "study_date": None, "lesion_ids": [], "days": 0.0, "size": size}]
    return {
        **document,
        "state": "forecast",
        "reason": None,
        "outlook": outlook,
        "fan": steps,
        "neighbours": neighbours,
        "course": course,
    }


def test_a_nifti_is_nobodys_and_takes_nothing_over(reader: Reader, phantoms, course):
    """After a slice that names its patient comes a NIfTI: no patient, study or mark stays."""
    lesion = course[1]
    source = phantoms.source(lesion)
    page = reader.open()
    content = slice_file(phantoms, lesion).read_bytes()
    named = SentFile(f"{lesion.series_id}_{lesion.key_slice_index:03d}.png", content)
    drop(page, [named])
    open_png(page, (*source.spacing_mm_px, source.slice_interval_mm))
    expect(page.locator(".pane.query .pane-heading")).to_contain_text("px")
    plane = read_deeplesion_png(phantoms.root / source.image)
    volume = np.repeat(np.asarray(plane)[None], 3, axis=0).transpose(2, 1, 0)
    affine = np.diag([-source.spacing_mm_px[0], -source.spacing_mm_px[1], 5.0, 1.0])
    image = nibabel.Nifti1Image(np.roll(volume, 5, axis=0).astype(np.int16), affine)
    drop(page, [SentFile("stranger.nii", image.to_bytes())])
    heading = page.locator(".pane.query .pane-heading")
    expect(heading).to_contain_text("stranger.nii")
    expect(heading).to_contain_text("patient not known")
    expect(page.locator(".pane.query .note.top-right")).to_contain_text("of 3")
    for field in ("patient=", "study=", "box=", "recist="):
        assert field not in page.url
    reader.shoot("whose_nifti")
