"""Thirty generated series, and pydicom's own CT files, held against SimpleITK and pydicom."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.uid import RLELossless

from retrieval.sources.dicom.contents import read_contents
from retrieval.sources.dicom.parts import chosen_part
from retrieval.sources.dicom.series import grid_of
from retrieval.sources.dicom.values import write_hu
from tests.retrieval.sources.volumes.bodies import body

CT_OF_PYDICOM = ("CT_small.dcm", "J2K_pixelrep_mismatch.dcm")
"""The CT slices in pydicom's wheel."""

TURNS = [
    ((1, 0, 0), (0, 1, 0)),
    ((-1, 0, 0), (0, -1, 0)),
    ((1, 0, 0), (0, -1, 0)),
    ((0, 1, 0), (1, 0, 0)),
    ((1, 0, 0), (0, 0, -1)),
    ((0, 1, 0), (0, 0, -1)),
]


@pytest.mark.parametrize("number", range(30))
def test_a_series_is_what_simple_itk_reads(dicom, tmp_path, number):
    rng = np.random.default_rng(number)
    across, down = (np.array(one, float) for one in TURNS[number % len(TURNS)])
    normal = np.cross(across, down)
    x_mm, y_mm = (float(round(v, 3)) for v in rng.uniform(0.4, 1.2, 2))
    interval = float(round(rng.uniform(0.6, 7), 2))
    start = rng.uniform(-300, 300, 3).round(1)
    slope, intercept = ((1, -1024), (2, -1000), (1, 0))[number % 3]
    hu = body(number, size=(int(rng.integers(3, 8)), 20, 24))
    images = [
        dicom.image(
            0,
            np.rint((plane.astype(float) - intercept) / slope).astype(np.int16),
            RescaleSlope=slope,
            RescaleIntercept=intercept,
            PixelSpacing=[y_mm, x_mm],
            ImageOrientationPatient=[*across, *down],
            ImagePositionPatient=[float(v) for v in (start + normal * interval * place).round(6)],
            InstanceNumber=len(hu) - place,
        )
        for place, plane in enumerate(hu)
    ]
    if number % 4 == 3:
        for image in images:
            image.compress(RLELossless, generate_instance_uid=False)
    folder = dicom.write(tmp_path / "series", images)
    grid = grid_of(chosen_part(read_contents(folder).planes))
    reader = SimpleITK.ImageSeriesReader()
    reader.SetFileNames(reader.GetGDCMSeriesFileNames(str(folder)))
    oracle = reader.Execute()
    np.testing.assert_array_equal(grid.hu, SimpleITK.GetArrayFromImage(oracle))
    np.testing.assert_allclose(
        (*grid.spacing_mm_px, grid.slice_interval_mm), oracle.GetSpacing(), atol=1e-4
    )
    np.testing.assert_allclose(grid.positions[0], oracle.GetOrigin(), atol=1e-6)
    directions = np.array(oracle.GetDirection()).reshape(3, 3).T
    np.testing.assert_allclose(grid.axes, directions, atol=1e-6)


@pytest.mark.parametrize("name", CT_OF_PYDICOM)
def test_the_files_of_pydicom_have_its_values(name):
    path = Path(pydicom.__file__).parent / "data" / "test_files" / name
    if not path.is_file():
        pytest.skip(f"this build of pydicom carries no {name}")
    (plane,) = read_contents(path).planes
    hu = np.empty(plane.size, np.float32)
    write_hu(plane, hu)
    dataset = pydicom.dcmread(path)
    stored = dataset.pixel_array.astype(np.float64)
    expected = stored * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    padding = dataset.get("PixelPaddingValue")
    inside = np.ones(stored.shape, bool) if padding is None else stored != int(padding)
    np.testing.assert_allclose(hu[inside], expected[inside])
    assert inside.sum() > 0.4 * inside.size
