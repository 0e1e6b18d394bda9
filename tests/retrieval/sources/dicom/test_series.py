"""DICOM series to HU, and every reason to refuse one."""

from __future__ import annotations

import csv

import numpy as np
import pydicom
import pytest
from pydicom.uid import ExplicitVRLittleEndian, RLELossless, generate_uid

from retrieval.image import CTError
from retrieval.sources.dicom.header import DicomError, read_plane
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
    with pytest.raises(DicomError, match="SliceThickness"):
        read_dicom(lone)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"Modality": "MR"}, "modality 'MR'"),
        ({"PixelSpacing": None}, "no PixelSpacing"),
        ({"PixelSpacing": [0, 0.7]}, "not > 0"),
        ({"ImagePositionPatient": None}, "no ImagePositionPatient"),
        ({"ImageOrientationPatient": None}, "no ImageOrientationPatient"),
        ({"ImageOrientationPatient": [0, 1, 0, 0, 0, -1]}, "not axial"),
        ({"ImageOrientationPatient": [1, 0, 0, 0, 0.9397, 0.342]}, "not axial"),
        ({"RescaleSlope": None}, "RescaleSlope"),
        ({"RescaleSlope": 0}, "rescale slope 0"),
        ({"NumberOfFrames": 2}, "multi-frame"),
        ({"PhotometricInterpretation": "RGB", "SamplesPerPixel": 3}, "colour"),
        ({"PhotometricInterpretation": "MONOCHROME1"}, "MONOCHROME2"),
        ({"PixelData": None}, "no pixels"),
        ({"PixelData": b"\0" * 20}, "cannot be decoded"),
        ({"ImagePositionPatient": [0, 0, -297.5]}, "same position"),
        ({"ImagePositionPatient": [0, 0, -294.0]}, "missing or unevenly spaced"),
        ({"PixelSpacing": [0.9, 0.7]}, "mixes sizes"),
        ({"ImageOrientationPatient": [-1, 0, 0, 0, -1, 0]}, "mixes orientations"),
        ({"SeriesInstanceUID": generate_uid()}, "2 series"),
    ],
)
def test_what_is_refused(dicom, stored, tmp_path, changes, message):
    datasets = dicom.series(stored)
    datasets[2] = dicom.image(-295, stored[2], **changes)
    folder = dicom.write(tmp_path / "series", datasets)
    with pytest.raises(DicomError, match=message) as refused:
        read_dicom(folder)
    assert "\n" not in str(refused.value)
    assert "secret" not in str(refused.value)


def test_a_missing_slice_is_refused_with_its_gap(dicom, stored, tmp_path):
    datasets = dicom.series(stored)
    del datasets[2]
    with pytest.raises(DicomError, match=r"5\.00 mm between .* 2\.50 mm elsewhere"):
        read_dicom(dicom.write(tmp_path / "series", datasets))


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
    with pytest.raises(DicomError, match="no DICOM file"):
        read_dicom(tmp_path / "empty")


def test_nothing_of_the_patient_is_read(dicom, stored, tmp_path):
    file = next(dicom.write(tmp_path / "series", [dicom.image(0, stored[0])]).iterdir())
    assert pydicom.dcmread(file).PatientID == "secret-17"
    dataset = read_plane(file).dataset
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
