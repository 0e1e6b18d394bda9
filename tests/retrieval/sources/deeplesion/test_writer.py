"""Writing DeepLesion's layout: the round trip, resuming, tracks and attributes."""

from __future__ import annotations

import csv
import os
import stat
import tempfile
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.lesion import Box, LesionType, Recist, Split
from retrieval.sources.archive import stored_series
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.deeplesion.series_images import SeriesImages
from retrieval.sources.deeplesion.writer import ArchiveRow, DeepLesionWriter
from retrieval.sources.errors import ArchiveError
from retrieval.tag import given_tags

MARK = Recist(((10.0, 20.0), (30.5, 40.25), (15.0, 35.0), (25.0, 25.0)))


def a_row(**changes: object) -> ArchiveRow:
    row = ArchiveRow(
        patient=7,
        study=2,
        series=1,
        key_slice=12,
        recist=MARK,
        box=MARK.box(),
        location=(0.25, 0.5, 0.75),
        lesion_type=LesionType.LIVER,
        split=Split.VALIDATION,
        spacing_mm_px=(0.8, 0.8),
        slice_interval_mm=2.5,
        slice_range=(9, 15),
        image_size=(64, 80),
        gender="F",
        age=51.0,
    )
    return replace(row, **changes)  # type: ignore[arg-type]


def read_table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


def test_row_stands_in_the_released_form(tmp_path: Path) -> None:
    with DeepLesionWriter(tmp_path) as writer:
        assert writer.add_row(a_row()) == "000007_02_01_012_x20_y30"
    header, line = (tmp_path / "DL_info.csv").read_text().splitlines()
    assert header == (
        "File_name,Patient_index,Study_index,Series_ID,Key_slice_index,Measurement_coordinates,"
        "Bounding_boxes,Lesion_diameters_Pixel_,Normalized_lesion_location,Coarse_lesion_type,"
        "Possibly_noisy,Slice_range,Spacing_mm_px_,Image_size,DICOM_windows,Patient_gender,"
        "Patient_age,Train_Val_Test"
    )
    assert line == (
        '000007_02_01_012.png,7,2,1,12,"11, 21, 31.5, 41.25, 16, 36, 26, 26",'
        '"6, 16, 36.5, 46.25","28.815144, 14.142136","0.25, 0.5, 0.75",4,0,"9, 15",'
        '"0.8, 0.8, 2.5","64, 80","-175, 275",F,51.0,2'
    )


def test_official_rows_are_written_back_cell_by_cell(real_data: Path, tmp_path: Path) -> None:
    source = real_data / "deeplesion_sample"
    archive = DeepLesionArchive.open(source)
    with DeepLesionWriter(tmp_path) as writer:
        for row in archive.rows:
            patient, study, series = (int(part) for part in row.lesion.series_id.split("_"))
            writer.add_row(
                ArchiveRow(
                    patient=patient,
                    study=study,
                    series=series,
                    key_slice=row.lesion.key_slice_index,
                    recist=row.recist,
                    box=row.lesion.box,
                    location=row.lesion.location,
                    lesion_type=row.lesion.lesion_type,
                    split=row.lesion.split,
                    spacing_mm_px=row.spacing_mm_px,
                    slice_interval_mm=row.slice_interval_mm,
                    slice_range=row.slice_range,
                    image_size=row.image_size,
                    window=row.window,
                    gender=row.gender,
                    age=row.age,
                    noisy="possibly_noisy" in row.lesion.terms,
                )
            )
    written = read_table(tmp_path / "DL_info.csv")
    official = read_table(source / "DL_info.csv")
    assert len(written) == len(official) == 23
    for ours, theirs in zip(written, official, strict=True):
        drawn = [float(v) for v in ours.pop("Lesion_diameters_Pixel_").split(",")]
        stated = [float(v) for v in theirs.pop("Lesion_diameters_Pixel_").split(",")]
        assert drawn == pytest.approx(stated, abs=0.002)
        assert ours == theirs
    again = DeepLesionArchive.open(tmp_path)
    assert list(again.lesions) == list(archive.lesions)


COORDINATE = st.integers(0, 511_000_000).map(lambda millionths: millionths / 1e6)
FRACTION = st.floats(0, 1)


