"""The viewer's tools on a real series: what they measure is what the files hold."""

from __future__ import annotations

import csv
import re
import time

import cv2
import numpy as np
import pydicom
import pytest
from playwright.sync_api import Page, expect

from tests.service.browser import reading
from tests.service.page.hand import drag, hits, query_canvas
from tests.service.page.patients import SentFile, drop, real_stranger, wait_for_image
from tests.service.page.test_accessibility import violations

SERIES = ("sarcoma_ct", "dicom", "STS_007")


@pytest.fixture(scope="module")
def series(real_data):
    """The CT images of the series, the feet first, with their pixels in HU."""
    files = [pydicom.dcmread(file) for file in real_data.joinpath(*SERIES).rglob("*.dcm")]
    images = sorted(
        (one for one in files if one.Modality == "CT"),
        key=lambda one: float(one.ImagePositionPatient[2]),
    )
    assert len(images) == 70
    return images


@pytest.fixture
def opened(browser, address, screenshots, real_data):
    with reading(browser, address, screenshots) as reader:
        page = reader.open()
        drop(page, [real_stranger(real_data.joinpath(*SERIES))])
        wait_for_image(page, "STS_007")
        yield reader


def told(page: Page) -> str:
    return page.locator(".pane.query .note.top-right").inner_text()


def measurements(page: Page) -> list[str]:
    return page.locator(".pane.query .measured li").all_inner_texts()


def test_lengths_and_regions_are_those_of_the_files(opened, series):
    page = opened.page
    image = series[int(re.search(r"slice (\d+)", told(page))[1])]
    hu = image.pixel_array * float(image.RescaleSlope) + float(image.RescaleIntercept)
    rows, columns = hu.shape
    area = query_canvas(page).bounding_box()
    scale = min(area["width"] / columns, area["height"] / rows)

    def pixel(share):
        x = (share[0] - 0.5) * area["width"] / scale + (columns - 1) / 2
        return x, (share[1] - 0.5) * area["height"] / scale + (rows - 1) / 2

    start, end = (0.42, 0.40), (0.58, 0.62)
    page.keyboard.press("l")
    drag(page, query_canvas(page), start, end)
    page.keyboard.press("e")
    drag(page, query_canvas(page), start, (0.57, 0.61))
    expect(page.locator(".pane.query .measured li")).to_have_count(2)
    length, region = measurements(page)
    (x1, y1), (x2, y2) = pixel(start), pixel(end)
    row_mm, column_mm = map(float, image.PixelSpacing)
    assert float(re.search(r"([\d.]+) mm", length)[1]) == pytest.approx(
        np.hypot((x2 - x1) * column_mm, (y2 - y1) * row_mm), rel=0.02
    )
    (x1, y1), (x2, y2) = pixel(start), pixel((0.57, 0.61))
    down, across = np.mgrid[:rows, :columns]
    middle, half = ((x1 + x2) / 2, (y1 + y2) / 2), ((x2 - x1) / 2, (y2 - y1) / 2)
    inside = ((across - middle[0]) / half[0]) ** 2 + ((down - middle[1]) / half[1]) ** 2 <= 1
    mean, spread = (
        float(value.replace("−", "-"))
        for value in re.search(r"mean (\S+) HU, SD (\d+)", region).groups()
    )
    assert mean == pytest.approx(hu[inside].mean(), abs=2)
    assert spread == pytest.approx(hu[inside].std(), abs=2)
    assert float(re.search(r"([\d.]+) mm²", region)[1]) == pytest.approx(
        np.pi * half[0] * half[1] * row_mm * column_mm, rel=0.03
    )
    opened.shoot("viewer_measured")
    page.keyboard.press("Delete")
    expect(page.locator(".pane.query .measured li")).to_have_count(1)


