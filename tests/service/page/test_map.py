"""Map: a lesion found with the pointer, many by a lasso; thousands that move."""

from __future__ import annotations

import csv
import json
import os

import numpy as np
from playwright.sync_api import Locator, Page, expect

from retrieval.lesion import LesionType
from tests.service.browser import Reader
from tests.service.page.hand import hits
from tests.service.page.test_accessibility import violations
from tests.service.page.test_output import saved


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


def test_lesions_within_a_lasso_are_listed_hidden_apart_and_exported(reader: Reader, phantoms):
    page = reader.open("#/map")
    expect(page.locator(".legend-row").first).to_be_visible()
    page.keyboard.press("l")
    expect(page.get_by_role("button", name="Lasso")).to_have_attribute("aria-pressed", "true")
    area = page.locator(".plot canvas").bounding_box()
    assert area is not None
    corners = [(0.01, 0.01), (0.99, 0.01), (0.99, 0.99), (0.01, 0.99)]
    places = [(area["x"] + x * area["width"], area["y"] + y * area["height"]) for x, y in corners]
    page.mouse.move(*places[0])
    page.mouse.down()
    for place in places[1:]:
        page.mouse.move(*place, steps=5)
    page.mouse.up()
    chosen = page.get_by_label("Chosen lesions", exact=True)
    expect(chosen.get_by_role("heading")).to_have_text(f"{len(phantoms.lesions)} lesions")
    expect(chosen.locator("a.row")).to_have_count(len(phantoms.lesions))
    rows = list(csv.DictReader(saved(page, "Table", ".map-chosen").decode().splitlines()))
    assert {row["lesion_id"] for row in rows} == {one.lesion_id for one in phantoms.lesions}
    chosen.get_by_role("button", name="Only these").click()
    reader.shoot("map_lasso")
    page.keyboard.press("Escape")
    expect(chosen).to_have_count(0)


def test_chosen_lesions_are_tagged_as_a_reader_says(reader: Reader, phantoms, engine):
    """Without a pointer: the legend leaves the bones, `s` chooses what is shown."""

    def bones_said() -> set[tuple[str, float, str]]:
        records = engine.index.records([one.lesion_id for one in phantoms.lesions])
        return {
            (record.lesion.lesion_id, tag.probability, tag.source.value)
            for record in records
            for tag in record.lesion.tags
            if tag.term == "calcified"
        }

    bones = {one.lesion_id for one in phantoms.lesions if one.lesion_type is LesionType.BONE}
    page = reader.open("#/map")
    expect(page.locator(".legend-row").first).to_be_visible()
    for row in page.locator(".legend-row").all():
        if "bone" not in row.inner_text():
            row.click()
    page.keyboard.press("s")
    chosen = page.get_by_label("Chosen lesions", exact=True)
    expect(chosen.get_by_role("heading")).to_have_text(f"{len(bones)} lesions")
    has_it = chosen.get_by_role("button", name="Has it", exact=True)
    has_it.click()
    expect(chosen).to_contain_text("Name a term first")
    reader.refusals = {422}
    chosen.get_by_label("Term", exact=True).fill("no such term")
    has_it.click()
    expect(chosen).to_contain_text(f"0 of {len(bones)} done.")
    chosen.get_by_label("Term", exact=True).fill("calcified")
    has_it.click()
    expect(chosen).to_contain_text("as a reader says")
    assert bones_said() == {(name, 1.0, "reader") for name in bones}
    assert violations(page) == []
    reader.shoot("map_tagged")
    chosen.get_by_role("button", name="Has it not").click()
    expect(chosen).to_contain_text("not “calcified”")
    assert bones_said() == {(name, 0.0, "reader") for name in bones}
    chosen.get_by_role("button", name="Take back").click()
    expect(chosen).to_contain_text("taken back")
    assert bones_said() == set()


def test_32_735_points_pan_at_30_frames_a_second(reader: Reader, screenshots):
    """As many as DeepLesion has, in the places of a wide cloud; only the map is not the index's."""
    rng = np.random.default_rng(0)
    xy = np.clip(rng.normal(0.5, 0.16, (32_735, 2)), 0, 1).round(5).tolist()
    types = ["liver", "lung", "bone", "abdomen", "kidney", "pelvis", "mediastinum", "soft tissue"]
    points = [
        {
            "lesion_id": f"l{place}",
            "x": x,
            "y": y,
            "lesion_type": types[place % 8],
            "long_mm": 5.0 + place % 60,
            "patient_id": f"p{place // 3}",
            "category": None,
        }
        for place, (x, y) in enumerate(xy)
    ]
    document = {"method": "umap", "total": len(points), "points": points}
    page = reader.page
    reader.refusals = {404}
    page.route("**/v1/map?*", lambda route: route.fulfill(json=document))
    reader.open("#/map")
    expect(page.locator(".map-side")).to_contain_text("32,735 lesions by UMAP")
    page.locator(".plot canvas").hover()
    page.keyboard.press("+")
    frames = page.evaluate(
        """async () => {
          const canvas = document.querySelector(".plot canvas");
          const send = (kind, x) => canvas.dispatchEvent(new PointerEvent(kind, {
            pointerId: 1, clientX: 500 + x, clientY: 400, bubbles: true, buttons: 1}));
          canvas.setPointerCapture = () => {};
          send("pointerdown", 0);
          const times = [];
          for (let frame = 0; frame < 60; frame += 1) {
            send("pointermove", 4 * frame);
            times.push(await new Promise(requestAnimationFrame));
          }
          send("pointerup", 240);
          const gaps = times.slice(1).map((time, place) => time - times[place]);
          return gaps.sort((a, b) => a - b);
        }"""
    )
    busy = max(1.0, os.getloadavg()[0] / (os.cpu_count() or 1))
    median = frames[len(frames) // 2]
    told = {"points": len(points), "frames_per_second": round(1000 / median, 1), "busy": busy}
    (screenshots / "map_frames.json").write_text(json.dumps(told))
    reader.shoot("map_32735")
    # The bound is for a machine that does nothing else; one that is busy takes its load more.
    assert 1000 / median >= 30 / busy, told
