"""Whose image it is: never the patient, the marks or the upload of the image before."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.service.browser import reading
from tests.service.page.hand import drag, hits, query_canvas
from tests.service.page.patients import (
    Meeting,
    another_slice,
    drop,
    key_slice_file,
    open_png,
    phantom_stranger,
    wait_for_image,
)


@pytest.fixture(scope="module")
def phantom_meeting(phantoms, course, address):
    lesion = course[1]
    source = phantoms.source(lesion)
    return Meeting(
        address,
        lesion,
        key_slice_file(phantoms, lesion),
        (*source.spacing_mm_px, source.slice_interval_mm),
        phantom_stranger(phantoms, lesion),
        "STRANGER-1",
        "2024-05-17",
    )


@pytest.fixture(params=["phantom", "real"])
def meeting(request):
    return request.getfixturevalue(f"{request.param}_meeting")


@pytest.fixture
def reader(browser, meeting, screenshots):
    with reading(browser, meeting.address, screenshots) as opened:
        yield opened


def hold_uploads(page):
    """Lets no upload through, as a network does that has just gone."""
    held = []

    def hold(route):
        held.append(route)

    page.route("**/v1/uploads", hold)


def mark(page):
    drag(page, query_canvas(page), (0.42, 0.42), (0.55, 0.55))
    expect(hits(page).first).to_be_visible()


def test_a_strangers_image_gets_nothing_of_the_patient_before(reader, meeting):
    """A patient's slice is marked and followed; then a stranger's series is dropped."""
    page = reader.open()
    drop(page, [meeting.indexed])
    open_png(page, meeting.spacing)
    heading = wait_for_image(page, meeting.lesion.patient_id)
    expect(heading).to_contain_text(meeting.indexed.name)
    assert f"patient={meeting.lesion.patient_id}" in page.url
    mark(page)
    expect(page.locator(".follow-up").first).to_be_visible()
    expect(page.get_by_text("Similar lesions of other patients")).to_be_visible()
    reader.shoot(f"whose_indexed_{meeting.stranger_id}")

    drop(page, [meeting.stranger])
    heading = wait_for_image(page, meeting.stranger_id)
    expect(heading).to_contain_text(meeting.stranger_date)
    assert "box=" not in page.url
    assert meeting.lesion.patient_id not in page.url
    expect(page.get_by_label("Patient", exact=True).first).to_have_value(meeting.stranger_id)
    expect(page.get_by_text("Mark the lesion")).to_be_visible()
    mark(page)
    expect(page.locator(".follow-up")).to_have_count(0)
    expect(page.get_by_text("Similar lesions of other patients")).to_have_count(0)
    expect(page.locator(".answers")).to_contain_text(meeting.stranger_id)
    reader.shoot(f"whose_stranger_{meeting.stranger_id}")
    page.go_back()
    page.go_back()
    wait_for_image(page, meeting.lesion.patient_id)


def test_an_image_that_names_nobody_is_nobodys(reader, meeting):
    page = reader.open()
    drop(page, [meeting.indexed])
    open_png(page, meeting.spacing)
    wait_for_image(page, meeting.lesion.patient_id)
    drop(page, [another_slice(meeting.indexed, "slice.png")])
    open_png(page, meeting.spacing)
    wait_for_image(page, "slice.png")
    assert "patient=" not in page.url
    expect(page.get_by_label("Patient", exact=True).first).to_have_value("")
    mark(page)
    expect(page.locator(".follow-up")).to_have_count(0)
    expect(page.get_by_text("Similar lesions of other patients")).to_have_count(0)
    expect(page.locator(".answers")).to_contain_text("not known whose image")
    # A patient whom the reader names is told as the reader's word wherever it stands.
    page.get_by_label("Patient", exact=True).first.fill(meeting.lesion.patient_id)
    page.keyboard.press("Enter")
    expect(page.locator(".follow-up").first).to_be_visible()
    stated = f"patient {meeting.lesion.patient_id}"
    expect(page.locator(".pane.query .pane-heading")).to_contain_text(f"{stated} · your word")
    expect(page.locator(".pane.query .note.top-left")).to_contain_text(f"{stated} (reader's word)")
    expect(page.locator(".about")).to_contain_text("do not say whose image it is")
    reader.shoot(f"whose_stated_{meeting.stranger_id}")
    answers = page.locator(".answers > .scroll")
    assert answers.evaluate("node => node.scrollWidth <= node.clientWidth")
    drop(page, [meeting.indexed])
    open_png(page, meeting.spacing)
    heading = wait_for_image(page, meeting.lesion.patient_id)
    expect(heading).not_to_contain_text("your word")


def test_the_longest_patient_id_stays_in_its_column_and_heading(reader, meeting):
    """DICOM's longest id has 64 letters; no place breaks it."""
    page = reader.open()
    drop(page, [another_slice(meeting.indexed, "slice.png")])
    open_png(page, meeting.spacing)
    heading = wait_for_image(page, "slice.png")
    longest = "P" * 64
    page.get_by_label("Patient", exact=True).first.fill(longest)
    page.keyboard.press("Enter")
    expect(page.locator(".about")).to_contain_text(longest)
    expect(heading).to_contain_text("your word")
    reader.shoot(f"whose_longest_{meeting.stranger_id}")
    for name in (".side", ".side-page:not([hidden])", ".pane.query .pane-heading", "body"):
        within = "node => node.scrollWidth <= node.clientWidth"
        assert page.locator(name).evaluate(within), name
    side = page.locator(".side").bounding_box()
    for part in (".upload button", ".about .faint", ".about input"):
        for one in page.locator(f".side {part}").all():
            if (box := one.bounding_box()) is not None:
                assert box["x"] + box["width"] <= side["x"] + side["width"], part
    told = heading.locator(".whose")
    assert longest in told.get_attribute("title")
    ends = told.locator("span").last.bounding_box()
    pane = page.locator(".pane.query").bounding_box()
    assert ends["x"] + ends["width"] <= pane["x"] + pane["width"]
    assert told.locator("span").first.evaluate("node => node.scrollWidth > node.clientWidth")