def test_measurements_are_listed_lead_to_their_images_and_leave_as_a_table(opened, series):
    page = opened.page
    page.keyboard.press("r")
    drag(page, query_canvas(page), (0.42, 0.40), (0.58, 0.62))
    expect(page.locator(".hint")).to_contain_text("short diameter")
    page.keyboard.press("l")
    drag(page, query_canvas(page), (0.42, 0.60), (0.58, 0.72))
    page.keyboard.press("ArrowDown")
    page.keyboard.press("e")
    drag(page, query_canvas(page), (0.42, 0.40), (0.57, 0.61))
    rows = page.locator(".ruler-rows li")
    expect(rows).to_have_count(2)
    expect(rows.first).to_contain_text("mm")
    expect(rows.first).to_contain_text("image 35")
    expect(rows.nth(1)).to_contain_text("HU")
    expect(rows.nth(1)).to_contain_text("image 36")
    expect(page.locator(".hint")).to_have_text("")
    opened.shoot("viewer_measurements")
    assert page.locator(".bench").evaluate("node => node.scrollWidth <= node.clientWidth")
    assert violations(page) == []
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    table = list(csv.DictReader(download.value.path().read_text().splitlines()))
    assert [one["kind"] for one in table] == ["length", "ellipse"]
    assert {one["patient_id"] for one in table} == {"STS_007"}
    assert f"{float(table[0]['length_mm']):.1f} mm" in rows.first.inner_text()
    assert table[0]["mean_hu"] == ""
    assert [int(one["slice_index"]) for one in table] == [35, 34]
    assert float(table[1]["low_hu"]) <= float(table[1]["mean_hu"]) <= float(table[1]["high_hu"])
    rows.first.get_by_role("button").first.click()
    expect(page.locator(".pane.query .note.top-right")).to_contain_text("image 35 of 70")
    rows.first.get_by_role("button", name="Remove").click()
    expect(rows).to_have_count(1)
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Delete")
    expect(page.locator(".bench")).to_be_hidden()


def test_the_whole_image_fills_the_viewport_again(opened):
    page = opened.page
    page.keyboard.press("l")
    told = page.locator(".pane.query .measured li")

    def third_of_the_width(place: float) -> float:
        before = told.count()
        drag(page, query_canvas(page), (0.35, place), (0.65, place))
        expect(told).to_have_count(before + 1)
        return float(re.search(r"([\d.]+) mm", told.last.inner_text())[1])

    whole = third_of_the_width(0.4)
    page.keyboard.press("-")
    assert third_of_the_width(0.5) == pytest.approx(1.25 * whole, rel=0.02)
    page.keyboard.press("f")
    assert third_of_the_width(0.6) == pytest.approx(whole, rel=0.02)


def test_the_scout_shows_the_whole_series_and_leads_through_it(opened):
    page = opened.page
    page.get_by_role("button", name="Scout").click()
    scout = page.locator(".pane.query .scout")
    coronal = scout.locator("canvas.coronal")
    expect(coronal).to_be_visible()
    page.wait_for_function(
        """() => {
          const canvas = document.querySelector(".pane.query .scout canvas.coronal");
          const pixels = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
          const lit = new Set();
          for (let place = 0; place < pixels.data.length; place += 4)
            if (pixels.data[place] > 60) lit.add(Math.floor(place / 4 / canvas.width));
          return canvas.height === 70 && lit.size === 70;
        }"""
    )
    opened.shoot("viewer_scout")
    box = coronal.bounding_box()
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + 1)
    expect(page.locator(".pane.query .note.top-right")).to_contain_text("image 1 of 70")
    page.mouse.click(box["x"] + box["width"] / 2, box["y"] + box["height"] - 1)
    expect(page.locator(".pane.query .note.top-right")).to_contain_text("image 70 of 70")
    expect(page.locator(".pane.query .note.top-right")).to_contain_text("slice 0 ")
    page.keyboard.press("t")
    expect(scout).to_be_hidden()


