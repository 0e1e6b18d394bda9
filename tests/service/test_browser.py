"""The page in a real browser: its three views driven by clicks and keys over phantom patients."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

import pytest
from playwright.sync_api import Error, Locator, Page, expect, sync_playwright

from index.lesion_index import LesionIndex
from retrieval.detection.proposals import Proposal
from retrieval.lesion import Box
from retrieval.sources.deeplesion import DeepLesionArchive
from retrieval.sources.phantom.archive import generate_archive
from service.app import create_app
from service.engine import SearchEngine, binding_of
from service.guards.keys import Role, add_key
from service.indexing import index_archive
from service.settings import Settings
from tests.service.browser import (
    ARGUMENTS,
    CHROMIUM,
    Reader,
    reading,
    screenshot_folder,
    serving,
)
from tests.service.detectors import FixedDetector
from tests.service.samples import ToyEncoder

expect.set_options(timeout=40_000)

pytestmark = pytest.mark.skipif(not Path(CHROMIUM).is_file(), reason="no chromium on this machine")


@pytest.fixture(scope="module")
def phantoms(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantoms") / "archive"
    generate_archive(root, patients=3, seed=7, first_patient=2)
    return DeepLesionArchive.open(root)


@pytest.fixture(scope="module")
def engine(phantoms, tmp_path_factory):
    encoder = ToyEncoder()
    folder = tmp_path_factory.mktemp("phantom_index") / "index"
    with LesionIndex.create(folder, binding_of(encoder)) as index:
        index_archive(phantoms, index, encoder)
        marked = phantoms.lesions[0].box
        detector = FixedDetector(Proposal(marked, 0.91), Proposal(Box(20, 20, 44, 40), 0.42))
        yield SearchEngine(encoder, index, detector)


@pytest.fixture(scope="module")
def address(engine):
    with serving(create_app(Settings(index=engine.index.path), engine=engine)) as running:
        yield running


@pytest.fixture(scope="module")
def screenshots(tmp_path_factory):
    return screenshot_folder(tmp_path_factory)


@pytest.fixture(scope="module")
def browser():
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        yield opened
        opened.close()


@pytest.fixture
def reader(browser, address, screenshots):
    with reading(browser, address, screenshots) as opened:
        yield opened


@pytest.fixture(scope="module")
def course(phantoms):
    """A patient with at least three studies, and one of the lesions."""
    studies = defaultdict(set)
    for lesion in phantoms.lesions:
        studies[lesion.patient_id].add(lesion.study_id)
    patient = max(studies, key=lambda name: len(studies[name]))
    return patient, next(x for x in phantoms.lesions if x.patient_id == patient)


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
    expect(page.locator(".pane.query .note.top-right")).to_have_text("slice 1")


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
    return page.locator(".pane.query canvas")


def hits(page: Page) -> Locator:
    return page.locator(".card.hit")


def test_an_image_is_uploaded_marked_and_searched_with(reader: Reader, phantoms, course):
    page = reader.open()
    expect(page.get_by_text("Which lesion?")).to_be_visible()
    expect(page.locator("footer")).to_contain_text("Research use only. Not a medical device")
    reader.shoot("search_empty")
    upload(page, phantoms, course[1])
    expect(page.get_by_text("Mark the lesion")).to_be_visible()
    drag(page, query_canvas(page), (0.40, 0.42), (0.52, 0.54))
    expect(hits(page).first).to_be_visible()
    assert re.search(r"box=[\d.]+%2C[\d.]+%2C[\d.]+%2C[\d.]+", page.url)
    reader.shoot("search_box")
    page.keyboard.press("r")
    drag(page, query_canvas(page), (0.40, 0.50), (0.53, 0.46))
    assert "recist=" not in page.url, "one diameter is half a mark"
    drag(page, query_canvas(page), (0.45, 0.43), (0.48, 0.53))
    page.wait_for_url("**recist=*")
    expect(hits(page).first).to_be_visible()
    reader.shoot("search_recist")
    corners = [float(edge) for edge in page.url.split("recist=")[1].split("&")[0].split("%2C")]
    assert len(corners) == 8


def test_a_result_opens_beside_the_query_and_both_windows_are_one(reader: Reader, course):
    page = reader.open(f"#/search?lesion={course[1].lesion_id}")
    hits(page).first.click()
    result = page.locator(".pane.hit")
    expect(result.locator(".note.top-right")).to_contain_text("slice")
    expect(result.locator(".pane-heading b")).to_contain_text("1")
    reader.shoot("search_compare")
    levels = page.locator(".pane .note.bottom-left")
    page.keyboard.press("1")
    expect(levels).to_have_text(["L −600  W 1500"] * 2)
    assert "window=lung" in page.url
    before = page.url
    drag(page, result.locator("canvas"), (0.4, 0.4), (0.6, 0.5))
    expect(levels.first).not_to_have_text("L −600  W 1500")
    assert levels.all_inner_texts()[0] == levels.all_inner_texts()[1]
    assert page.url != before
    page.keyboard.press("ArrowRight")
    expect(result.locator(".pane-heading b")).to_contain_text("2")
    page.keyboard.press("Escape")
    expect(result).to_be_hidden()
    hits(page).first.click()
    opened = hits(page).first.get_attribute("data-lesion")
    page.keyboard.press("Escape")
    hits(page).first.click()
    page.get_by_role("button", name="Search from it").click()
    assert f"lesion={opened}" in page.url


def test_slices_are_scrolled_by_wheel_and_keys(reader: Reader, phantoms, course):
    lesion = course[1]
    page = reader.open(f"#/search?lesion={lesion.lesion_id}")
    shown = page.locator(".pane.query .note.top-right")
    key = lesion.key_slice_index
    expect(shown).to_contain_text(f"slice {key} ")
    page.keyboard.press("ArrowDown")
    expect(shown).to_contain_text(f"slice {key + 1} ")
    page.keyboard.press("ArrowUp")
    expect(shown).to_contain_text(f"slice {key} ")
    query_canvas(page).hover()
    page.mouse.wheel(0, 120)
    expect(shown).to_contain_text(f"slice {key + 1} ")
    expect(page.locator(".pane.query .note.bottom-middle")).to_contain_text("HU")


def test_a_proposal_of_the_detector_is_clicked(reader: Reader, phantoms):
    lesion = phantoms.lesions[0]
    page = reader.open()
    upload(page, phantoms, lesion)
    page.keyboard.press("d")
    expect(page.get_by_text("Click a proposal")).to_be_visible()
    reader.shoot("search_proposals")
    columns = int(page.locator(".pane.query .pane-heading").inner_text().split("×")[0].split()[-1])
    area = query_canvas(page).bounding_box()
    assert area is not None
    scale = min(area["width"], area["height"]) / columns
    x, y = (edge - (columns - 1) / 2 for edge in lesion.box.center)
    at = {"x": area["width"] / 2 + x * scale, "y": area["height"] / 2 + y * scale}
    query_canvas(page).click(position=at)
    page.wait_for_url("**box=*")
    sent = [float(edge) for edge in page.url.split("box=")[1].split("&")[0].split("%2C")]
    assert sent == pytest.approx(lesion.box.to_list(), abs=0.06)
    expect(hits(page).first.locator(".similarity .number")).to_have_text("1.000")


def test_files_can_be_dropped(reader: Reader, phantoms):
    page = reader.open()
    content = list(slice_file(phantoms, phantoms.lesions[0]).read_bytes())
    dropped = page.evaluate_handle(
        """bytes => {
          const carried = new DataTransfer();
          carried.items.add(new File([new Uint8Array(bytes)], "slice.png"));
          return carried;
        }""",
        content,
    )
    page.dispatch_event("#search", "drop", {"dataTransfer": dropped})
    expect(page.locator(".spacing .file-name")).to_have_text("slice.png")


def test_an_upload_that_is_no_image_says_what_to_do(reader: Reader, tmp_path):
    reader.refusals = {422}
    (tmp_path / "notes.txt").write_text("not an image")
    page = reader.open()
    page.get_by_role("tab", name="Image").click()
    with page.expect_file_chooser() as chooser:
        page.locator(".upload").get_by_role("button", name="Choose files").click()
    chooser.value.set_files(tmp_path / "notes.txt")
    expect(page.get_by_role("alert")).to_contain_text("send")
    page.get_by_role("button", name="Choose another file").click()
    expect(page.get_by_text("Drop CT here")).to_be_visible()


def test_hits_are_filtered_and_nothing_found_has_a_way_out(reader: Reader, course):
    page = reader.open(f"#/search?lesion={course[1].lesion_id}")
    all_types = page.locator(".card.hit .type").all_inner_texts
    expect(hits(page).first).to_be_visible()
    kind = all_types()[0]
    page.locator(".filters summary").click()
    page.locator(".chip", has_text=kind).click()
    page.wait_for_url(f"**type={kind.replace(' ', '+')}*")
    expect(page.locator(".filter-summary")).to_have_text(f"type={kind}")
    expect(page.locator(".card.skeleton")).to_have_count(0)
    assert set(all_types()) == {kind}
    reader.shoot("search_filter")
    page.get_by_label("Long diameter, at least mm").fill("900")
    page.keyboard.press("Enter")
    expect(page.get_by_text("No similar lesion")).to_be_visible()
    reader.shoot("search_nothing")
    page.get_by_role("button", name="Clear the filter").click()
    expect(hits(page).first).to_be_visible()
    assert "type=" not in page.url


def test_a_filter_that_is_not_understood_is_told(reader: Reader, course):
    reader.refusals = {422}
    page = reader.open(f"#/search?lesion={course[1].lesion_id}&where=colour%3Dred")
    expect(page.get_by_role("alert")).to_contain_text("colour")
    reader.shoot("search_error")


def test_a_service_that_is_gone_can_be_asked_again(reader: Reader, course):
    page = reader.page
    page.route("**/v1/search", lambda route: route.abort())
    reader.open(f"#/search?lesion={course[1].lesion_id}")
    expect(page.get_by_role("alert")).to_contain_text("cannot be reached")
    page.unroute("**/v1/search")
    page.get_by_role("button", name="Try again").click()
    expect(hits(page).first).to_be_visible()
    reader.complaints = [said for said in reader.complaints if "ERR_FAILED" not in said]


def test_an_indexed_lesion_is_picked_from_the_list(reader: Reader, course):
    patient, lesion = course
    page = reader.open()
    page.get_by_role("searchbox", name="Patient").fill(patient)
    page.keyboard.press("Enter")
    rows = page.locator(".lesion-rows [data-lesion]")
    expect(rows.first).to_contain_text(patient)
    page.locator(f".lesion-rows [data-lesion='{lesion.lesion_id}']").click()
    expect(hits(page).first).to_be_visible()
    expect(page.locator(".follow-up .badge").first).to_be_visible()
    assert f"lesion={lesion.lesion_id}" in page.url
    others = page.locator(".card.hit .faint").all_inner_texts()
    assert f"patient {patient}" not in others


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
    expect(page.locator(".state-word.confirmed").first).to_be_visible()
    assert [match.verdict for match in engine.index.matches(patient)] == ["confirmed"]
    reader.shoot("patient_confirmed")
    page.keyboard.press("u")
    expect(page.locator(".state-word.confirmed")).to_have_count(0)
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


def test_the_url_brings_a_view_back(browser, address, screenshots, course):
    lesion = course[1].lesion_id
    state = f"#/search?lesion={lesion}&min=5&max=90&window=bone&k=6"
    with reading(browser, address, screenshots) as first:
        page = first.open(state)
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
