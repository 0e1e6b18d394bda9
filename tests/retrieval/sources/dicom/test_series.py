"""DICOM series to HU, and every reason to refuse one."""

from __future__ import annotations

import csv

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    ExplicitVRLittleEndian,
    RLELossless,
    SecondaryCaptureImageStorage,
    generate_uid,
)

from retrieval.image import CTError
from retrieval.sources.dicom.errors import DicomError
from retrieval.sources.dicom.file import read_dataset
from retrieval.sources.dicom.parts import SeveralSeriesError
from retrieval.sources.dicom.series import read_dicom, read_dicom_grid
from retrieval.sources.importers.masks.placed import place_series
from retrieval.sources.importers.masks.structures import structure_masks


def test_a_series_is_sorted_by_position_and_scaled_to_hu(dicom, stored, tmp_path):
    folder = dicom.write(tmp_path / "series", dicom.series(stored)[::-1])
    slab = read_dicom(folder)
    np.testing.assert_array_equal(slab.hu, stored.astype(np.float32) - 1024)
    assert slab.hu.dtype == np.float32
    assert slab.spacing_mm_px == (0.7, 0.8)  # PixelSpacing is rows first
    assert slab.slice_interval_mm == pytest.approx(2.5)  # SliceThickness says 5
    assert slab.key_slice == 2
    assert read_dicom(folder, key_slice=4).key_slice_index == 4


def test_slope_and_signed_pixels(dicom, tmp_path):
    signed = np.arange(-60, 60, dtype=np.int16).reshape(1, 12, 10)
    datasets = dicom.series(np.repeat(signed, 3, axis=0))
    for dataset in datasets:
        dataset.RescaleSlope, dataset.RescaleIntercept = 2, -100
    slab = read_dicom(dicom.write(tmp_path / "series", datasets))
    np.testing.assert_array_equal(slab.hu[1], signed[0] * 2.0 - 100)


@pytest.mark.parametrize("tag_value", [63536, -2000])
def test_padding_becomes_air_whatever_the_sign_of_its_tag(dicom, tmp_path, tag_value):
    signed = np.full((1, 12, 10), 40, np.int16)
    signed[0, :3] = -2000
    (dataset,) = dicom.series(signed)
    dataset.RescaleIntercept = 0
    dataset.add_new("PixelPaddingValue", "SS" if tag_value < 0 else "US", tag_value)
    slab = read_dicom(dicom.write(tmp_path / "series", [dataset]))
    assert (slab.hu[0, :3] == -1024).all()
    assert (slab.hu[0, 3:] == 40).all()


def test_a_lossless_compressed_series_reads_the_same(dicom, stored, tmp_path):
    plain = read_dicom(dicom.write(tmp_path / "plain", dicom.series(stored)))
    packed = dicom.series(stored)
    for dataset in packed:
        dataset.compress(RLELossless, generate_instance_uid=False)
    slab = read_dicom(dicom.write(tmp_path / "packed", packed))
    np.testing.assert_array_equal(slab.hu, plain.hu)


def test_one_file_alone_takes_its_thickness_for_the_interval(dicom, stored, tmp_path):
    folder = dicom.write(tmp_path / "one", [dicom.image(0, stored[0])])
    slab = read_dicom(next(folder.iterdir()))
    assert slab.hu.shape == (1, 12, 10)
    assert slab.slice_interval_mm == 5
    lone = dicom.write(tmp_path / "thin", [dicom.image(0, stored[0], SliceThickness=None)])
    slab = read_dicom(lone)
    np.testing.assert_array_equal(slab.hu[0], stored[0].astype(np.float32) - 1024)
    assert "without depth" in slab.notes[0]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Modality": "MR"}, "is a MR image: CT slices are read"),
        ({"Modality": "SR", "PixelData": None}, "is a structured report"),
        ({"ImageType": ["ORIGINAL", "PRIMARY", "LOCALIZER"]}, "is a scout"),
        ({"BurnedInAnnotation": "YES"}, "burned-in text"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "picture of a screen"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "is a secondary capture"),
        ({"PixelSpacing": None}, "no PixelSpacing"),
        ({"PixelSpacing": [0, 0.7]}, "not > 0"),
        ({"ImagePositionPatient": None}, "no ImagePositionPatient"),
        ({"ImageOrientationPatient": None}, "no ImageOrientationPatient"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "a single sagittal slice"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0, -1]}, "a single coronal slice"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0.5, 0.866]}, "oblique"),
        ({"ImageOrientationPatient": [0.94, 0.342, 0, -0.342, 0.94, 0]}, r"oblique by 20\.0"),
        ({"ImageOrientationPatient": [1, 0, 0, 1, 0, 0]}, "perpendicular"),
        ({"Rows": None}, "no Rows"),
        ({"HighBit": 11}, "contradicts itself: BitsAllocated 16, BitsStored 16, HighBit 11"),
        ({"BitsStored": 8, "HighBit": 7}, "BitsStored 8 holds 0 to 255, its pixels reach"),
        ({"RescaleSlope": None}, "RescaleSlope"),
        ({"RescaleSlope": 0}, "rescale slope 0"),
        ({"NumberOfFrames": 2}, "2 frames and no place"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "colour"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "MONOCHROME2"),
        ({"PixelData": None}, "no pixels"),
        ({"PixelData": b"\0" * 20}, "cannot be decoded"),
    ],
)
def test_what_is_refused(dicom, stored, tmp_path, changes, message):
    folder = dicom.write(tmp_path / "one", [dicom.image(-295, stored[2], **changes)])
    (file,) = folder.iterdir()
    with pytest.raises(CTError, match=message) as refused:
        read_dicom(file)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"ImagePositionPatient": [-100, -120, -297.5]}, "2 series"),
        ({"PixelSpacing": [0.9, 0.7]}, "10 x 12 px of 0.7 mm"),
        ({"ImageOrientationPatient": [-1, 0, 0, 0, -1, 0]}, "orientation -1,0,0,0,-1,0"),
        ({"SeriesInstanceUID": generate_uid()}, "2 series"),
        ({"ImagePositionPatient": [-60, -120, -295]}, "field of view 2, 1 slice"),
    ],
)
def test_what_cannot_stand_in_one_volume_is_listed(dicom, stored, tmp_path, changes, message):
    datasets = dicom.series(stored)
    datasets[2] = dicom.image(-295, stored[2], **changes)
    folder = dicom.write(tmp_path / "series", datasets)
    with pytest.raises(SeveralSeriesError, match=message) as refused:
        read_dicom(folder)
    assert "--series N" in str(refused.value)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_beside_a_gap_the_even_slices_around_the_key_slice_are_read(dicom, stored, tmp_path):
    datasets = dicom.series(stored)
    del datasets[2]
    folder = dicom.write(tmp_path / "series", datasets)
    for key, kept in ((0, [0, 1]), (3, [3, 4])):
        slab = read_dicom(folder, key_slice=key)
        np.testing.assert_array_equal(slab.hu, stored[kept].astype(np.float32) - 1024)
        assert (slab.key_slice_index, slab.slice_interval_mm) == (key, pytest.approx(2.5))
        assert "2.50 to 5.00 mm apart: of 4, the 2 even ones" in slab.notes[0]


