"""The states of the page that a reader meets, each reached as a reader reaches it."""

from __future__ import annotations

from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.service.browser import Reader
from tests.service.page.hand import hits, upload


def settled(page: Page) -> None:
    page.wait_for_load_state("networkidle")
    expect(page.locator(".skeleton")).to_have_count(0)


def search_empty(page, phantoms, course):
    expect(page.get_by_text("Which lesion?")).to_be_visible()
    expect(page.locator(".lesion-rows [data-lesion]").first).to_be_visible()


def search_results(page, phantoms, course):
    page.locator(f".lesion-rows [data-lesion='{course[1].lesion_id}']").click()
    expect(hits(page).first).to_be_visible()


def search_open(page, phantoms, course):
    search_results(page, phantoms, course)
    page.locator(".filters summary").click()
    hits(page).first.click()
    page.keyboard.press("t")
    expect(page.locator(".pane.hit .note.top-left")).to_contain_text("patient")


def search_marked(page, phantoms, course):
    upload(page, phantoms, phantoms.lesions[0])
    page.keyboard.press("d")
    expect(page.get_by_text("Click a proposal")).to_be_visible()


def search_words(page, phantoms, course):
    page.get_by_role("combobox", name="Search by words").fill("liver lesion over 5 mm")
    page.keyboard.press("Enter")
    expect(page.get_by_role("group", name="Understood words")).to_be_visible()


def patient_one(page, phantoms, course):
    patient_tracks(page, phantoms, course)
    page.locator(".track-patch").first.click()
    page.keyboard.press("p")
    expect(page.get_by_label("Forecast", exact=True)).to_contain_text("forecast")


def patient_list(page, phantoms, course):
    page.locator("nav [data-view=patient]").click()
    expect(page.get_by_text("Which patient?")).to_be_visible()


def patient_tracks(page, phantoms, course):
    patient_list(page, phantoms, course)
    page.locator(f"[data-patient='{course[0]}']").click()
    expect(page.locator(".track-row").first).to_be_visible()


def patient_pair(page, phantoms, course):
    patient_tracks(page, phantoms, course)
    page.locator(".link-score").first.click()
    expect(page.locator(".drawer .note.top-left").nth(1)).to_contain_text("patient")


def patient_pair_beside(page, phantoms, course):
    patient_pair(page, phantoms, course)
    page.keyboard.press("o")
    expect(page.locator(".track-row").first).to_be_visible()


def map_of_lesions(page, phantoms, course):
    page.locator("nav [data-view=map]").click()
    expect(page.locator(".legend-row").first).to_be_visible()
    page.locator(".plot canvas").focus()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".tip img")).to_be_visible()


def keys(page, phantoms, course):
    search_empty(page, phantoms, course)
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keys")).to_be_visible()


def basket(page, phantoms, course):
    search_open(page, phantoms, course)
    page.keyboard.press("a")
    page.get_by_role("button", name="Basket").click()
    expect(page.locator(".basket-row")).to_have_count(1)


def look(page, phantoms, course):
    search_empty(page, phantoms, course)
    page.get_by_role("button", name="Look").click()
    expect(page.get_by_role("dialog", name="Look")).to_be_visible()


STATES = [
    search_empty,
    search_results,
    search_open,
    search_marked,
    search_words,
    patient_list,
    patient_tracks,
    patient_one,
    patient_pair,
    patient_pair_beside,
    map_of_lesions,
    keys,
    basket,
    look,
]


def choose_look(page: Page, name: str) -> None:
    page.get_by_role("button", name="Look").click()
    page.get_by_role("dialog").get_by_role("button", name=name, exact=True).click()
    page.keyboard.press("Escape")


def wrong_in_states(
    reader: Reader, phantoms, course, theme: str, wrong: Callable[[Page], list[str]], shot: str
) -> dict[str, list[str]]:
    """What ``wrong`` finds in every state of a theme, by state; pictures are named ``shot``."""
    choose_look(reader.open(), theme)
    found = {}
    for state in STATES:
        page = reader.open()
        state(page, phantoms, course)
        settled(page)
        if faults := wrong(page):
            found[state.__name__] = faults
        reader.shoot(f"{shot}_{theme.lower()}_{state.__name__}")
    return found
