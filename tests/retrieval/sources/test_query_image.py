"""A query image is known by its content, its key slice and its spacing."""

from __future__ import annotations

import cv2
import nibabel as nib
import numpy as np
import pytest

from retrieval.lesion import LesionSearchError, LesionType, Recist, Split
from retrieval.sources.deeplesion.series_images import SeriesImages
from retrieval.sources.deeplesion.writer import ArchiveRow, DeepLesionWriter
from retrieval.sources.query_image import ImageKind, QueryImageError, kind_of, open_query_image

SPACING = (0.8, 0.9, 2.0)


@pytest.fixture
def hu():
    return np.random.default_rng(5).integers(-1000, 1000, (6, 20, 24)).astype(np.float32)


@pytest.fixture
def archive(hu, tmp_path):
    """An archive whose series has the slices 40 to 45 and, past a gap, 60 and 61."""
    with DeepLesionWriter(tmp_path / "archive") as writer:
        writer.write_slices(SeriesImages(1, 1, 1, 40, hu))
        writer.write_slices(SeriesImages(1, 1, 1, 60, hu[:2]))
        recist = Recist.from_numbers([8, 10, 16, 10, 12, 7, 12, 13])
        writer.add_row(
            ArchiveRow(
                patient=1,
                study=1,
                series=1,
                key_slice=42,
                recist=recist,
                box=recist.box(),
                location=None,
                lesion_type=LesionType.LIVER,
                split=Split.TRAIN,
                spacing_mm_px=SPACING[:2],
                slice_interval_mm=SPACING[2],
                slice_range=(40, 45),
                image_size=(20, 24),
            )
        )
    return tmp_path / "archive"


def test_a_png_of_an_archive_brings_its_spacing_and_neighbours(archive, hu):
    slab = open_query_image(archive / "Images_png" / "000001_01_01" / "042.png")
    np.testing.assert_array_equal(slab.hu, hu[::-1])
    assert (slab.spacing_mm_px, slab.slice_interval_mm) == (SPACING[:2], SPACING[2])
    assert (slab.key_slice, slab.key_slice_index) == (3, 42)
    near = open_query_image(archive / "Images_png" / "000001_01_01" / "042.png", half_depth_mm=2.0)
    np.testing.assert_array_equal(near.hu, hu[3:0:-1])


def test_a_folder_of_pngs_stops_at_the_gap_and_never_guesses_its_middle(archive, hu):
    folder = archive / "Images_png" / "000001_01_01"
    slab = open_query_image(folder, key_slice_index=61)
    np.testing.assert_array_equal(slab.hu, hu[1::-1])
    assert slab.key_slice == 0
    with pytest.raises(QueryImageError, match="name the key slice"):
        open_query_image(folder)
    with pytest.raises(QueryImageError, match="slice 50 is not in"):
        open_query_image(folder, key_slice_index=50)


def test_a_png_elsewhere_needs_the_spacing(archive, hu, tmp_path):
    loose = tmp_path / "loose"
    loose.mkdir()
    for name in ("041.png", "042.png", "043.png"):
        source = archive / "Images_png" / "000001_01_01" / name
        (loose / name).write_bytes(source.read_bytes())
    for path in (loose, loose / "042.png"):
        with pytest.raises(QueryImageError, match="give the spacing"):
            open_query_image(path)
        with pytest.raises(QueryImageError, match="above 0"):
            open_query_image(path, spacing_mm=(0.8, 0.9, 0.0))
    folder = open_query_image(loose, spacing_mm=SPACING)
    np.testing.assert_array_equal(folder.hu, hu[3:0:-1])
    assert folder.key_slice_index == 42
    alone = open_query_image(loose / "042.png", spacing_mm=SPACING)
    np.testing.assert_array_equal(alone.hu, hu[2:3])


