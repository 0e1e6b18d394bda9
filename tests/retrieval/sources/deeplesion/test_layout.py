"""Archives as they get unpacked: folders in folders, key slices alone, tables of spreadsheets."""

from __future__ import annotations

import csv
from pathlib import Path

import cv2
import numpy as np
import pytest

from retrieval.lesion import LesionType, Recist, Split
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.deeplesion.check import check_archive
from retrieval.sources.deeplesion.coding import COLUMNS
from retrieval.sources.deeplesion.layout import table_of_series
from retrieval.sources.deeplesion.series_images import SeriesImages
from retrieval.sources.deeplesion.table import read_lesion_table
from retrieval.sources.deeplesion.writer import ArchiveRow, DeepLesionWriter
from retrieval.sources.errors import ArchiveError

SIDE = 48


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two patients of one lesion, three slices each."""
    rng = np.random.default_rng(0)
    folder = tmp_path / "archive"
    with DeepLesionWriter(folder) as writer:
        for patient in (1, 2):
            writer.write_slices(SeriesImages(patient, 1, 1, 4, rng.normal(40, 20, (3, SIDE, SIDE))))
            recist = Recist(((10, 20), (20, 20), (15, 16), (15, 22)))
            writer.add_row(
                ArchiveRow(
                    patient=patient,
                    study=1,
                    series=1,
                    key_slice=5,
                    recist=recist,
                    box=recist.box(),
                    location=None,
                    lesion_type=LesionType.LIVER,
                    split=Split.TEST,
                    spacing_mm_px=(0.8, 0.8),
                    slice_interval_mm=5.0,
                    slice_range=(4, 6),
                    image_size=(SIDE, SIDE),
                )
            )
    return folder


def key_slice(archive: DeepLesionArchive) -> np.ndarray:
    slab = archive.slab(archive.lesions[0], half_depth_mm=5)
    return np.asarray(slab.hu[slab.key_slice])


def rewritten(root: Path, separator: str, left_out: tuple[str, ...] = ()) -> Path:
    table = root / "DL_info.csv"
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    with table.open("w", newline="") as file:
        kept = [name for name in COLUMNS if name not in left_out]
        writer = csv.DictWriter(file, kept, delimiter=separator, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    return table


def test_images_png_in_images_png_is_read_and_said(root: Path) -> None:
    expected = key_slice(DeepLesionArchive.open(root))
    images = root / "Images_png"
    images.rename(root / "inner")
    images.mkdir()
    (root / "inner").rename(images / "Images_png")
    archive = DeepLesionArchive.open(root)
    np.testing.assert_array_equal(key_slice(archive), expected)
    assert archive.notes == ("the series lie in Images_png/Images_png, which is read",)
    report = check_archive(root)
    assert report.is_sound
    assert (report.slices_found, report.slices_expected) == (6, 6)
    assert report.to_json()["notes"] == list(archive.notes)
    series = images / "Images_png" / "000001_01_01"
    assert table_of_series(series) == root.resolve() / "DL_info.csv"


def test_ct_of_key_slices_alone_is_read_and_said(root: Path) -> None:
    expected = key_slice(DeepLesionArchive.open(root))
    flat = root / "Key_slices"
    flat.mkdir()
    for patient in ("000001_01_01", "000002_01_01"):
        (root / "Images_png" / patient / "005.png").rename(flat / f"{patient}_005.png")
    (root / "Images_png").rename(root.parent / "elsewhere")
    archive = DeepLesionArchive.open(root)
    np.testing.assert_array_equal(key_slice(archive), expected)
    assert "no slice has a neighbour" in archive.notes[0]
    slab = archive.slab(archive.lesions[0], half_depth_mm=5)
    assert slab.filled_slices == (0, 2)
    report = check_archive(root)
    assert (report.sound_rows, report.slices_found) == (2, 2)


def test_pictures_of_key_slices_are_refused_with_the_cure(root: Path) -> None:
    (root / "Images_png").rename(root.parent / "elsewhere")
    flat = root / "Key_slices"
    flat.mkdir()
    cv2.imwrite(str(flat / "000001_01_01_005.png"), np.zeros((SIDE, SIDE, 3), np.uint8))
    archive = DeepLesionArchive.open(root)
    with pytest.raises(ArchiveError, match="without Hounsfield units: unpack the zips of Images"):
        key_slice(archive)
    problems = check_archive(root).problems
    assert len(problems) == 2
    assert all("unpack the zips" in problem.detail for problem in problems)


@pytest.mark.parametrize(("separator", "name"), [(";", "semicolons"), ("\t", "tabs")])
def test_other_separators_are_read_and_said(root: Path, separator: str, name: str) -> None:
    expected = read_lesion_table(root / "DL_info.csv")
    table = read_lesion_table(rewritten(root, separator))
    assert table.rows == expected.rows
    assert table.notes == (f"DL_info.csv separates its cells by {name}",)


def test_decimal_commas_are_refused_with_the_cure(root: Path) -> None:
    path = rewritten(root, ";")
    path.write_text(path.read_text().replace("0.8", "0,8").replace(".5", ",5"))
    with pytest.raises(ArchiveError, match="points in numbers"):
        read_lesion_table(path)


def test_missing_type_column_is_read_as_unknown_and_said(root: Path) -> None:
    table = read_lesion_table(rewritten(root, ",", ("Coarse_lesion_type", "Patient_age")))
    assert {row.lesion.lesion_type for row in table.rows} == {LesionType.UNKNOWN}
    assert table.problems == ()
    assert table.notes == (
        "DL_info.csv lacks the column Coarse_lesion_type: unknown for every lesion",
        "DL_info.csv lacks the column Patient_age: unknown for every lesion",
    )


def test_a_missing_box_column_is_refused(root: Path) -> None:
    with pytest.raises(ArchiveError, match="lacks the columns Bounding_boxes"):
        read_lesion_table(rewritten(root, ";", ("Bounding_boxes",)))
