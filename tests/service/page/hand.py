"""What a reader's hand does on the page."""

from __future__ import annotations

from pathlib import Path

from playwright.sync_api import Locator, Page, expect


def slice_file(phantoms, lesion) -> Path:
    return phantoms.root / phantoms.source(lesion).image


def upload(page: Page, phantoms, lesion) -> None:
    """Sends a lesion's key slice as a reader would: choose the file, say its spacing, open it."""
    page.get_by_role("tab", name="Image").click()
    with page.expect_file_chooser() as chooser:
        page.locator(".upload").get_by_role("button", name="Choose files").click()
    chooser.value.set_files(slice_file(phantoms, lesion))
    source = phantoms.source(lesion)
    for axis, spacing in zip(
        ["x", "y", "slice"], (*source.spacing_mm_px, source.slice_interval_mm), strict=True
    ):
        page.locator(f"[name=spacing-{axis}]").fill(str(spacing))
    page.get_by_role("button", name="Open", exact=True).click()
    expect(page.locator(".pane.query .note.top-right")).to_contain_text("image 1 of 1")


def drag(page: Page, canvas: Locator, start: tuple[float, float], end: tuple[float, float]) -> None:
    """Drags with the mouse between two places of a canvas, given as shares of its sides."""
    area = canvas.bounding_box()
    assert area is not None
    places = [
        (area["x"] + x * area["width"], area["y"] + y * area["height"]) for x, y in (start, end)
    ]
    page.mouse.move(*places[0])
    page.mouse.down()
    page.mouse.move(*places[1], steps=4)
    page.mouse.up()


def query_canvas(page: Page) -> Locator:
    return page.locator(".pane.query .viewport > canvas")


def hits(page: Page) -> Locator:
    return page.locator(".card.hit")
