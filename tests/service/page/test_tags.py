"""Tags of a lesion of the DeepLesion sample: where each comes from, and a reader's last word."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from retrieval.tag import Tag, TagSource
from tests.service.browser import reading
from tests.service.page.hand import hits
from tests.service.page.patients import TAGGED as LESION
from tests.service.page.test_accessibility import choose_look, violations


@pytest.fixture
def looked(browser, known_sample, screenshots):
    with reading(browser, known_sample.address, screenshots, (1000, 700)) as opened:
        yield opened


def test_a_reader_sees_all_tags_and_has_the_last_word(looked, known_sample):
    page = looked.open(f"#/search?lesion={LESION}")
    expect(hits(page).first).to_be_visible()
    page.get_by_role("button", name="Tags 2").click()
    dialog = page.get_by_role("dialog", name="Tags")
    lines = dialog.locator(".tag-line")
    expect(lines).to_have_count(2)
    expect(dialog.locator("[data-term=calcified]")).to_contain_text("predicted from the image")
    expect(dialog.locator("[data-term=calcified]")).to_contain_text("0.62")
    for theme in ("Light", "Dark"):
        page.keyboard.press("Escape")
        choose_look(page, theme)
        page.get_by_role("button", name="Tags 2").click()
        looked.shoot(f"tags_{theme.lower()}")
        assert violations(page) == []
    dialog.get_by_role("button", name="calcified does not hold").click()
    expect(dialog.locator("[data-term=calcified]")).to_contain_text("does not hold")
    expect(dialog.locator("[data-term=calcified]")).to_contain_text("tagged by a reader")
    dialog.get_by_label("Another term").fill("lymphadenopathy")
    page.keyboard.press("Enter")
    expect(dialog.locator("[data-term=lymphadenopathy]")).to_contain_text("tagged by a reader")
    page.keyboard.press("Escape")
    # What is denied is no tag.
    expect(page.get_by_role("button", name="Tags 2")).to_be_visible()
    kept = {one.term: one for one in known_sample.index.get(LESION).lesion.tags}
    assert kept["calcified"] == Tag("calcified", 0.0, TagSource.READER)
    assert kept["lymphadenopathy"] == Tag("lymphadenopathy", 1.0, TagSource.READER)
    page.get_by_role("button", name="Tags 2").click()
    dialog.get_by_role("button", name="Take back the word on lymphadenopathy").click()
    expect(dialog.locator("[data-term=lymphadenopathy]")).to_have_count(0)
    assert len(known_sample.index.get(LESION).lesion.tags) == 2


def test_a_term_that_is_none_is_told(looked):
    looked.refusals = {404, 422}
    page = looked.open(f"#/search?lesion={LESION}&open=000053_04_01_042_x290_y215")
    page.locator(".pane.hit .tags-button").click()
    dialog = page.get_by_role("dialog", name="Tags")
    dialog.get_by_label("Another term").fill("purple")
    dialog.get_by_role("button", name="Add").click()
    expect(dialog.get_by_role("status")).to_contain_text("purple")
    expect(dialog.locator(".tag-line")).to_have_count(0)
