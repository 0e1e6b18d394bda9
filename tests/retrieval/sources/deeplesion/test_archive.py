"""DeepLesionArchive: slabs by physical distance, the missing-slice policy, tracks, real data."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from retrieval.lesion import LesionType, Recist, Split
from retrieval.sources.archive import Archive
from retrieval.sources.deeplesion.archive import DeepLesionArchive, MissingSlices
from retrieval.sources.deeplesion.series_images import SeriesImages
from retrieval.sources.deeplesion.writer import ArchiveRow, DeepLesionWriter
from retrieval.sources.errors import ArchiveError
from retrieval.sources.row_problem import ProblemReason

MARK = Recist(((20.0, 20.0), (30.0, 26.0), (24.0, 28.0), (27.0, 18.0)))
FIRST, LAST, KEY = 5, 9, 6


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Two lesions on slice 6 of a sub-volume of slices 5 to 9, 2.5 mm apart; HU = slice number."""
    with DeepLesionWriter(tmp_path / "archive") as writer:
        hu = np.broadcast_to(np.arange(FIRST, LAST + 1)[:, None, None], (5, 48, 64))
        writer.write_slices(SeriesImages(3, 1, 2, FIRST, hu))
        for shift, track in ((0.0, "3-a"), (20.0, None)):
            writer.add_row(
                ArchiveRow(
                    patient=3,
                    study=1,
                    series=2,
                    key_slice=KEY,
                    recist=MARK,
                    box=MARK.box().shifted(shift, 0),
                    location=None,
                    lesion_type=LesionType.BONE,
                    split=Split.TRAIN,
                    spacing_mm_px=(0.7, 0.7),
                    slice_interval_mm=2.5,
                    slice_range=(FIRST, LAST),
                    image_size=(48, 64),
                ),
                track,
                {"calcification": 3.0},
            )
    return tmp_path / "archive"


def slice_numbers(archive: DeepLesionArchive, half_depth_mm: float) -> list[int]:
    slab = archive.slab(archive.lesions[0], half_depth_mm=half_depth_mm)
    assert slab.key_slice_index == KEY
    # Numbers grow towards the feet, positions in a slab towards the head.
    return [int(number) for number in slab.hu[::-1, 3, 7]]


@pytest.mark.parametrize(
    ("half_depth_mm", "numbers"),
    [(0.0, [6]), (0.1, [5, 6, 7]), (2.0, [5, 6, 7]), (2.5, [5, 6, 7])],
)
def test_slices_are_picked_by_distance(
    half_depth_mm: float, numbers: list[int], root: Path
) -> None:
    assert slice_numbers(DeepLesionArchive.open(root), half_depth_mm) == numbers


def test_only_the_needed_files_are_read(root: Path) -> None:
    archive = DeepLesionArchive.open(root)
    for number in (8, 9):
        archive.image_path("000003_01_02", number).write_bytes(b"damaged")
    assert slice_numbers(archive, 2.5) == [5, 6, 7]
    with pytest.raises(ArchiveError, match="not a PNG"):
        archive.slab(archive.lesions[0], half_depth_mm=2.6)


def test_past_the_end_the_nearest_slice_stands_in_and_is_counted(root: Path) -> None:
    archive = DeepLesionArchive.open(root)
    slab = archive.slab(archive.lesions[0], half_depth_mm=10.0)
    assert [int(v) for v in slab.hu[:, 0, 0]] == [9, 9, 8, 7, 6, 5, 5, 5, 5]
    assert slab.filled_slices == (0, 6, 7, 8)
    assert (slab.key_slice, slab.slice_numbers, slab.key_slice_index) == (4, range(2, 11), 6)
    assert (slab.spacing_mm_px, slab.slice_interval_mm) == ((0.7, 0.7), 2.5)


def test_a_hole_is_filled_from_the_side_of_the_key_slice(root: Path) -> None:
    archive = DeepLesionArchive.open(root)
    archive.image_path("000003_01_02", 7).unlink()
    slab = archive.slab(archive.lesions[0], half_depth_mm=5.0)
    assert [int(v) for v in slab.hu[:, 0, 0]] == [8, 6, 6, 5, 5]
    assert slab.filled_slices == (1, 4)


def test_the_policy_raise_names_the_file(root: Path) -> None:
    archive = DeepLesionArchive.open(root, missing_slices=MissingSlices.RAISE)
    assert slice_numbers(archive, 2.5) == [5, 6, 7]
    with pytest.raises(ArchiveError, match=r"004\.png.*'nearest'"):
        archive.slab(archive.lesions[0], half_depth_mm=5.0)


@pytest.mark.parametrize("policy", MissingSlices)
def test_the_key_slice_is_never_replaced(policy: MissingSlices, root: Path) -> None:
    archive = DeepLesionArchive.open(root, missing_slices=policy)
    archive.image_path("000003_01_02", KEY).unlink()
    with pytest.raises(ArchiveError, match=r"006\.png does not exist"):
        archive.slab(archive.lesions[0], half_depth_mm=2.0)


def test_an_image_of_another_size_is_refused(root: Path) -> None:
    archive = DeepLesionArchive.open(root)
    picture = np.full((64, 48), 32768, np.uint16)
    cv2.imwrite(str(archive.image_path("000003_01_02", KEY)), picture)
    with pytest.raises(ArchiveError, match="64 x 48 pixels: its table row says 48 x 64"):
        archive.slab(archive.lesions[0], half_depth_mm=0)


