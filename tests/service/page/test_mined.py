"""Mined: a run started on the page, what it kept, what it refused and why, with its picture."""

from __future__ import annotations

from datetime import date

import pytest
from playwright.sync_api import expect

from index.lesion_index import LesionIndex
from retrieval.lesion import Recist
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.settings import Settings
from tests.retrieval.tracking.following.series import GreyEncoder
from tests.service.browser import Reader, reading, serving
from tests.service.dicom_samples import write_files
from tests.service.jobs.mining.carriers import write_marks
from tests.service.jobs.mining.drawn import Drawn
from tests.service.jobs.mining.hospital import POINTS, Study
from tests.service.page.test_accessibility import choose_look, violations

LONGEST_MS = 400_000
"""A run is a process of its own at low priority, which first imports all that it needs."""


@pytest.fixture(scope="module")
def mining_address(tmp_path_factory):
    """A service that may mine three patients with a report each, and one without images."""
    folder = tmp_path_factory.mktemp("mined")
    recist = Recist(tuple((float(x), float(y)) for x, y in POINTS))
    for number in range(1, 5):
        one = Study(f"MRN-{number}", number, date(2020, 1, number))
        datasets = one.datasets()
        if number < 4:
            write_files(datasets, folder / "source" / str(number))
        write_marks("sr", [Drawn(datasets[one.key], recist)], folder / "source", str(number))
    encoder = GreyEncoder()
    with LesionIndex.create(folder / "index", binding_of(encoder)) as index:
        settings = Settings(
            index=index.path, mine_out=folder / "archive", mine_sources=(folder / "source",)
        )
        with serving(create_app(settings, engine=SearchEngine(encoder, index))) as running:
            yield running


@pytest.fixture
def miner(browser, mining_address, screenshots):
    with reading(browser, mining_address, screenshots) as opened:
        yield opened


def start(page) -> None:
    for words in ("Let the detector look", "Estimate body positions"):
        page.get_by_label(words).uncheck()
    page.get_by_role("button", name="Start mining").click()


def test_a_run_shows_what_it_kept_and_what_it_refused(miner: Reader):
    page = miner.open()
    page.locator("nav [data-view=mined]").click()
    expect(page.get_by_text("Nothing mined yet")).to_be_visible()
    miner.shoot("mined_empty")
    start(page)
    page.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("the next run goes on from there")).to_be_visible()
    start(page)
    expect(page.locator(".run-told progress, .run-told .spinner")).to_be_visible()
    expect(page.locator(".run-told")).to_contain_text("Done, from the folders", timeout=LONGEST_MS)
    expect(page.locator(".counts")).to_contain_text("3 lesions of 3 patients")
    expect(page.locator(".fate-group[data-fate=kept]")).to_contain_text("kept3")
    expect(page.locator(".fate-group[data-fate=refused]")).to_contain_text("no image1")
    expect(page.locator(".marks tbody tr")).to_have_count(4)
    expect(page.locator(".marks tr[data-fate=kept]").first).to_contain_text("16.0 × 8.8 mm")
    tile = page.locator(".tile[data-fate=kept] canvas").first
    expect(tile).to_be_visible()
    seen = "one => new Set(one.getContext('2d').getImageData(0, 0, 224, 224).data).size"
    assert tile.evaluate(seen) > 20, "a picture, not one grey"
    page.get_by_text("Start a run", exact=True).click()
    expect(page.get_by_role("button", name="Start mining")).to_be_visible()
    page.get_by_role("button", name="no image").click()
    expect(page.locator(".marks tbody tr")).to_have_count(1)
    refused = page.locator(".marks tr[data-fate=refused]")
    expect(refused.locator("td").nth(1)).not_to_be_empty()
    assert "MRN" not in page.locator(".marks").inner_text()
    # The address brings it back, after the service's last run.
    page = miner.open(page.url.partition(miner.address)[2].lstrip("/"))
    expect(page.locator(".marks tbody tr")).to_have_count(1)
    page.get_by_role("button", name="all marks").click()
    expect(page.locator(".marks tbody tr")).to_have_count(4)
    for theme in ("Light", "Dark"):
        choose_look(page, theme)
        for width, height in ((1000, 700), (1280, 800), (1920, 1080)):
            page.set_viewport_size({"width": width, "height": height})
            miner.shoot(f"mined_{theme.lower()}")
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        assert violations(page) == []


def test_where_nothing_can_be_mined_nothing_is_offered(reader: Reader):
    page = reader.open()
    expect(page.locator("nav [data-view=map]")).to_be_visible()
    expect(page.locator("nav [data-view=mined]")).to_be_hidden()
    page = reader.open("#/mined")
    expect(page.get_by_text("Nothing to mine here")).to_be_visible()
