"""Mined, over real runs: a PACS, words alone, several pages, a restart, a run that fails."""

from __future__ import annotations

from contextlib import contextmanager
from datetime import date

import pytest
from playwright.sync_api import expect

from index.lesion_index import LesionIndex
from retrieval.lesion import Recist
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.settings import Settings
from tests.retrieval.tracking.following.series import GreyEncoder
from tests.service.browser import reading, serving
from tests.service.dicom_samples import write_files
from tests.service.jobs.mining.archive_as_dicom import series_with_pixels
from tests.service.jobs.mining.carriers import WRITERS, write_marks
from tests.service.jobs.mining.drawn import Drawn
from tests.service.jobs.mining.hospital import POINTS, Study
from tests.service.jobs.mining.words import text_on_image
from tests.service.pacs.orthanc.server import PASSWORD, USER, running_orthanc
from tests.service.page.test_accessibility import choose_look, violations
from tests.service.page.test_mined import LONGEST_MS, start

MARK = Recist(tuple((float(x), float(y)) for x, y in POINTS))
MANY = 130


@pytest.fixture
def mining(browser, screenshots, tmp_path):
    """Opens the Mined view of a service that mines into the test's archive."""

    @contextmanager
    def opened(size=(1000, 700), **settings):
        encoder = GreyEncoder()
        folder = tmp_path / "index"
        has_index = folder.exists()
        index = (
            LesionIndex.open(folder)
            if has_index
            else LesionIndex.create(folder, binding_of(encoder))
        )
        with index:
            chosen = Settings(index=folder, mine_out=tmp_path / "archive", **settings)
            app = create_app(chosen, engine=SearchEngine(encoder, index))
            with serving(app) as address, reading(browser, address, screenshots, size) as reader:
                reader.open("#/mined")
                yield reader

    return opened


def marked(number, source, *, with_images):
    study = Study(f"MRN-{number}", number, date(2020, 1, 2))
    datasets = study.datasets()
    if with_images:
        write_files(datasets, source / f"ct-{number}")
    return datasets, datasets[study.key]


def test_the_pacs_is_mined(mining, tmp_path, monkeypatch):
    datasets, key = marked(1, tmp_path, with_images=False)
    with running_orthanc(tmp_path / "orthanc") as pacs:
        pacs.store([*datasets, *WRITERS["sr"]([Drawn(key, MARK)])])
        for name, value in (("URL", pacs.url), ("USER", USER), ("PASSWORD", PASSWORD)):
            monkeypatch.setenv(f"LESION_SEARCH_PACS_{name}", value)
        with mining() as reader:
            page = reader.page
            expect(page.get_by_label("Source")).to_have_text("the PACS")
            start(page)
            expect(page.locator(".run-told")).to_contain_text(
                "Done, from the PACS", timeout=LONGEST_MS
            )
            expect(page.locator(".fate-group[data-fate=kept]")).to_contain_text("kept1")
            expect(page.locator(".tile[data-fate=kept]")).to_contain_text("16.0 x 8.8 mm")
            reader.shoot("mined_pacs")


def write_real_words(source, archive):
    """The lesions of an archive told by their lengths beside their middle, on real slices."""
    count = 0
    for number, (datasets, drawn) in enumerate(series_with_pixels(archive)):
        write_files(datasets, source / str(number))
        for one in drawn:
            lengths = " x ".join(f"{mm:.0f}" for mm in one.recist.diameters_mm(one.spacing_mm_px))
            made = text_on_image(one.header, f"{lengths} mm", one.recist.box().center, f"r{count}")
            made.save_as(source / f"r{count}.dcm", enforce_file_format=True)
            count += 1
    return count