@settings(max_examples=60, deadline=None)
@given(
    points=st.lists(st.tuples(COORDINATE, COORDINATE), min_size=4, max_size=4),
    location=st.none() | st.tuples(FRACTION, FRACTION, FRACTION),
    spacing=st.tuples(st.floats(0.1, 5), st.floats(0.1, 5)),
    interval=st.floats(0.1, 10),
    kind=st.sampled_from(LesionType),
    split=st.sampled_from(Split),
    noisy=st.booleans(),
    age=st.none() | st.floats(0, 100),
)
def test_what_is_written_is_read(
    points: list[tuple[float, float]],
    location: tuple[float, float, float] | None,
    spacing: tuple[float, float],
    interval: float,
    kind: LesionType,
    split: Split,
    noisy: bool,
    age: float | None,
) -> None:
    recist = Recist(tuple(points))
    box = recist.box()
    box = Box(*(round(edge, 6) for edge in box.to_list()))
    row = a_row(
        recist=recist,
        box=box,
        location=location,
        spacing_mm_px=spacing,
        slice_interval_mm=interval,
        lesion_type=kind,
        split=split,
        noisy=noisy,
        age=age,
        image_size=(512, 512),
    )
    with tempfile.TemporaryDirectory() as folder:
        with DeepLesionWriter(folder) as writer:
            lesion_id = writer.add_row(row)
        archive = DeepLesionArchive.open(folder)
    assert archive.problems == ()
    (read,) = archive.rows
    lesion = read.lesion
    assert lesion.lesion_id == lesion_id
    assert (read.recist, lesion.box) == (recist, box)
    assert lesion.location == location
    assert (read.spacing_mm_px, read.slice_interval_mm) == (spacing, interval)
    assert (lesion.lesion_type, lesion.split, read.age) == (kind, split, age)
    assert lesion.tags == (given_tags("possibly_noisy") if noisy else ())
    assert (lesion.long_mm, lesion.short_mm) == pytest.approx(
        recist.diameters_mm(spacing), abs=1e-5
    )


def test_pixels_are_16_bit_hu_plus_32768(tmp_path: Path) -> None:
    rng = np.random.default_rng(3)
    hu = rng.uniform(-1024, 3071, (2, 9, 11)).astype(np.float32)
    hu[0, 0, 0] = -40000.0
    with DeepLesionWriter(tmp_path) as writer:
        writer.write_slices(SeriesImages(7, 2, 1, 99, hu))
    folder = tmp_path / "Images_png" / "000007_02_01"
    assert sorted(path.name for path in folder.iterdir()) == ["099.png", "100.png"]
    for name, plane in zip(("099.png", "100.png"), hu, strict=True):
        pixels = cv2.imread(str(folder / name), cv2.IMREAD_UNCHANGED)
        assert pixels.dtype == np.uint16
        expected = np.maximum(np.rint(plane.astype(np.float64)) + 32768, 0)
        np.testing.assert_array_equal(pixels, expected)


def test_tracks_name_each_state_in_each_study(tmp_path: Path) -> None:
    with DeepLesionWriter(tmp_path) as writer:
        for study in (1, 2, 3):
            writer.write_slices(SeriesImages(7, study, 1, 12, np.zeros((1, 64, 80))))
        first = writer.add_row(a_row(study=1), track_id="7-a")
        second = writer.add_row(a_row(study=2), track_id="7-a")
        other = a_row(study=2, box=MARK.box().shifted(5, 0))
        new = writer.add_row(other, track_id="7-b")
    rows = [tuple(row.values()) for row in read_table(tmp_path / "tracks.csv")]
    assert rows == [
        ("000007", "7-a", "000007_01", first, "baseline"),
        ("000007", "7-a", "000007_02", second, "persistent"),
        ("000007", "7-a", "000007_03", "", "vanished"),
        ("000007", "7-b", "000007_02", new, "new"),
        ("000007", "7-b", "000007_03", "", "vanished"),
    ]
    archive = DeepLesionArchive.open(tmp_path)
    assert archive.track_ids == {first: "7-a", second: "7-a", new: "7-b"}
    assert archive.problems == ()


def test_attributes_leave_the_unknown_blank(tmp_path: Path) -> None:
    with DeepLesionWriter(tmp_path) as writer:
        one = writer.add_row(a_row(), attributes={"malignancy": 4.0, "texture": float("nan")})
        two = writer.add_row(a_row(study=3), attributes={"lobulation": 0.1 + 0.2})
        writer.add_row(a_row(study=4))
    assert (tmp_path / "attributes.csv").read_text().splitlines() == [
        "lesion_id,malignancy,lobulation",
        f"{one},4.0,",
        f"{two},,{0.1 + 0.2!r}",
    ]
    archive = DeepLesionArchive.open(tmp_path)
    assert archive.attributes == {one: {"malignancy": 4.0}, two: {"lobulation": 0.1 + 0.2}}