def test_the_longest_patient_id_of_a_header_without_a_date_stays_in_its_heading(
    reader, phantoms, course
):
    page = reader.open()
    longest = "P" * 64
    drop(page, [phantom_stranger(phantoms, course[1], longest, None)])
    heading = wait_for_image(page, longest)
    told = heading.locator(".whose")
    assert longest in told.get_attribute("title")
    words, place = told.locator("span").bounding_box(), told.bounding_box()
    assert words["x"] + words["width"] <= place["x"] + place["width"] + 0.5
    for name in (".side", ".pane.query .pane-heading", "body"):
        within = "node => node.scrollWidth <= node.clientWidth"
        assert page.locator(name).evaluate(within), name


def test_another_patient_than_the_files_is_told(reader, meeting):
    page = reader.open()
    drop(page, [meeting.stranger])
    wait_for_image(page, meeting.stranger_id)
    page.get_by_label("Patient", exact=True).first.fill(meeting.lesion.patient_id)
    page.keyboard.press("Enter")
    told = page.get_by_role("alert").filter(has_text=meeting.stranger_id)
    expect(told).to_contain_text(meeting.lesion.patient_id)
    reader.shoot(f"whose_conflict_{meeting.stranger_id}")
    mark(page)
    expect(told).to_be_visible()
    told.get_by_role("button").click()
    expect(told).to_have_count(0)
    expect(page.get_by_label("Patient", exact=True).first).to_have_value(meeting.stranger_id)
    expect(page.locator(".follow-up")).to_have_count(0)


def test_the_last_drop_wins(reader, meeting):
    """The first upload is held up; the second comes later, arrives first, and stays."""
    page = reader.page
    held = []
    aborted = []
    page.on("requestfailed", lambda request: aborted.append(request.url))
    page.route(
        "**/v1/uploads",
        lambda route: held.append(route) if not held else route.continue_(),
    )
    reader.open()
    drop(page, [meeting.stranger])
    expect(page.locator(".pane.query")).to_contain_text(meeting.stranger.name)
    page.wait_for_function("() => true")
    drop(page, [meeting.indexed])
    open_png(page, meeting.spacing)
    wait_for_image(page, meeting.lesion.patient_id)
    assert len(held) == 1
    assert [url.endswith("/v1/uploads") for url in aborted] == [True]
    shown = page.url
    page.wait_for_timeout(300)
    assert page.url == shown
    expect(page.locator(".pane.query .pane-heading")).not_to_contain_text(meeting.stranger_id)


def test_an_upload_on_its_way_is_cancelled_where_it_was_dropped(reader, meeting):
    page = reader.page
    hold_uploads(page)
    reader.open()
    drop(page, [meeting.stranger])
    cover = page.locator(".pane.query .cover")
    expect(cover).to_contain_text(meeting.stranger.name)
    expect(cover.get_by_role("progressbar")).to_be_visible()
    expect(cover).to_contain_text("MB")
    reader.shoot_busy(f"whose_sending_{meeting.stranger_id}")
    with page.expect_event("requestfailed"):
        cover.get_by_role("button", name="Cancel").click()
    expect(page.get_by_text("Which lesion?")).to_be_visible()
    assert "upload=" not in page.url


def test_picking_a_lesion_gives_up_an_upload_on_its_way(reader, meeting):
    page = reader.page
    hold_uploads(page)
    reader.open()
    drop(page, [meeting.stranger])
    expect(page.locator(".pane.query .cover")).to_contain_text(meeting.stranger.name)
    with page.expect_event("requestfailed"):
        page.get_by_role("tab", name="Indexed lesion").click()
        page.locator(f".lesion-rows [data-lesion='{meeting.lesion.lesion_id}']").click()
    expect(hits(page).first).to_be_visible()
    assert f"lesion={meeting.lesion.lesion_id}" in page.url


@pytest.mark.parametrize("state", ["#/patient", "#/map"])
def test_the_whole_window_accepts_a_drop(reader, meeting, state):
    page = reader.open(state)
    drop(page, [meeting.stranger], "header.masthead")
    wait_for_image(page, meeting.stranger_id)
    expect(page.locator("#search")).to_be_visible()