def test_dicom_and_nifti_are_known_whatever_their_name(dicom, stored, tmp_path):
    folder = dicom.write(tmp_path / "series", dicom.series(stored))
    expected = stored.astype(np.float32) - 1024
    slab = open_query_image(folder, key_slice_index=1)
    np.testing.assert_array_equal(slab.hu, expected)
    assert slab.key_slice == 1
    one = tmp_path / "scan.png"
    one.write_bytes(next(folder.glob("*-3.dcm")).read_bytes())
    np.testing.assert_array_equal(open_query_image(one).hu[0], expected[3])
    volume = nib.Nifti1Image(
        (stored.astype(np.int16) - 1024).transpose(2, 1, 0), np.diag([-0.7, -0.8, 2.5, 1])
    )
    nib.save(volume, tmp_path / "ct.nii.gz")
    packed = (tmp_path / "ct.nii.gz").rename(tmp_path / "volume.nii.gz")
    assert kind_of(packed) is ImageKind.NIFTI
    np.testing.assert_array_equal(open_query_image(packed).hu, expected)
    for path in (folder, packed):
        with pytest.raises(QueryImageError, match="leave it out"):
            open_query_image(path, spacing_mm=SPACING)


def test_what_is_refused(dicom, stored, tmp_path):
    with pytest.raises(QueryImageError, match="does not exist"):
        open_query_image(tmp_path / "nothing.png")
    empty = tmp_path / "empty"
    empty.mkdir()
    with pytest.raises(QueryImageError, match="is empty"):
        open_query_image(empty)
    (empty / "notes.txt").write_text("no image")
    with pytest.raises(QueryImageError, match="1 files, none of them CT"):
        open_query_image(empty)
    with pytest.raises(QueryImageError, match="no kind that is read"):
        open_query_image(empty / "notes.txt")
    mixed = dicom.write(tmp_path / "mixed", dicom.series(stored))
    cv2.imwrite(str(mixed / "1.png"), stored[0])
    with pytest.raises(QueryImageError, match="mixes kinds"):
        open_query_image(mixed)


@pytest.mark.parametrize(
    "pixels",
    [np.zeros((8, 8), np.uint8), np.full((8, 8, 3), 33000, np.uint16)],
    ids=["8-bit", "colour"],
)
def test_pngs_without_hu_are_refused_in_one_line(tmp_path, pixels):
    path = tmp_path / "1.png"
    cv2.imwrite(str(path), pixels)
    with pytest.raises(LesionSearchError) as refused:
        open_query_image(path, spacing_mm=SPACING)
    assert "\n" not in str(refused.value)


def test_an_8_bit_picture_is_taken_for_hu_on_the_users_word_alone(tmp_path):
    path = tmp_path / "1.png"
    cv2.imwrite(str(path), np.tile(np.arange(256, dtype=np.uint8), (64, 1)))
    with pytest.raises(LesionSearchError, match="8-bit picture has lost its Hounsfield units"):
        open_query_image(path, spacing_mm=SPACING)
    with pytest.raises(QueryImageError, match="spacing"):
        open_query_image(path, assume_hu=True)
    slab = open_query_image(path, spacing_mm=SPACING, assume_hu=True)
    assert (slab.hu.min(), slab.hu.max()) == (-175, 275)
    assert "its window is assumed to be -175 to 275 HU" in slab.notes[0]


def test_real_kinds(real_data):
    sample = real_data / "deeplesion_sample" / "Images_png"
    key = next(iter(sorted(next(iter(sorted(sample.iterdir()))).glob("*.png"))))
    assert open_query_image(key).key_slice_index == int(key.stem)
    series = open_query_image(
        real_data / "sarcoma_ct" / "dicom" / "STS_007" / "CT" / "image", key_slice_index=34
    )
    assert series.hu.shape == (70, 215, 249)
    nifti = open_query_image(real_data / "sarcoma_ct" / "nifti" / "STS_001" / "CT_image.nii.gz")
    assert nifti.hu.shape == (59, 202, 198)
