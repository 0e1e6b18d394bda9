"""Search: upload, marks, proposals, results and their filters."""

from __future__ import annotations

import re

import pytest
from playwright.sync_api import expect

from tests.service.browser import Reader
from tests.service.page.hand import drag, hits, query_canvas, slice_file, upload


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
    drag(page, result.locator(".viewport > canvas"), (0.4, 0.4), (0.6, 0.5))
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
    page.keyboard.press("Home")
    expect(shown).to_contain_text("image 1 of ")
    count = int(shown.inner_text().splitlines()[0].split()[-1])
    page.keyboard.press("End")
    expect(shown).to_contain_text(f"image {count} of {count}")
    expect(shown).to_contain_text("mm below the key slice")
    page.keyboard.press("PageUp")
    expect(shown).to_contain_text(f"image {max(count - 10, 1)} of {count}")
    sides = page.locator(".pane.query .side-letter").all_inner_texts()
    assert sides == ["R", "L", "A", "P"]


def test_a_picture_that_is_gone_says_so(reader: Reader, course):
    reader.refusals = {404}
    page = reader.page
    page.route("**/image.png", lambda route: route.fulfill(status=404, body=""))
    reader.open(f"#/search?lesion={course[1].lesion_id}")
    expect(page.locator(".card .no-image").first).to_have_text("image not found")


def test_a_proposal_of_the_detector_is_clicked(reader: Reader, phantoms):
    lesion = phantoms.lesions[0]
    page = reader.open()
    upload(page, phantoms, lesion)
    page.keyboard.press("d")
    expect(page.get_by_text("Click a proposal")).to_be_visible()
    slider = page.get_by_label("Least score of a proposal")
    expect(slider).to_have_value("0")
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
    expect(page.locator(".recognised")).to_contain_text(lesion.lesion_id)
    expect(page.get_by_text("Similar lesions of other patients")).to_be_visible()
    expect(page.locator(f".card.hit[data-lesion='{lesion.lesion_id}']")).to_have_count(0)
    reader.shoot("search_recognised")


def test_proposals_go_once_the_reader_draws(reader: Reader, phantoms):
    page = reader.open()
    upload(page, phantoms, phantoms.lesions[0])
    page.keyboard.press("d")
    expect(page.get_by_text("Click a proposal")).to_be_visible()
    area = query_canvas(page).bounding_box()
    columns = int(page.locator(".pane.query .pane-heading").inner_text().split("×")[0].split()[-1])
    scale = min(area["width"], area["height"]) / columns
    x, y = (edge - (columns - 1) / 2 for edge in (32.0, 30.0))
    middle = (area["x"] + area["width"] / 2, area["y"] + area["height"] / 2)
    page.mouse.move(middle[0] + x * scale, middle[1] + y * scale)
    expect(query_canvas(page)).to_have_attribute("data-over", "proposal")
    drag(page, query_canvas(page), (0.60, 0.60), (0.70, 0.70))
    expect(hits(page).first).to_be_visible()
    page.mouse.move(middle[0] + x * scale, middle[1] + y * scale)
    expect(query_canvas(page)).not_to_have_attribute("data-over", "proposal")


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
    page.dispatch_event("header.masthead", "drop", {"dataTransfer": dropped})
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


def test_a_patient_is_one_hit_and_more_on_demand(reader: Reader, course):
    page = reader.open(f"#/search?lesion={course[1].lesion_id}")
    expect(hits(page).first).to_be_visible()
    patients = [
        line.split()[-1] for line in page.locator(".card.hit .line.faint").all_inner_texts()
    ]
    assert len(set(patients)) == len(patients)
    expect(page.locator(".card.hit .among").first).to_contain_text("%")
    expect(page.get_by_label("The nearest 10")).to_contain_text("long diameter")
    more = page.locator(".more-of").first
    count = int(more.inner_text().split()[0])
    more.click()
    expect(hits(page)).to_have_count(len(patients) + count)
    expect(more).to_have_attribute("aria-expanded", "true")
    expect(more).to_be_focused()
    reader.shoot("search_more_of_a_patient")
    page.keyboard.press("Enter")
    expect(hits(page)).to_have_count(len(patients))


def test_a_part_of_an_id_finds_the_patient(reader: Reader, course):
    patient = course[0]
    part = patient.lstrip("0")
    page = reader.open()
    page.get_by_role("searchbox", name="Patient").fill(part)
    rows = page.locator(".lesion-rows [data-lesion]")
    expect(rows.filter(has_not_text=f"{patient}_")).to_have_count(0)
    expect(rows.first).to_contain_text(patient)
    page.get_by_role("searchbox", name="Patient").fill("no such")
    expect(page.get_by_text("No lesion fits")).to_be_visible()
    page = reader.open("#/patient")
    page.get_by_role("searchbox", name="Patient").fill(part)
    expect(page.locator("[data-patient]")).to_have_count(1)
    page.keyboard.press("Enter")
    page.wait_for_url(f"**id={patient}*")


def test_words_are_understood_as_chips_that_can_be_taken_away(reader: Reader, phantoms):
    page = reader.open()
    field = page.get_by_role("combobox", name="Search by words")
    field.fill("liver lesion over 5 mm")
    page.keyboard.press("Enter")
    understood = page.get_by_role("group", name="Understood words")
    expect(understood).to_contain_text("5 mm")
    expect(hits(page).first).to_be_visible()
    assert set(page.locator(".card.hit .type").all_inner_texts()) == {"liver"}
    reader.shoot("search_words")
    chips = understood.get_by_role("button")
    count = chips.count()
    chips.last.click()
    expect(chips).to_have_count(count - 1)
    assert "text=" in page.url
