"""Patient: its tracks, and a match confirmed and taken back."""

from __future__ import annotations

from playwright.sync_api import expect

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
    expect(page.locator(".state-word", has_text="confirmed").first).to_be_visible()
    assert [match.verdict for match in engine.index.matches(patient)] == ["confirmed"]
    reader.shoot("patient_confirmed")
    page.keyboard.press("u")
    expect(page.locator(".state-word", has_text="confirmed")).to_have_count(0)
    assert engine.index.matches(patient) == []
    page.keyboard.press("n")
    expect(page.get_by_text("A reader said: two different lesions.")).to_be_visible()
    assert [match.verdict for match in engine.index.matches(patient)] == ["rejected"]
    page.get_by_role("button", name="Undo", exact=True).click()
    expect(page.locator(".link-score").first).to_be_visible()
    expect(page.get_by_text("A reader said")).to_have_count(0)
    assert engine.index.matches(patient) == []


def test_an_unknown_patient_is_told(reader: Reader):
    reader.refusals = {404}
    page = reader.open("#/patient?id=nobody")
    expect(page.get_by_role("alert")).to_contain_text("nobody")
