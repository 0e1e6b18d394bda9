"""Measured sizes of the DeepLesion sample: beside the marks', on slices, in filters, over time."""

from __future__ import annotations

import re
from base64 import b64decode

import cv2
import numpy as np
import pytest
from playwright.sync_api import expect

from tests.service.browser import reading
from tests.service.page.hand import hits
from tests.service.page.test_accessibility import choose_look, violations

PATIENT = "000001"
LESION = "000001_02_01_017_x256_y291"


@pytest.fixture
def looked(browser, known_sample, screenshots):
    with reading(browser, known_sample.address, screenshots, (1440, 900)) as opened:
        yield opened


def pink(page, pane):
    """How many pixels of a viewport have the colour of what was measured."""
    drawn = page.locator(f"{pane} .viewport > canvas").evaluate(
        "canvas => canvas.toDataURL('image/png').split(',')[1]"
    )
    picture = cv2.imdecode(np.frombuffer(b64decode(drawn), np.uint8), cv2.IMREAD_COLOR)
    blue, green, red = (picture[..., channel].astype(int) for channel in range(3))
    return int(np.sum((red > 200) & (red - green > 50) & (blue - green > 20)))


def wait_for_outline(page, pane):
    page.wait_for_function("document.querySelector('.pane.query .cover')?.hidden")
    expect(page.locator(f"{pane} .cover")).to_be_hidden()
    for _ in range(100):
        if pink(page, pane) > 30:
            return
        page.wait_for_timeout(100)
    raise AssertionError(f"no outline in {pane}")


def test_measured_sizes_stand_beside_the_given_ones_and_the_mask_on_its_slices(
    looked, known_sample
):
    lesion = known_sample.lesion(LESION)
    page = looked.open(f"#/search?lesion={LESION}")
    heading = page.locator(".pane.query .pane-heading")
    expect(heading).to_contain_text(f"{lesion.long_mm:.1f} × {lesion.short_mm:.1f} mm")
    measured = lesion.measured
    words = f"≈ {measured.long_mm.value:.1f} × {measured.short_mm.value:.1f} mm, "
    expect(heading.locator(".sized")).to_have_text(
        f"{words}{measured.volume_mm3.value / 1000:.2f} ml"
    )
    assert "Nine of ten lie within" in heading.locator(".sized").get_attribute("title")
    expect(hits(page).first.locator(".sized")).to_contain_text("≈")
    wait_for_outline(page, ".pane.query")
    hits(page).first.click()
    wait_for_outline(page, ".pane.hit")
    page.keyboard.press("k")
    expect(page.get_by_role("button", name="Outline")).to_have_attribute("aria-pressed", "false")
    page.wait_for_timeout(200)
    assert pink(page, ".pane.query") + pink(page, ".pane.hit") == 0
    page.get_by_role("button", name="Outline").click()
    wait_for_outline(page, ".pane.query")
    # Far from the lesion there is no outline.
    page.locator(".pane.query .viewport > canvas").focus()
    page.keyboard.press("End")
    page.wait_for_timeout(500)
    assert pink(page, ".pane.query") == 0


def test_hits_are_filtered_by_their_measured_volume(looked, known_sample):
    page = looked.open(f"#/search?lesion={LESION}")
    expect(hits(page).first).to_be_visible()
    page.locator(".filters summary").click()
    page.get_by_label("Measured volume, at least mm³").fill("1000")
    page.keyboard.press("Enter")
    page.wait_for_url("**vmin=1000*")
    expect(page.locator(".filter-summary")).to_have_text("volume=1000..")
    expect(page.locator(".card.skeleton")).to_have_count(0)
    shown = {card.get_attribute("data-lesion") for card in hits(page).all()}
    large = {
        one.lesion_id
        for one in known_sample.lesions
        if one.measured.volume_mm3 is not None
        and one.measured.volume_mm3.value >= 1000
        and one.patient_id != PATIENT
    }
    assert shown
    assert shown <= large
    looked.shoot("measured_filter")
    assert violations(page) == []


def test_response_by_volume_stands_beside_the_diameters_by_choice(looked):
    page = looked.open(f"#/patient?id={PATIENT}")
    expect(page.locator(".track-row").first).to_be_visible()
    expect(page.locator(".track-row .sized").first).to_contain_text("≈")
    expect(page.locator(".diameters svg")).to_have_attribute(
        "aria-label", re.compile("^Long diameters")
    )
    page.get_by_role("button", name="Volumes").click()
    page.wait_for_url("**by=volume*")
    expect(page.locator(".diameters svg")).to_have_attribute(
        "aria-label", re.compile("^Measured volumes")
    )
    expect(page.locator(".diameters .range").first).to_be_attached()
    expect(page.locator(".small-print")).to_contain_text("not a category of RECIST")
    expect(page.locator(".study-head .volume-change").first).to_be_visible()
    expect(page.locator(".study-head .category")).to_have_count(0)
    page.locator(".diameters circle").first.click()
    expect(page.locator(".drawer .pane-heading .sized").first).to_be_visible()
    wait_for_outline_in_drawer(page)
    looked.shoot("measured_patient_one")
    page.get_by_role("button", name="Diameters").click()
    expect(page.locator(".small-print")).to_contain_text("RECIST 1.1")


def wait_for_outline_in_drawer(page):
    for _ in range(100):
        if pink(page, ".drawer .pane:first-child") > 20:
            return
        page.wait_for_timeout(100)
    raise AssertionError("no outline in the drawer")


def test_the_looks_of_measured_lesions(looked):
    states = {
        "search": f"#/search?lesion={LESION}&open=003657_01_01_049_x119_y308&vmin=1",
        "patient": f"#/patient?id={PATIENT}",
        "volumes": f"#/patient?id={PATIENT}&by=volume",
    }
    page = looked.open()
    for theme in ("Light", "Dark"):
        choose_look(page, theme)
        for name, state in states.items():
            page = looked.open(state)
            expect(page.locator(".sized").first).to_be_visible()
            for width, height in ((1000, 700), (1440, 900), (1920, 1080)):
                page.set_viewport_size({"width": width, "height": height})
                looked.shoot(f"measured_{name}_{theme.lower()}")
                assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
            assert violations(page) == [], name


def test_where_nothing_was_measured_nothing_of_it_is_shown(reader, course):
    page = reader.open(f"#/search?lesion={course[1].lesion_id}")
    expect(hits(page).first).to_be_visible()
    page.locator(".filters summary").click()
    expect(page.get_by_label("Long diameter, at least mm")).to_be_visible()
    expect(page.get_by_label("Measured volume, at least mm³")).to_be_hidden()
    expect(page.locator(".sized")).to_have_count(0)
    page = reader.open(f"#/patient?id={course[0]}&by=volume")
    expect(page.locator(".track-row").first).to_be_visible()
    expect(page.get_by_role("button", name="Volumes")).to_have_count(0)
    expect(page.locator(".diameters svg")).to_have_attribute(
        "aria-label", re.compile("^Long diameters")
    )
