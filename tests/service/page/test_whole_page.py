"""What holds for every view: its URL, keys, size, API key and policy."""

from __future__ import annotations

import pytest
from playwright.sync_api import Error, expect

from service.http.app import create_app
from service.http.guards.keys import Role, add_key
from service.http.guards.start_token import new_start_token
from service.http.settings import Settings
from tests.service.browser import Reader, reading, serving
from tests.service.page.hand import hits


def test_the_url_brings_a_view_back(browser, address, screenshots, course):
    lesion = course[1].lesion_id
    state = f"#/search?lesion={lesion}&min=5&max=90&window=bone&k=6"
    with reading(browser, address, screenshots) as first:
        page = first.open(state)
        page.locator(".more-of").first.click()
        hits(page).nth(1).click()
        expect(page.locator(".pane.hit .note.top-right")).to_contain_text("slice")
        shared, shown = page.url, hits(page).nth(1).get_attribute("data-lesion")
    with reading(browser, address, screenshots) as second:
        page = second.open(shared.partition("/")[2].partition("/")[2].partition("/")[2])
        expect(page.locator(f".card.hit[data-lesion='{shown}']")).to_have_attribute(
            "aria-pressed", "true"
        )
        expect(page.locator(".pane.hit .note.bottom-left")).to_have_text("L 300  W 1500")
        assert page.get_by_label("Long diameter, at least mm").input_value() == "5"
        assert hits(page).count() <= 6
        page.keyboard.press("Escape")
        page.go_back()
        expect(page.locator(".pane.hit")).to_be_visible()


def test_keys_lead_through_the_page(reader: Reader):
    page = reader.open()
    expect(page.locator(".lesion-rows [data-lesion]").first).to_be_visible()
    page.keyboard.press("?")
    dialog = page.get_by_role("dialog", name="Keys")
    expect(dialog).to_contain_text("RECIST mark")
    reader.shoot("keys")
    page.keyboard.press("Escape")
    expect(dialog).to_have_count(0)
    for keys, view in (("gp", "patient"), ("gm", "map"), ("gs", "search")):
        for key in keys:
            page.keyboard.press(key)
        expect(page.locator(f"#{view}")).to_be_visible()
        expect(page.locator(f"nav [data-view={view}]")).to_have_attribute("aria-current", "page")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.matches(':focus-visible')")


@pytest.mark.parametrize("view", ["search", "patient", "map"])
def test_each_view_fits_a_small_window(browser, address, screenshots, course, view):
    patient, lesion = course
    state = {
        "search": f"#/search?lesion={lesion.lesion_id}",
        "patient": f"#/patient?id={patient}&a={lesion.lesion_id}",
        "map": f"#/map?lesion={lesion.lesion_id}",
    }[view]
    ready = {"search": ".card.hit", "patient": ".track-row", "map": ".legend-row"}[view]
    with reading(browser, address, screenshots, (1024, 700)) as small:
        page = small.open(state)
        expect(page.locator(ready).first).to_be_visible()
        if view == "search":
            hits(page).first.click()
            expect(page.locator(".pane.hit .note.top-right")).to_contain_text("slice")
        small.shoot(f"{view}_small")
        size = page.evaluate(
            "[document.documentElement.scrollWidth, document.body.scrollWidth, "
            "document.body.scrollHeight, innerWidth, innerHeight]"
        )
        assert max(size[:2]) <= size[3] == 1024
        assert size[2] <= size[4] == 700
        for region in page.locator("main:visible > :visible").all():
            box = region.bounding_box()
            assert box is not None
            assert box["x"] + box["width"] <= 1024.5


def test_a_key_is_asked_for_once_and_sent_from_then_on(browser, engine, screenshots, tmp_path):
    keys = tmp_path / "keys.json"
    secret = add_key(keys, "reader", Role.READ)
    settings = Settings(index=engine.index.path, keys=keys)
    app = create_app(settings, engine=engine)
    with serving(app) as guarded, reading(browser, guarded, screenshots) as asked:
        asked.refusals = {401}
        page = asked.open()
        dialog = page.get_by_role("dialog", name="API key")
        dialog.get_by_label("Key").fill("wrong")
        dialog.get_by_role("button", name="Use this key").click()
        expect(dialog).to_contain_text("refused")
        asked.shoot("key")
        dialog.get_by_label("Key").fill(secret)
        dialog.get_by_role("button", name="Use this key").click()
        rows = page.locator(".lesion-rows [data-lesion]")
        expect(rows.first).to_be_visible()
        picture = rows.first.locator("img")
        picture.scroll_into_view_if_needed()
        expect(picture).to_have_js_property("naturalWidth", 240)
        page.reload()
        expect(rows.first).to_be_visible()
        expect(dialog).to_have_count(0)


def test_nothing_from_elsewhere_could_be_loaded(reader: Reader):
    """The page's own policy stops a request to another origin before it leaves."""
    page = reader.open()
    with pytest.raises(Error, match="Failed to fetch"):
        page.evaluate("fetch('http://127.0.0.2:9/')")
    assert any("Content Security Policy" in said for said in reader.complaints)
    reader.complaints.clear()


def test_the_link_of_a_start_opens_the_page_and_nothing_else_does(engine, browser, screenshots):
    token = new_start_token()
    settings = Settings(index=engine.index.path, start_token=token)
    with serving(create_app(settings, engine=engine)) as address:
        with reading(browser, address, screenshots) as reader:
            page = reader.open(f"?token={token}#/map")
            expect(page.locator("canvas").first).to_be_visible()
            assert page.url == f"{address}/#/map"
            page = reader.open()
            expect(page.locator(".lesion-rows [data-lesion]").first).to_be_visible()
            assert page.evaluate("document.cookie") == ""
        with reading(browser, address, screenshots) as stranger:
            stranger.refusals.add(401)
            page = stranger.open()
            expect(page.get_by_role("dialog", name="API key")).to_be_visible()