def test_words_alone_wait_for_the_detector_and_then_are_proposed(mining, tmp_path, real_data):
    source = tmp_path / "source"
    told = write_real_words(source, DeepLesionArchive.open(real_data / "deeplesion_windowed"))
    with mining(mine_sources=(source,)) as reader:
        page = reader.page
        start(page)
        waiting = page.locator(".fate-group[data-fate=waiting]")
        expect(waiting).to_contain_text(f"proposal needed{told}", timeout=LONGEST_MS)
        expect(page.locator(".fate-group[data-fate=refused]")).to_have_count(0)
        page.get_by_text("Start a run", exact=True).click()
        page.get_by_label("Let the detector look").check()
        page.get_by_role("button", name="Start mining").click()
        # What the run before left stays in sight until this one has ended.
        expect(page.get_by_role("button", name="Cancel")).to_be_visible()
        expect(waiting).to_have_count(1)
        proposed = page.locator(".marks tr[data-fate=proposed]")
        expect(proposed).to_have_count(1, timeout=LONGEST_MS)
        expect(waiting).to_have_count(0)
        expect(page.locator(".fate-group[data-fate=refused]")).to_contain_text("Refused")
        expect(page.locator(".marks tr[data-fate=refused]")).to_have_count(told - 1)
        expect(page.locator(".tile[data-fate=proposed]")).to_have_count(1)
        assert violations(page) == []
        reader.shoot("mined_proposed")


def test_many_marks_come_page_by_page_and_are_there_after_a_restart(mining, tmp_path):
    source = tmp_path / "source"
    for number in range(1, MANY + 1):
        _, key = marked(number, source, with_images=number == 1)
        write_marks("sr", [Drawn(key, MARK)], source, str(number))
    with mining(mine_sources=(source,)) as reader:
        page = reader.page
        start(page)
        rows = rows_of(page)
        refused = page.locator(".fate-group[data-fate=refused]")
        expect(refused).to_contain_text(f"no image{MANY - 1}", timeout=LONGEST_MS)
        expect(rows).to_have_count(100)
        page.get_by_role("button", name="More marks").click()
        expect(rows).to_have_count(MANY)
        expect(page.get_by_role("button", name="More marks")).to_be_hidden()
        assert len({row.get_attribute("data-mark") for row in rows.all()}) == MANY
        page.get_by_role("button", name="no image").click()
        expect(rows).to_have_count(100)
        page.get_by_role("button", name="More marks").click()
        expect(rows).to_have_count(MANY - 1)
    with mining(mine_sources=(source,)) as reader:
        page = reader.page
        expect(page.locator(".run-told")).to_contain_text("From an earlier run")
        expect(rows_of(page)).to_have_count(100)
        for theme in ("Light", "Dark"):
            choose_look(page, theme)
            for width, height in ((1000, 700), (1440, 900), (1920, 1080)):
                page.set_viewport_size({"width": width, "height": height})
                reader.shoot(f"mined_many_{theme.lower()}")
                fold_and_ids(page, height)
            assert violations(page) == []


def rows_of(page):
    return page.locator(".marks tbody tr")


def fold_and_ids(page, height):
    """The counts are seen without scrolling, no id is broken, no caption is small."""
    for group in page.locator(".fate-group").all():
        box = group.bounding_box()
        assert box is not None
        assert box["y"] + box["height"] < height - 20
    lines = page.locator(".marks .id").evaluate_all(
        "ids => ids.filter((id) => id.textContent).map((id) => id.getClientRects().length * "
        "id.offsetHeight / parseFloat(getComputedStyle(id).fontSize))"
    )
    assert lines
    assert max(lines) < 2
    sizes = page.locator(".tile span").evaluate_all(
        "all => all.map((one) => parseFloat(getComputedStyle(one).fontSize))"
    )
    assert min(sizes) >= 13
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_run_that_fails_says_why_and_can_be_started_again(mining, tmp_path):
    source = tmp_path / "source"
    with mining(mine_sources=(source,)) as reader:
        page = reader.page
        start(page)
        told = page.locator(".run-told .problem")
        expect(told).to_contain_text("The run failed", timeout=LONGEST_MS)
        expect(told).to_contain_text("does not exist")
        expect(page.get_by_text("Nothing mined yet")).to_be_visible()
        assert violations(page) == []
        reader.shoot("mined_failed")
        _, key = marked(1, source, with_images=True)
        write_marks("sr", [Drawn(key, MARK)], source, "1")
        page.get_by_role("button", name="Start mining").click()
        expect(page.locator(".tile[data-fate=kept]")).to_have_count(1, timeout=LONGEST_MS)
        expect(page.get_by_text("The run failed")).to_have_count(0)
