"""axe-core finds nothing in any state of the page, in both themes; the keyboard alone suffices."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.service.browser import Reader
from tests.service.page.states import (
    choose_look,
    map_of_lesions,
    patient_pair,
    patient_tracks,
    search_open,
    wrong_in_states,
)

AXE = Path(__file__).parents[3] / "node_modules" / "axe-core" / "axe.min.js"


def violations(page: Page) -> list[str]:
    """What breaks a rule of WCAG 2.2 A and AA or of axe's best practices, with its elements."""
    if not page.evaluate("'axe' in window"):
        page.evaluate(AXE.read_text())
    found = page.evaluate(
        """async () => (await axe.run(document, {resultTypes: ["violations"]})).violations
          .flatMap(({id, nodes}) => nodes.map(({target, failureSummary}) =>
            `${id}: ${target.join(" ")} ${failureSummary}`))"""
    )
    return list(found)


@pytest.mark.parametrize("theme", ["Dark", "Light"])
def test_axe_finds_nothing(reader: Reader, phantoms, course, theme):
    assert wrong_in_states(reader, phantoms, course, theme, violations, "axe") == {}


def test_large_text_leaves_nothing_smaller_than_14_px(reader: Reader, phantoms, course):
    page = reader.open()
    choose_look(page, "Large")
    for state in (search_open, patient_tracks, patient_pair, map_of_lesions):
        page = reader.open()
        state(page, phantoms, course)
        smallest = page.evaluate(
            """() => Math.min(...[...document.querySelectorAll("body *")]
              .filter((one) => one.checkVisibility() && [...one.childNodes].some(
                (node) => node.nodeType === 3 && node.textContent.trim()))
              .map((one) => parseFloat(getComputedStyle(one).fontSize)))"""
        )
        assert smallest >= 14, state.__name__
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        reader.shoot(f"large_text_{state.__name__}")


def test_a_list_is_one_stop_of_the_tab_key(reader: Reader, course):
    page = reader.open()
    rows = page.locator(".lesion-rows [data-lesion]")
    expect(rows.first).to_be_visible()
    expect(page.locator(".lesion-rows [data-lesion]:not([tabindex='-1'])")).to_have_count(1)
    page.get_by_role("searchbox", name="Patient").focus()
    page.keyboard.press("Tab")
    expect(rows.first).to_be_focused()
    page.keyboard.press("ArrowDown")
    expect(rows.nth(1)).to_be_focused()
    page.keyboard.press("End")
    expect(rows.last).to_be_focused()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('.lesion-rows') === null")


def test_the_first_stop_skips_to_the_main_part(reader: Reader):
    page = reader.open()
    expect(page.get_by_text("Which lesion?")).to_be_visible()
    page.keyboard.press("Tab")
    skip = page.get_by_role("button", name="Skip to the main part")
    expect(skip).to_be_focused()
    page.keyboard.press("Enter")
    expect(page.locator("main")).to_be_focused()
