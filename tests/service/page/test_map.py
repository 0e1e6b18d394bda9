"""Map: a lesion found with the pointer, and searched from."""

from __future__ import annotations

from playwright.sync_api import Locator, Page, expect

from tests.service.browser import Reader
from tests.service.page.hand import hits


def test_the_map_shows_a_lesion_and_searches_from_it(reader: Reader, phantoms):
    page = reader.open("#/map")
    expect(page.locator(".legend-row").first).to_be_visible()
    counted = [int(row.split()[-1]) for row in page.locator(".legend-row").all_inner_texts()]
    assert sum(counted) == len(phantoms.lesions)
    canvas = page.locator(".plot canvas")
    canvas.focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".tip")).to_contain_text("mm")
    expect(page.locator(".tip img")).to_be_visible()
    reader.shoot("map")
    page.keyboard.press("Escape")
    expect(page.locator(".tip")).to_be_hidden()
    for colouring in ("Size", "Patient"):
        page.locator(".map-side").get_by_role("button", name=colouring).click()
        assert f"colour={colouring.lower()}" in page.url
        reader.shoot(f"map_{colouring.lower()}")
    found = point_under_the_pointer(page, canvas)
    page.mouse.click(*found)
    page.wait_for_url("**/#/search?lesion=*")
    expect(hits(page).first).to_be_visible()


def point_under_the_pointer(page: Page, canvas: Locator) -> tuple[float, float]:
    """Moves over the map until a lesion is told, as one does who looks for it."""
    area = canvas.bounding_box()
    assert area is not None
    for row in range(20, int(area["height"]), 16):
        for column in range(20, int(area["width"]), 16):
            at = (area["x"] + column, area["y"] + row)
            page.mouse.move(*at)
            if canvas.get_attribute("data-over") == "point":
                return at
    raise AssertionError("no point of the map can be found with the pointer")
