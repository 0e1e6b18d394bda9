"""check_archive: counts, and every kind of bad row under its line."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from retrieval.lesion import LesionType, Recist, Split
from retrieval.sources.deeplesion.check import check_archive
from retrieval.sources.deeplesion.series_images import SeriesImages
from retrieval.sources.deeplesion.writer import ArchiveRow, DeepLesionWriter
from retrieval.sources.errors import ArchiveError

MARK = Recist(((20.0, 20.0), (30.0, 26.0), (24.0, 28.0), (27.0, 18.0)))
PATIENTS = 9


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Nine patients with one lesion each (lines 2 to 10), slices 4 to 6, the key slice 5."""
    rng = np.random.default_rng(1)
    with DeepLesionWriter(tmp_path / "archive") as writer:
        for patient in range(1, PATIENTS + 1):
            hu = rng.normal(40, 20, (3, 48, 48))
            writer.write_slices(SeriesImages(patient, 1, 1, 4, hu))
            row = ArchiveRow(
                patient=patient,
                study=1,
                series=1,
                key_slice=5,
                recist=MARK,
                box=MARK.box(),
                location=(0.5, 0.5, 0.5) if patient > 2 else None,
                lesion_type=LesionType.LUNG if patient > 1 else LesionType.UNKNOWN,
                split=Split.TRAIN if patient > 3 else Split.TEST,
                spacing_mm_px=(0.7, 0.7),
                slice_interval_mm=2.5,
                slice_range=(4, 6),
                image_size=(48, 48),
                gender="M",
                age=None if patient == 4 else 60.0,
            )
            writer.add_row(row, f"{patient}-a", {"texture": 1.0})
    return tmp_path / "archive"


def png(root: Path, patient: int, number: int = 5) -> Path:
    return root / "Images_png" / f"{patient:06d}_01_01" / f"{number:03d}.png"


def test_a_sound_archive_is_counted(root: Path) -> None:
    steps: list[tuple[int, int]] = []
    report = check_archive(root, progress=lambda done, total: steps.append((done, total)))
    assert report.is_sound
    assert (report.rows, report.sound_rows, report.patients) == (9, 9, 9)
    assert (report.studies, report.series, report.key_slices) == (9, 9, 9)
    assert report.lesions_per_split == {"train": 6, "val": 0, "test": 3, "unknown": 0}
    assert report.patients_per_split == report.lesions_per_split
    assert {k: v for k, v in report.lesions_per_type.items() if v} == {"lung": 8, "unknown": 1}
    assert len(report.lesions_per_type) == 9
    assert report.lesions_per_patient == {f"{p:06d}": 1 for p in range(1, 10)}
    assert (report.slices_expected, report.slices_found) == (27, 27)
    assert report.missing_values == {
        "location": 2,
        "lesion_type": 1,
        "split": 0,
        "patient_gender": 0,
        "patient_age": 1,
    }
    assert (report.tracks, report.lesions_on_tracks) == (9, 9)
    assert report.attribute_names == ["texture"]
    assert steps == [(done, 27) for done in range(1, 28)]


def test_every_bad_row_is_listed_and_stops_nothing(root: Path) -> None:
    table = root / "DL_info.csv"
    lines = table.read_text().splitlines()
    lines[2] = lines[2].replace("0.7, 0.7, 2.5", "0.7, thick, 2.5")
    lines[3] = lines[3].replace('"16, 14, 36, 34"', '"116, 14, 136, 34"')
    lines.append(lines[1])
    table.write_text("\n".join(lines) + "\n")
    png(root, 4).unlink()
    cv2.imwrite(str(png(root, 5)), np.zeros((48, 48), np.uint8))
    cv2.imwrite(str(png(root, 6)), np.zeros((48, 48, 3), np.uint16))
    cv2.imwrite(str(png(root, 7)), np.full((40, 48), 32768, np.uint16))
    png(root, 8).write_bytes(png(root, 8).read_bytes()[:-30])
    png(root, 9, number=6).write_bytes(b"not a picture")
    png(root, 1, number=4).unlink()
    (root / "attributes.csv").unlink()
    (root / "tracks.csv").write_text("patient_id,track_id,study_id,lesion_id,state\n1,a,1,x,new\n")

    report = check_archive(root)
    assert [(p.line, p.file_name, p.reason.value) for p in report.problems] == [
        (3, "000002_01_01_005.png", "unparsable_field"),
        (4, "000003_01_01_005.png", "box_outside_image"),
        (5, "000004_01_01_005.png", "missing_file"),
        (6, "000005_01_01_005.png", "eight_bit_image"),
        (7, "000006_01_01_005.png", "colour_image"),
        (8, "000007_01_01_005.png", "wrong_image_size"),
        (9, "000008_01_01_005.png", "undecodable_image"),
        (10, "000009_01_01_006.png", "undecodable_image"),
        (11, "000001_01_01_005.png", "duplicate"),
        (2, "tracks.csv", "unknown_lesion"),
    ]
    assert not report.is_sound
    # Patients 1 and 9 are left: the damaged neighbour is reported, the key slice is usable.
    assert (report.rows, report.sound_rows) == (10, 2)
    assert (report.slices_expected, report.slices_found) == (21, 19)
    document = json.loads(json.dumps(report.to_json()))
    assert document["problems_per_reason"]["undecodable_image"] == 2
    assert sum(document["problems_per_reason"].values()) == len(document["problems"]) == 10
    assert document["problems"][0] == {
        "line": 3,
        "file_name": "000002_01_01_005.png",
        "reason": "unparsable_field",
        "detail": "Spacing_mm_px_ is '0.7, thick, 2.5': 3 finite numbers are needed",
    }


def test_files_are_looked_for_even_when_not_read(root: Path) -> None:
    png(root, 4).unlink()
    png(root, 5).write_bytes(b"not a picture")
    report = check_archive(root, read_images=False)
    assert [(p.line, p.reason.value) for p in report.problems] == [(5, "missing_file")]
    assert (report.images_read, report.sound_rows) == (False, 8)
    assert check_archive(root / "DL_info.csv").images_read


def test_a_patient_in_two_splits_is_named(root: Path) -> None:
    table = root / "DL_info.csv"
    lines = table.read_text().splitlines()
    moved = lines[1].replace("000001_01_01", "000001_02_01").replace(",1,1,1,5,", ",1,2,1,5,")
    table.write_text("\n".join([*lines, moved[:-1] + "1"]) + "\n")
    report = check_archive(root, read_images=False)
    assert report.patients_in_several_splits == ["000001"]
    assert [p.reason.value for p in report.problems] == ["missing_file"]
    assert not report.is_sound


def test_no_archive_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(ArchiveError, match="no archive"):
        check_archive(tmp_path)


def test_the_real_sample_and_the_official_table_are_sound(real_data: Path) -> None:
    sample = check_archive(real_data / "deeplesion_sample")
    assert sample.is_sound
    assert (sample.rows, sample.patients, sample.studies, sample.slices_found) == (23, 9, 16, 109)
    types = {kind: count for kind, count in sample.lesions_per_type.items() if count}
    assert types == {"mediastinum": 4, "liver": 19}
    table = check_archive(real_data / "DL_info_val_test_9816.csv")
    assert table.is_sound
    assert (table.rows, table.patients, table.images_read) == (9816, 1368, False)
    assert (table.lesions_per_split["val"], table.lesions_per_split["test"]) == (4889, 4927)
    assert table.missing_values["patient_age"] == 1