def test_source_says_where_the_pixels_stand(root: Path) -> None:
    archive: Archive = DeepLesionArchive.open(root)
    source = archive.source(archive.lesions[1])
    assert Path(source.archive) == root
    assert source.image == "Images_png/000003_01_02/006.png"
    assert (Path(source.archive) / source.image).is_file()
    assert (source.spacing_mm_px, source.slice_interval_mm) == ((0.7, 0.7), 2.5)


def test_a_table_alone_serves_what_needs_no_pixels(root: Path, tmp_path: Path) -> None:
    table = shutil.copy(root / "DL_info.csv", tmp_path / "rows.csv")
    archive = DeepLesionArchive.open(table)
    assert archive.lesions == DeepLesionArchive.open(root).lesions
    assert (archive.track_ids, archive.attributes) == ({}, {})
    with pytest.raises(ArchiveError, match="does not exist"):
        archive.slab(archive.lesions[0], half_depth_mm=0)


def test_what_is_no_archive_is_refused(root: Path, tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "nowhere"):
        with pytest.raises(ArchiveError, match=r"is no archive: a folder with DL_info\.csv"):
            DeepLesionArchive.open(path)
    archive = DeepLesionArchive.open(root)
    stranger = archive.lesions[0].with_changes(lesion_id="000009_01_01_001_x1_y1")
    for ask in (archive.source, archive.row, lambda x: archive.slab(x, half_depth_mm=1)):
        with pytest.raises(ArchiveError, match="000009_01_01_001_x1_y1 is not in"):
            ask(stranger)
    for depth in (-1.0, float("nan")):
        with pytest.raises(ArchiveError, match="half depth"):
            archive.slab(archive.lesions[0], half_depth_mm=depth)


def test_bad_rows_of_the_optional_tables_are_named(root: Path) -> None:
    first, second = (lesion.lesion_id for lesion in DeepLesionArchive.open(root).lesions)
    (root / "tracks.csv").write_text(
        "patient_id,track_id,study_id,lesion_id,state\n"
        f"000003,3-a,000003_01,{first},baseline\n"
        "000003,3-a,000003_02,,vanished\n"
        f"000003,3-b,000003_01,{first},baseline\n"
        "000003,3-b,000003_01,nobody,baseline\n"
        f"000004,3-a,000003_01,{second},baseline\n"
        "too,short\n"
    )
    (root / "attributes.csv").write_text(
        f"lesion_id,texture,margin\n{first},5,\n{second},solid,1\n{second},,2.5\n"
    )
    archive = DeepLesionArchive.open(root)
    assert archive.track_ids == {first: "3-a"}
    assert archive.attributes == {first: {"texture": 5.0}, second: {"margin": 2.5}}
    assert sorted((p.file_name, p.line, p.reason) for p in archive.problems) == [
        ("attributes.csv", 3, ProblemReason.UNPARSABLE_FIELD),
        ("tracks.csv", 4, ProblemReason.DUPLICATE),
        ("tracks.csv", 5, ProblemReason.UNKNOWN_LESION),
        ("tracks.csv", 6, ProblemReason.INVALID_VALUE),
        ("tracks.csv", 7, ProblemReason.UNPARSABLE_FIELD),
    ]
    (root / "tracks.csv").write_text("patient,track\n")
    with pytest.raises(ArchiveError, match=r"tracks\.csv has the columns"):
        DeepLesionArchive.open(root)


def test_every_real_lesion_gives_its_slab(real_data: Path) -> None:
    root = real_data / "deeplesion_sample"
    archive = DeepLesionArchive.open(root)
    assert archive.problems == ()
    assert (len(archive.lesions), len({x.patient_id for x in archive.lesions})) == (23, 9)
    for lesion in archive.lesions:
        slab = archive.slab(lesion, half_depth_mm=2.0)
        reach = 1 if slab.slice_interval_mm >= 2 else 2
        assert slab.hu.shape == (2 * reach + 1, 512, 512)
        assert slab.key_slice_index == lesion.key_slice_index
        folder = root / "Images_png" / lesion.series_id
        for position in range(2 * reach + 1):
            path = folder / f"{slab.grid.to_file_slice(position):03d}.png"
            assert (position in slab.filled_slices) is not path.exists()
            if path.exists():
                with Image.open(path) as picture:
                    pixels = np.asarray(picture).astype(np.float32) - 32768
                np.testing.assert_array_equal(slab.hu[position], pixels)
        x, y = (round(v) for v in lesion.box.center)
        # Soft-tissue lesions, the box centre on them: the geometry is right.
        assert -60 < slab.hu[slab.key_slice, y - 1 : y + 2, x - 1 : x + 2].mean() < 220


def test_whole_sub_volumes_need_no_filling(real_data: Path) -> None:
    archive = DeepLesionArchive.open(
        real_data / "deeplesion_sample", missing_slices=MissingSlices.RAISE
    )
    slab = archive.slab(archive.lesions[0], half_depth_mm=30.0)
    assert slab.hu.shape[0] == 13
    assert slab.filled_slices == ()
