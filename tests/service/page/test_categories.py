"""Categories of the DeepLesion sample on the page: tree, members, facet, colours of the map."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.service.browser import reading
from tests.service.page.hand import hits
from tests.service.page.test_accessibility import choose_look, violations

LESION = "000001_02_01_017_x256_y291"


@pytest.fixture
def looked(browser, known_sample, screenshots):
    with reading(browser, known_sample.address, screenshots, (1440, 900)) as opened:
        yield opened


def members(known_sample, *categories):
    return sorted(one.lesion_id for one in known_sample.lesions if one.category in categories)


def in_order(page):
    return [one.get_attribute("data-lesion") for one in page.locator(".member").all()]


def shown(page):
    return sorted(in_order(page))


def test_the_tree_is_walked_by_keys_and_every_node_shows_its_lesions(looked, known_sample):
    page = looked.open()
    expect(page.get_by_role("link", name="Categories")).to_be_visible()
    page.keyboard.press("g")
    page.keyboard.press("c")
    nodes = page.locator(".category-tree [data-node]")
    expect(nodes).to_have_count(2 * 3 - 1)
    expect(page.locator(".category-tree .leaf[aria-pressed=true]")).to_have_count(1)
    nodes.first.focus()
    for place in range(5):
        focused = nodes.nth(place)
        expect(focused).to_be_focused()
        page.keyboard.press("Enter")
        expect(focused).to_have_attribute("aria-pressed", "true")
        leaves = (
            focused.locator("xpath=..")
            .locator(".leaf")
            .evaluate_all("all => all.map((one) => one.dataset.node)")
        )
        wanted = members(known_sample, *leaves)
        expect(page.locator(".member")).to_have_count(len(wanted))
        assert shown(page) == wanted
        sure = [known_sample.lesion(one).category_confidence for one in in_order(page)]
        assert sure == sorted(sure, reverse=True)
        expect(page.locator(".node-head")).to_contain_text(f"{len(wanted)} lesion")
        page.keyboard.press("ArrowDown")
    assert len(known_sample.lesions) == len(members(known_sample, *known_sample.categories))
    page.locator(".member").first.click()
    page.wait_for_url("**/#/search?lesion=*")
    expect(hits(page).first).to_be_visible()


def test_a_node_filters_the_search_and_colours_the_map(looked, known_sample):
    page = looked.open("#/categories")
    leaf = page.locator(".category-tree .leaf").first
    name = leaf.get_attribute("data-node")
    leaf.click()
    page.get_by_role("link", name="On the map").click()
    expect(page.get_by_role("button", name="Category", exact=True)).to_have_attribute(
        "aria-pressed", "true"
    )
    side = page.locator(".map-side")
    assert side.evaluate("node => node.scrollWidth <= node.clientWidth")
    page.go_back()
    page.get_by_role("link", name="Search among these").click()
    expect(page.locator(".filter-summary")).to_have_text(f'category="{name}"')
    page.locator(f".lesion-rows [data-lesion='{LESION}']").click()
    expect(hits(page).first).to_be_visible()
    page.wait_for_load_state("networkidle")
    found = {card.get_attribute("data-lesion") for card in hits(page).all()}
    assert found
    assert found <= set(members(known_sample, name))


def test_the_facet_and_the_strip_of_the_nearest_ten_choose_categories(looked, known_sample):
    page = looked.open(f"#/search?lesion={LESION}")
    expect(hits(page).first).to_be_visible()
    strip = page.locator(".summary .tag-row", has_text="Categories")
    chip = strip.locator("button").first
    words = chip.inner_text().rsplit(" ", 1)[0]
    chip.click()
    page.wait_for_url("**category=*")
    facet = page.get_by_role("group", name="Categories")
    chosen = facet.locator(".chip", has=page.locator(":checked"))
    expect(chosen).to_have_count(1)
    expect(chosen).to_contain_text(words)
    expect(
        page.locator(".summary .tag-row", has_text="Categories").locator("button")
    ).to_have_count(1)
    other = facet.locator(".chip:not(:has(:checked))").first
    other.click()
    expect(facet.locator(":checked")).to_have_count(2)
    expect(page.locator(".filter-summary")).to_contain_text('","')
    page.get_by_role("button", name="Clear", exact=True).click()
    expect(facet.locator(":checked")).to_have_count(0)
    assert "category=" not in page.url


def test_the_looks_of_the_tree(looked):
    page = looked.open()
    for theme in ("Light", "Dark"):
        choose_look(page, theme)
        page = looked.open("#/categories")
        expect(page.locator(".member img").first).to_be_visible()
        for width, height in ((1000, 700), (1440, 900), (1920, 1080)):
            page.set_viewport_size({"width": width, "height": height})
            looked.shoot(f"categories_{theme.lower()}")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert violations(page) == []


def test_an_index_without_categories_shows_nothing_of_them(reader, course):
    page = reader.open(f"#/search?lesion={course[1].lesion_id}")
    expect(hits(page).first).to_be_visible()
    expect(page.locator("nav [data-view=map]")).to_be_visible()
    expect(page.locator("nav [data-view=categories]")).to_be_hidden()
    page.locator(".filters summary").click()
    expect(page.locator(".category-chips")).to_be_hidden()
    expect(page.locator(".summary")).not_to_contain_text("Categories")
    page = reader.open("#/categories")
    expect(page.get_by_text("No categories here")).to_be_visible()
