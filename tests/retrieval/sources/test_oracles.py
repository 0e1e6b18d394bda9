"""Voxels, spacing, origin and order against SimpleITK and dcm2niix, for DICOM and volumes alike."""

from __future__ import annotations

import subprocess
from pathlib import Path

import dcm2niix
import numpy as np
import pydicom
import pytest
import SimpleITK
from numpy.typing import NDArray
from pydicom.data import get_testdata_files
from pydicom.dataset import Dataset
from pydicom.uid import CTImageStorage

from retrieval.image import CTError
from retrieval.sources.dicom.series import read_dicom_grid
from retrieval.sources.query_image import open_query_image
from retrieval.sources.volumes.reading import read_volume
from tests.retrieval.sources.volumes.bodies import body

SAMPLES = ["rtstruct_4dlung", "seg_dcmqi_liver", "sr_tid1500"]


def assert_same(
    values: NDArray[np.floating], steps: NDArray[np.floating], origin: NDArray[np.floating],
    reference: SimpleITK.Image, dataset: Dataset | None = None,
) -> None:  # fmt: skip
    """HU, the steps along i, j, k and the first voxel, as SimpleITK has them."""
    theirs = SimpleITK.GetArrayFromImage(reference)
    sound = np.ones(theirs.shape, np.bool_) if dataset is None else not_padding(theirs, dataset)
    np.testing.assert_allclose(values[sound], theirs[sound], atol=1e-3)
    directions = np.asarray(reference.GetDirection()).reshape(3, 3)
    expected = (directions * np.asarray(reference.GetSpacing())).T
    count = len(values)
    np.testing.assert_allclose(steps[:2], expected[:2], atol=1e-3)
    if count > 1:
        np.testing.assert_allclose(steps[2], expected[2], atol=1e-2)
    np.testing.assert_allclose(origin, reference.GetOrigin(), atol=1e-3)


def not_padding(values: NDArray[np.generic], dataset: Dataset) -> NDArray[np.bool_]:
    """What is padding stands at air here; SimpleITK rescales it like any pixel."""
    padding = dataset.get("PixelPaddingValue")
    if padding is None:
        return np.ones(values.shape, np.bool_)
    slope, intercept = float(dataset.RescaleSlope), float(dataset.RescaleIntercept)
    stored = np.rint((values - intercept) / slope).astype(np.int64)
    return np.asarray(stored & 0xFFFF != int(padding) & 0xFFFF)


def series_by_simpleitk(folder: Path) -> SimpleITK.Image:
    """The one series of a folder, in SimpleITK's own order."""
    reader = SimpleITK.ImageSeriesReader()
    (uid,) = reader.GetGDCMSeriesIDs(str(folder))
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder), uid))
    return reader.Execute()


def only_ct(source: Path, target: Path) -> Path:
    """A folder with the CT images of another: SimpleITK stumbles over what else lies there."""
    target.mkdir()
    for file in source.glob("*.dcm"):
        if pydicom.dcmread(file, stop_before_pixels=True).SOPClassUID == CTImageStorage:
            (target / file.name).symlink_to(file)
    return target


@pytest.mark.parametrize("name", SAMPLES)
def test_samples_of_dicom(real_data, tmp_path, name):
    folder = only_ct(real_data / "samples" / name, tmp_path / "ct")
    grid = read_dicom_grid(folder)
    dataset = pydicom.dcmread(next(folder.iterdir()))
    theirs = series_by_simpleitk(folder)
    assert_same(grid.hu, grid.steps_mm, grid.positions[0], theirs, dataset)


def test_the_real_sarcoma_series(real_data):
    folder = real_data / "sarcoma_ct" / "dicom" / "STS_007" / "CT" / "image"
    grid = read_dicom_grid(folder)
    assert_same(grid.hu, grid.steps_mm, grid.positions[0], series_by_simpleitk(folder))


def test_samples_of_volumes(real_data):
    files = sorted((real_data / "samples").rglob("*.nrrd"))
    files += sorted((real_data / "sarcoma_ct" / "nifti").glob("STS_00[1-3]/*.nii.gz"))
    files += sorted((real_data / "lung_nodules" / "image").glob("*.nii.gz"))[::60]
    files += sorted((real_data / "lung_pet_ct_dx" / "image").glob("*.nii.gz"))
    assert len(files) > 20
    for file in files:
        volume = read_volume(file)
        reference = SimpleITK.ReadImage(str(file))
        assert_same(volume.values, volume.steps_mm, volume.origin_mm, reference)


def dicom_of_the_wheel(*, ct: bool) -> list[Path]:
    """The files in pydicom's wheel that are CT images, or all others."""
    found = []
    for name in get_testdata_files():
        try:
            dataset = pydicom.dcmread(name, stop_before_pixels=True, force=True)
            is_ct = str(dataset.get("Modality", "")) == "CT" and "Rows" in dataset
        except Exception:
            is_ct = False
        if is_ct is ct and Path(name).is_file():
            found.append(Path(name))
    return sorted(found)