def test_images_go_from_the_head_to_the_feet_and_say_whose_they_are(opened, series):
    page = opened.page
    corner = page.locator(".pane.query .note.top-left")
    expect(corner).to_contain_text("patient STS_007")
    expect(corner).to_contain_text("2004-05-29")
    page.keyboard.press("Home")
    expect(page.locator(".pane.query .note.top-right")).to_contain_text("image 1 of 70\nslice 69")
    page.keyboard.press("ArrowDown")
    expect(page.locator(".pane.query .note.top-right")).to_contain_text("image 2 of 70\nslice 68")
    gap = abs(float(series[69].ImagePositionPatient[2]) - float(series[68].ImagePositionPatient[2]))
    expect(page.locator(".pane.query .note.top-right")).to_contain_text(
        f"{gap:.1f} mm below the first"
    )
    bar = page.get_by_role("slider", name="Slice of the query image")
    expect(bar).to_have_attribute("aria-valuetext", "image 2 of 70")


def test_black_on_white_is_the_same_picture_turned(opened):
    page = opened.page

    def grey() -> int:
        picture = cv2.imdecode(np.frombuffer(query_canvas(page).screenshot(), np.uint8), 0)
        return int(picture[int(picture.shape[0] * 0.45), int(picture.shape[1] * 0.44)])

    before = grey()
    assert 20 < before < 235
    page.keyboard.press("i")
    expect(page.get_by_role("button", name="Inverse")).to_have_attribute("aria-pressed", "true")
    deadline = time.monotonic() + 40
    while abs(grey() - (255 - before)) > 2:
        assert time.monotonic() < deadline, (before, grey())


def test_a_single_image_that_cannot_follow_says_so(browser, screenshots, real_meeting):
    """The sample's archive holds key slices alone."""
    with reading(browser, real_meeting.address, screenshots) as reader:
        page = reader.open(f"#/search?lesion={real_meeting.lesion.lesion_id}")
        hits(page).first.click()
        expect(page.locator(".pane.hit .note.top-right")).to_contain_text("image 1 of 1")
        page.keyboard.press("ArrowDown")
        expect(page.locator(".pane.query .link-note")).to_have_text("There is one image only")
        page.keyboard.press("t")
        expect(page.locator(".pane.query .scout")).to_contain_text("No scout: one image only.")
        reader.shoot("viewer_one_image")


def test_measurements_on_an_indexed_lesion_name_its_patient_and_end_within_its_image(
    browser, screenshots, real_meeting
):
    with reading(browser, real_meeting.address, screenshots) as reader:
        page = reader.open("#/search?lesion=000001_02_01_014_x225_y296")
        corner = page.locator(".pane.query .note.top-left")
        expect(corner).to_contain_text("000001")
        expect(page.locator(".pane.query .cover")).to_be_hidden()
        page.keyboard.press("f")
        area = query_canvas(page).bounding_box()
        tall = area["height"] > area["width"]
        page.keyboard.press("l")
        across, along = ((0.3, 0.005), (0.3, 0.995)), ((0.005, 0.3), (0.995, 0.3))
        drag(page, query_canvas(page), *(across if tall else along))
        with page.expect_download() as download:
            page.get_by_role("button", name="CSV").click()
        (row,) = csv.DictReader(download.value.path().read_text().splitlines())
        assert (row["image"], row["patient_id"], row["study_id"]) == (
            "000001_02_01_014_x225_y296",
            "000001",
            "000001_02",
        )
        points = np.array([pair.split() for pair in row["points_px"].split("; ")], float)
        assert points.min() == -0.5
        assert points.max() == 511.5
        reader.shoot("viewer_length_across_an_indexed_lesion")


def test_a_lesion_in_lung_opens_in_the_lung_window_until_the_reader_chooses(
    browser, address, screenshots, real_data
):
    folder = real_data / "lung_nodules" / "image"
    nodule = folder / "LIDC-IDRI-0004_R_1.nii.gz"
    with reading(browser, address, screenshots) as reader:
        page = reader.open()
        drop(page, [SentFile(nodule.name, nodule.read_bytes())])
        expect(page.locator(".pane.query .cover")).to_be_hidden()
        lung = page.get_by_role("button", name="Lung", exact=True)
        expect(lung).to_have_attribute("aria-pressed", "true")
        reader.shoot("viewer_lung_window")
        page.keyboard.press("2")
        drag(page, query_canvas(page), (0.42, 0.42), (0.55, 0.55))
        expect(hits(page).first).to_be_visible()
        expect(lung).to_have_attribute("aria-pressed", "false")