def test_a_killed_run_goes_on_with_the_patients_it_lacks(tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"

    def write(writer: DeepLesionWriter, patients: range, fail_at: int | None = None) -> None:
        for patient in patients:
            if patient in writer.patients_done():
                continue
            for study in (1, 2):
                row = a_row(patient=patient, study=study)
                writer.add_row(row, f"{patient}-a", {"grade": patient / 3})
                if patient == fail_at:
                    raise KeyboardInterrupt

    with DeepLesionWriter(whole) as writer:
        write(writer, range(1, 6))
    with pytest.raises(KeyboardInterrupt), DeepLesionWriter(broken) as writer:
        write(writer, range(1, 6), fail_at=4)
    assert {lesion.patient_id for lesion in DeepLesionArchive.open(broken).lesions} == {
        "000001",
        "000002",
        "000003",
    }
    with DeepLesionWriter(broken) as writer:
        assert writer.patients_done() == {1, 2, 3}
        write(writer, range(1, 6))
    for name in ("DL_info.csv", "tracks.csv", "attributes.csv"):
        assert (broken / name).read_text() == (whole / name).read_text()
    assert not list(broken.glob("*.part"))


def test_optional_rows_of_an_unfinished_patient_are_dropped(tmp_path: Path) -> None:
    with DeepLesionWriter(tmp_path) as writer:
        writer.add_row(a_row(patient=1), "1-a", {"grade": 1.0})
    table = (tmp_path / "DL_info.csv").read_text()
    with DeepLesionWriter(tmp_path) as writer:
        writer.add_row(a_row(patient=2), "2-a", {"grade": 2.0})
    # As after a kill between the writing of tracks.csv and that of DL_info.csv.
    (tmp_path / "DL_info.csv").write_text(table)
    with DeepLesionWriter(tmp_path) as writer:
        assert writer.patients_done() == {1}
        writer.add_row(a_row(patient=2), "2-a", {"grade": 3.0})
    archive = DeepLesionArchive.open(tmp_path)
    assert sorted(archive.track_ids.values()) == ["1-a", "2-a"]
    assert sorted(v["grade"] for v in archive.attributes.values()) == [1.0, 3.0]
    assert archive.problems == ()


def test_mistakes_are_named(tmp_path: Path) -> None:
    with DeepLesionWriter(tmp_path) as writer:
        writer.add_row(a_row(), track_id="a")
        with pytest.raises(ArchiveError, match="x20_y30 is there already"):
            writer.add_row(a_row())
        with pytest.raises(ArchiveError, match="outside the image of 80 x 64"):
            writer.add_row(a_row(box=Box(85, 10, 95, 20)))
        with pytest.raises(ArchiveError, match="finite HU"):
            writer.write_slices(SeriesImages(7, 2, 1, 1, np.full((1, 4, 4), np.nan)))
        with pytest.raises(ArchiveError, match="belongs to patient 7"):
            writer.add_row(a_row(patient=8), track_id="a")
        writer.add_row(a_row(patient=8))
        with pytest.raises(ArchiveError, match="patient 7 is finished"):
            writer.add_row(a_row(study=3))
    (tmp_path / "DL_info.csv").write_text("something,else\n")
    with pytest.raises(ArchiveError, match="other columns"):
        DeepLesionWriter(tmp_path)


def test_an_archive_is_its_owners_alone(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        DeepLesionWriter(tmp_path / "made")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "made").stat().st_mode) == 0o700


def test_the_slices_of_a_slab_are_numbered_from_the_head(tmp_path: Path) -> None:
    slab = np.arange(3, dtype=np.float32)[:, None, None] * np.ones((1, 64, 80), np.float32)
    images = SeriesImages.of_slab((7, 2, 1), slab, first_slice=11)
    assert (images.slice_range, images.number_of(0), images.number_of(2)) == ((11, 13), 13, 11)
    with DeepLesionWriter(tmp_path) as writer:
        writer.write_slices(images)
        writer.add_row(a_row(slice_range=images.slice_range, key_slice=images.number_of(1)))
    archive = DeepLesionArchive.open(tmp_path)
    read = archive.slab(archive.lesions[0], half_depth_mm=2.5)
    np.testing.assert_array_equal(read.hu, slab)
    series = stored_series(archive.image_path(archive.lesions[0].series_id, 12), 12)
    assert not series.feet_first
    np.testing.assert_array_equal(series.read(13), slab[0])


def test_an_archive_keeps_the_numbers_it_was_written_with(tmp_path: Path) -> None:
    """A series that counts from its first slice on disk is read under those numbers."""
    planes = np.stack([np.full((64, 80), value, np.float32) for value in (1, 2, 3)])
    with DeepLesionWriter(tmp_path) as writer:
        writer.write_slices(SeriesImages(7, 2, 1, 11, planes))
        writer.add_row(a_row(slice_range=(11, 13)))
    archive = DeepLesionArchive.open(tmp_path)
    read = archive.slab(archive.lesions[0], half_depth_mm=2.5)
    assert read.key_slice_index == 12
    np.testing.assert_array_equal(read.hu[:, 0, 0], [3, 2, 1])