def test_unknown_compression_is_refused(dicom, stored, tmp_path):
    dataset = dicom.image(0, stored[0])
    dataset.compress(RLELossless, generate_instance_uid=False)
    folder = dicom.write(tmp_path / "series", [dataset])
    file = next(folder.iterdir())
    raw = file.read_bytes()
    assert raw.count(b"1.2.840.10008.1.2.5\0") == 1
    file.write_bytes(raw.replace(b"1.2.840.10008.1.2.5\0", b"1.2.840.10008.1.2.9\0"))
    with pytest.raises(DicomError):
        read_dicom(file)


@pytest.mark.parametrize("keep", [0, 100, 140, 400])
def test_a_damaged_file_is_refused(dicom, stored, tmp_path, keep):
    file = next(dicom.write(tmp_path / "series", [dicom.image(0, stored[0])]).iterdir())
    file.write_bytes(file.read_bytes()[:keep])
    with pytest.raises(DicomError):
        read_dicom(file)


def test_key_slice_outside_and_empty_folder(dicom, stored, tmp_path):
    folder = dicom.write(tmp_path / "series", dicom.series(stored))
    with pytest.raises(CTError, match="0 to 4"):
        read_dicom(folder, key_slice=5)
    (tmp_path / "empty").mkdir()
    with pytest.raises(DicomError, match="no CT slice as DICOM"):
        read_dicom(tmp_path / "empty")


def test_nothing_of_the_patient_is_read(dicom, stored, tmp_path):
    file = next(dicom.write(tmp_path / "series", [dicom.image(0, stored[0])]).iterdir())
    assert pydicom.dcmread(file).PatientID == "secret-17"
    dataset = read_dataset(file)
    assert dataset.file_meta.TransferSyntaxUID == ExplicitVRLittleEndian
    assert not any(element.keyword.startswith("Patient") for element in dataset)


def test_a_real_series_agrees_with_its_published_row(real_data):
    folder = real_data / "sarcoma_ct" / "dicom" / "STS_007" / "CT"
    with (real_data / "sarcoma_ct" / "index.csv").open() as file:
        row = next(row for row in csv.DictReader(file) if row["patient"] == "STS_007")
    grid = read_dicom_grid(folder / "image")
    image = place_series("STS_007", sorted((folder / "image").glob("*.dcm")))
    (region,) = structure_masks(folder / "mask" / "RS.dcm", image)
    mask = region.mask
    key = int(row["key_slice"])
    rows, columns = np.nonzero(mask[key])
    assert "x".join(map(str, reversed(grid.hu.shape))) == row["shape"]
    assert grid.slice_interval_mm == pytest.approx(3.27)
    assert int(mask.sum(axis=(1, 2)).argmax()) == key
    box = [columns.min(), rows.min(), columns.max(), rows.max()]
    assert box == [int(row[edge]) for edge in ("x0", "y0", "x1", "y1")]
    assert int(mask.any(axis=(1, 2)).sum()) == int(row["n_mask_slices"])
    assert float(grid.hu[mask].mean()) == pytest.approx(float(row["mean_hu_in_mask"]), abs=1e-3)
    assert (grid.hu.min(), grid.hu.max()) == (float(row["hu_min"]), float(row["hu_max"]))