def refusal(file: Path) -> str | None:
    """The words in which a file is refused; None where it is read."""
    try:
        open_query_image(file)
    except CTError as refused:
        return str(refused)
    return None


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("file", dicom_of_the_wheel(ct=True), ids=lambda file: file.name)
def test_pydicoms_own_ct_is_read_as_simpleitk_reads_it_or_refused_in_words(file):
    words = refusal(file)
    if words is not None:
        assert len(words) > 30
        assert "\n" not in words
        return
    grid = read_dicom_grid(file)
    reference = SimpleITK.ReadImage(str(file))
    values = SimpleITK.GetArrayFromImage(reference)
    sound = not_padding(values, pydicom.dcmread(file))
    np.testing.assert_allclose(grid.hu[sound], values[sound], atol=1e-3)
    assert grid.spacing_mm_px == pytest.approx(reference.GetSpacing()[:2], rel=1e-4)


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("file", dicom_of_the_wheel(ct=False), ids=lambda file: file.name)
def test_whatever_else_lies_in_pydicoms_wheel_is_refused_in_one_line(file):
    words = refusal(file)
    assert words is not None
    assert len(words) > 30
    assert "\n" not in words


def synthetic_series(dicom, folder: Path, number: int) -> tuple[Path, NDArray[np.int16]]:
    """One of 30: another size, spacing, interval, sign, slope, start and order of files."""
    rng = np.random.default_rng(number)
    size = (int(rng.integers(3, 9)), int(rng.integers(20, 60)), int(rng.integers(20, 60)))
    hu = body(number, size=size)
    slope, intercept = [(1, -1024), (1, 0), (2, -1024), (0.5, -1000)][number % 4]
    stored = np.rint((hu - intercept) / slope)
    stored = stored.astype(np.uint16 if stored.min() >= 0 and number % 3 else np.int16)
    interval = [1.0, 2.5, 3.27, 5.0][number % 4]
    spacing = [round(float(v), 4) for v in rng.uniform(0.5, 1.2, 2)]
    datasets = dicom.series(stored, interval)
    for dataset in datasets:
        dataset.PixelSpacing = spacing
        dataset.RescaleSlope, dataset.RescaleIntercept = slope, intercept
        dataset.SeriesInstanceUID = f"1.2.826.0.1.3680043.8.498.{number + 1}"
        dataset.StudyInstanceUID = f"1.2.826.0.1.3680043.8.499.{number + 1}"
        dataset.FrameOfReferenceUID = f"1.2.826.0.1.3680043.8.500.{number + 1}"
        dataset.SeriesNumber = 1
    for instance, dataset in enumerate(datasets, start=1):
        dataset.InstanceNumber = instance
    return dicom.write(folder, datasets), hu


@pytest.mark.parametrize("number", range(30))
def test_synthetic_series_against_simpleitk(dicom, tmp_path, number):
    folder, hu = synthetic_series(dicom, tmp_path / "series", number)
    grid = read_dicom_grid(folder)
    assert_same(grid.hu, grid.steps_mm, grid.positions[0], series_by_simpleitk(folder))
    slope = float(pydicom.dcmread(next(folder.iterdir())).RescaleSlope)
    np.testing.assert_allclose(grid.hu, hu, atol=slope / 2 + 1e-3)


@pytest.mark.parametrize("number", range(0, 30, 3))
def test_what_dcm2niix_converts_is_the_same_picture(dicom, tmp_path, number):
    """NIfTI of dcm2niix (L, A, S) and the DICOM it came from: one slab, and one grid each."""
    folder, _ = synthetic_series(dicom, tmp_path / "series", number)
    converted(folder, tmp_path)
    by_dicom, by_nifti = open_query_image(folder), open_query_image(tmp_path / "out.nii.gz")
    np.testing.assert_allclose(by_nifti.hu, by_dicom.hu, atol=1e-3)
    assert by_nifti.spacing_mm_px == pytest.approx(by_dicom.spacing_mm_px, rel=1e-4)
    assert by_nifti.slice_interval_mm == pytest.approx(by_dicom.slice_interval_mm, rel=1e-4)
    assert by_nifti.grid.step != by_dicom.grid.step


@pytest.mark.parametrize("name", ["rtstruct_4dlung", "sarcoma"])
def test_what_dcm2niix_converts_of_real_ct(real_data, tmp_path, name):
    source = real_data / "sarcoma_ct" / "dicom" / "STS_007" / "CT" / "image"
    if name != "sarcoma":
        source = only_ct(real_data / "samples" / name, tmp_path / "ct")
    converted(source, tmp_path)
    by_dicom, by_nifti = open_query_image(source), open_query_image(tmp_path / "out.nii.gz")
    np.testing.assert_allclose(by_nifti.hu, by_dicom.hu, atol=1e-3)
    assert by_nifti.spacing_mm_px == pytest.approx(by_dicom.spacing_mm_px, rel=1e-4)


def converted(folder: Path, out: Path) -> None:
    """``out.nii.gz`` beside the folder."""
    arguments = [dcm2niix.bin, "-z", "y", "-b", "n", "-f", "out", "-o", str(out), str(folder)]
    done = subprocess.run(arguments, capture_output=True, text=True, check=False)
    assert (out / "out.nii.gz").is_file(), done.stdout + done.stderr
