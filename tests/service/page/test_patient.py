"""Patient: its tracks, and a match confirmed and taken back."""

from __future__ import annotations

from playwright.sync_api import expect

from retrieval.tracking.searched import SearchedStudy
from service.http.examples.answers import EXAMPLES
from tests.service.browser import Reader


def test_a_patients_match_is_confirmed_and_taken_back(reader: Reader, engine, course):
    patient = course[0]
    page = reader.open("#/patient")
    expect(page.get_by_text("Which patient?")).to_be_visible()
    page.locator(f"[data-patient='{patient}']").click()
    expect(page.locator(".track-row").first).to_be_visible()
    expect(page.locator(".diameters circle").first).to_be_visible()
    expect(page.locator(".study-head .category").first).to_be_visible()
    reader.shoot("patient")
    page.locator(".link-score").first.click()
    expect(page.locator(".drawer .note.top-right")).to_have_count(2)
    for note in page.locator(".drawer .note.top-right").all():
        expect(note).to_contain_text("slice")
    page.get_by_role("button", name="Same lesion").click()
    expect(page.locator(".priors .state-word", has_text="confirmed").first).to_be_visible()
    assert [match.verdict for match in engine.index.matches(patient)] == ["confirmed"]
    reader.shoot("patient_confirmed")
    page.keyboard.press("u")
    expect(page.locator(".state-word", has_text="confirmed")).to_have_count(0)
    assert engine.index.matches(patient) == []
    page.keyboard.press("n")
    expect(page.get_by_text("A reader said: two different lesions.")).to_be_visible()
    assert [match.verdict for match in engine.index.matches(patient)] == ["rejected"]
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.get_by_text("Same lesion with probability")).to_be_visible()
    page.keyboard.press("o")
    expect(page.locator(".link-score").first).to_be_visible()
    expect(page.get_by_text("A reader said")).to_have_count(0)
    assert engine.index.matches(patient) == []


def test_the_pair_is_large_and_moves_as_one(reader: Reader, course):
    page = reader.open(f"#/patient?id={course[0]}")
    page.locator(".link-score").first.click()
    panes = page.locator(".drawer .pane")
    for pane in panes.all():
        expect(pane.locator(".note.top-right")).to_contain_text("key slice")
    widths = [pane.bounding_box()["width"] for pane in panes.all()]
    assert sum(widths) > 0.98 * page.viewport_size["width"]
    chosen = page.locator(".priors [aria-pressed='true']")
    expect(chosen).to_have_count(2)
    before = chosen.all_inner_texts()
    page.keyboard.press("ArrowRight")
    expect(page.locator(".priors [data-role='prior']")).to_contain_text(before[1].splitlines()[0])
    page.keyboard.press("ArrowLeft")
    expect(page.locator(".priors [data-role='prior']")).to_contain_text(before[0].splitlines()[0])
    for pane, study in zip(panes.all(), before, strict=True):
        expect(pane.locator(".note.top-left")).to_contain_text(study.splitlines()[0])
    page.keyboard.press("ArrowDown")
    for pane in panes.all():
        expect(pane.locator(".note.top-right")).to_contain_text("below the key slice")
    page.keyboard.press("m")
    divider = page.get_by_label("Divider between prior and current")
    expect(divider).to_be_visible()
    boxes = [pane.bounding_box() for pane in panes.all()]
    assert boxes[0] == boxes[1]
    divider.fill("20")
    clip = "node => getComputedStyle(node).clipPath"
    assert panes.nth(1).evaluate(clip) == "inset(0px 0px 0px 20%)"
    reader.shoot("pair_swipe")
    page.get_by_role("button", name="Flicker").click()
    for shown in (True, False, True):
        expect(panes.nth(1)).to_be_visible(visible=shown)
    page.keyboard.press("v")
    page.get_by_role("button", name="Side by side").click()
    expect(panes.nth(1)).to_be_visible()
    reader.shoot("pair_large")
    page.keyboard.press("o")
    expect(page.locator(".track-row").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator(".drawer")).to_be_hidden()


def test_a_kept_search_makes_a_lesion_vanished(reader: Reader, engine, course):
    patient, lesion = course
    search = SearchedStudy(lesion.lesion_id, "9999_later", "not found", 0.98, 0.03, (4, 40), 120)
    engine.index.searches.keep([search])
    try:
        page = reader.open(f"#/patient?id={patient}")
        gap = page.locator(".gap[title*='slices 4 to 40, 98% of where it may lie']")
        expect(gap).to_have_text("vanished")
        reader.shoot("patient_vanished")
    finally:
        engine.index.searches.forget(lesion.lesion_id, "9999_later")


def test_an_unknown_patient_is_told(reader: Reader):
    reader.refusals = {404}
    page = reader.open("#/patient?id=nobody")
    expect(page.get_by_role("alert")).to_contain_text("nobody")


def test_a_forecast_is_a_fan_or_says_why_there_is_none(reader: Reader, course):
    """One fan, on its track, of the API's example: the phantoms have too few courses for one."""
    patient, lesion = course
    page = reader.open(f"#/patient?id={patient}&a={lesion.lesion_id}")
    forecast = page.get_by_label("Forecast", exact=True)
    forecast.get_by_role("button", name="Forecast").click()
    expect(forecast).to_contain_text("No forecast: ")
    example = EXAMPLES["ForecastOut"]
    found = {**example, "lesion": {**example["lesion"], "lesion_id": lesion.lesion_id}}
    page.route("**/forecast", lambda route: route.fulfill(json=found))
    reader.open(f"#/patient?id={patient}&a={lesion.lesion_id}")
    page.keyboard.press("Tab")
    expect(page.locator(".track-row").first).to_be_visible()
    page.keyboard.press("p")
    outlook = EXAMPLES["ForecastOut"]["outlook"]
    expect(forecast).to_contain_text(f"{outlook['median']:.1f} mm")
    expect(page.locator(".diameters .fan-band")).to_have_count(len(outlook["ranges"]))
    expect(page.locator(".fan-band")).to_have_count(len(outlook["ranges"]))
    reader.shoot("patient_forecast")


def test_one_appearance_is_seen_beside_the_sheet(reader: Reader, course):
    patient, lesion = course
    page = reader.open(f"#/patient?id={patient}&a={lesion.lesion_id}")
    pane = page.locator(".drawer .pane").first
    expect(pane.locator(".note.top-right")).to_contain_text("key slice")
    box, drawer = pane.bounding_box(), page.locator(".drawer").bounding_box()
    assert box["height"] > drawer["height"] / 2
    assert box["width"] > 0.95 * drawer["width"]
    reader.shoot("patient_one")
