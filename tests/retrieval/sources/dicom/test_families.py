"""Whole kinds of series, generated: orientations, positions, phases, folders, multi-frame."""

from __future__ import annotations

import itertools
import shutil

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.uid import (
    CTImageStorage,
    ExplicitVRLittleEndian,
    MediaStorageDirectoryStorage,
    generate_uid,
)

from retrieval.lesion import Box
from retrieval.patch import PatchSpec, extract_patch
from retrieval.sources.dicom.errors import DicomError
from retrieval.sources.dicom.parts import SeveralSeriesError
from retrieval.sources.dicom.series import read_dicom
from retrieval.sources.query_image import open_query_image
from tests.retrieval.sources.dicom.family_bodies import LENGTHS, SIZE, body, phase

TURNS = [
    (axes, step)
    for axes in itertools.permutations(range(3))
    for step in itertools.product([1, -1], repeat=3)
]


def turned_series(dicom, hu, axes, step):
    """The volume as a series whose columns, rows and images run along other patient axes."""
    display_of = [axes.index(axis) for axis in range(3)]
    directions = np.zeros((3, 3))
    for file_axis, display in enumerate(display_of):
        directions[file_axis, display] = step[display]
    lengths = [LENGTHS[display] for display in display_of]
    file = hu[:: step[2], :: step[1], :: step[0]]
    file = file.transpose([2 - display_of[axis] for axis in (2, 1, 0)])
    origin = [
        0 if s > 0 else (n - 1) * mm for s, n, mm in zip(step, SIZE[::-1], LENGTHS, strict=True)
    ]
    return [
        dicom.image(
            0,
            np.ascontiguousarray(plane),
            RescaleIntercept=0,
            PixelSpacing=[lengths[1], lengths[0]],
            ImageOrientationPatient=[*directions[0], *directions[1]],
            ImagePositionPatient=list(origin + directions[2] * lengths[2] * number),
            InstanceNumber=number + 1,
        )
        for number, plane in enumerate(file)
    ]


@pytest.mark.parametrize(("axes", "step"), TURNS)
def test_every_order_and_direction_is_the_same_picture(dicom, tmp_path, axes, step):
    hu = body()
    folder = dicom.write(tmp_path / "series", turned_series(dicom, hu, axes, step))
    slab = read_dicom(folder)
    np.testing.assert_array_equal(slab.hu, hu)
    assert (*slab.spacing_mm_px, slab.slice_interval_mm) == pytest.approx(LENGTHS)
    assert (slab.key_slice, slab.notes) == (3, ())
    # A box that was drawn on the file's own columns and rows cuts the same patch.
    box, spec = Box(9, 12, 17, 19), PatchSpec(16, 1.0, 3, 2.0)
    on_file = slab.grid.to_file_box(box)
    again = read_dicom(folder, key_slice=slab.key_slice_index)
    patch = extract_patch(again, on_file, spec)
    upright = open_query_image(
        dicom.write(tmp_path / "upright", turned_series(dicom, hu, (0, 1, 2), (1, 1, 1)))
    )
    np.testing.assert_array_equal(patch.hu, extract_patch(upright, box, spec).hu)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(interval=st.floats(0.5, 6.0), start=st.floats(-900, 900), decimals=st.integers(1, 3))
def test_rounded_positions_are_even(dicom, tmp_path, interval, start, decimals):
    depths = [round(start + interval * k, decimals) for k in range(9)]
    folder = tmp_path / "rounded"
    shutil.rmtree(folder, ignore_errors=True)
    images = [dicom.image(depth, body()[0], RescaleIntercept=0) for depth in depths]
    slab = read_dicom(dicom.write(folder, images))
    assert len(slab.hu) == 9
    assert slab.slice_interval_mm == pytest.approx(interval, abs=10.0**-decimals / 8 + 1e-9)


@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(gaps=st.lists(st.sampled_from([2.0, 3.0, 5.0]), min_size=3, max_size=9), data=st.data())
def test_uneven_slices_are_read_evenly_around_the_key_slice(dicom, tmp_path, gaps, data):
    depths = np.concatenate([[0.0], np.cumsum(gaps)])
    key = data.draw(st.integers(0, len(gaps)))
    folder = tmp_path / "uneven"
    shutil.rmtree(folder, ignore_errors=True)
    planes = np.repeat(body()[:1], len(depths), axis=0)
    planes[:, 0, 0] = np.arange(len(depths)) - 1000
    images = [
        dicom.image(depth, plane, RescaleIntercept=0)
        for depth, plane in zip(depths, planes, strict=True)
    ]
    slab = read_dicom(dicom.write(folder, images), key_slice=key)
    numbers = [int(v) + 1000 for v in slab.hu[:, 0, 0]]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    assert slab.key_slice_index == key == numbers[slab.key_slice]
    assert [slab.grid.to_file_slice(p) for p in range(len(numbers))] == numbers
    np.testing.assert_allclose(np.diff(depths[numbers]), slab.slice_interval_mm)
    assert bool(slab.notes) is (len(numbers) < len(depths))
    # No even run that holds the key slice is longer.
    if key + 1 < len(depths) and key > 0:
        same = gaps[key - 1] == gaps[key]
        assert len(numbers) >= (3 if same else 2)


@pytest.mark.parametrize(
    ("changes", "shift_mm"),
    [
        ({"AcquisitionNumber": 2}, 0.0),
        ({"AcquisitionNumber": 2}, 1.25),
        ({"ContrastBolusAgent": "OMNIPAQUE"}, 0.0),
        ({"ConvolutionKernel": "B70f"}, 0.0),
        ({"KVP": 140}, 0.0),
        ({"TemporalPositionIdentifier": 2}, 0.0),
        ({"ImageType": ["DERIVED", "PRIMARY", "AXIAL", "VMI"]}, 0.0),
        ({}, 0.0),
    ],
)
def test_phases_in_one_series_are_told_apart(dicom, tmp_path, changes, shift_mm):
    first, second = phase(dicom, 1), phase(dicom, 2, shift_mm, **changes)
    for number, image in enumerate(second, start=len(first) + 1):
        image.InstanceNumber = number
    folder = dicom.write(tmp_path / "series", first + second)
    with pytest.raises(SeveralSeriesError, match=r"2 series .*--series N"):
        read_dicom(folder)
    found = {read_dicom(folder, series=n).hu.tobytes() for n in ("1", "2")}
    assert found == {body(1).astype(np.float32).tobytes(), body(2).astype(np.float32).tobytes()}
    with pytest.raises(DicomError, match="series '3' is not there"):
        read_dicom(folder, series="3")


def test_acquisitions_one_above_the_other_are_one_series(dicom, tmp_path):
    images = phase(dicom, 1)
    for number, image in enumerate(images):
        image.AcquisitionNumber = number // 2
    assert len(read_dicom(dicom.write(tmp_path / "series", images)).hu) == 7


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(shift=st.tuples(st.floats(3, 80), st.floats(-80, 80)), every=st.sampled_from([2, 3]))
def test_another_field_of_view_is_another_picture(dicom, tmp_path, shift, every):
    images = phase(dicom, 3)
    for image in images[::every]:
        x, y, z = image.ImagePositionPatient
        image.ImagePositionPatient = [x + shift[0], y + shift[1], z]
    folder = tmp_path / "jump"
    shutil.rmtree(folder, ignore_errors=True)
    with pytest.raises(DicomError, match=r"field of view|scatter"):
        read_dicom(dicom.write(folder, images))


def test_a_sheared_stack_is_refused_and_a_tilted_gantry_is_told(dicom, tmp_path):
    sheared = phase(dicom, 3)
    for number, image in enumerate(sheared):
        image.ImagePositionPatient = [0, 0.6 * number, 2.5 * number]
    with pytest.raises(DicomError, match=r"sheared by 13\.5 degrees"):
        read_dicom(dicom.write(tmp_path / "sheared", sheared))
    for degrees in (-28, -12, 8, 20, 30):
        angle = np.radians(degrees)
        down = [0, float(np.cos(angle)), float(-np.sin(angle))]
        tilted = phase(dicom, 3, ImageOrientationPatient=[1, 0, 0, *down])
        folder = dicom.write(tmp_path / f"tilted{degrees}", tilted)
        slab = read_dicom(folder)
        np.testing.assert_array_equal(slab.hu, body(3))
        assert slab.slice_interval_mm == pytest.approx(2.5)
        assert f"tilted by {abs(degrees):.1f} degrees" in slab.notes[0]
        alone = read_dicom(sorted(folder.iterdir())[0])
        assert "tilted" in alone.notes[0]


def stray(modality, **changes):
    """An object beside the slices."""
    dataset = Dataset()
    dataset.file_meta = pydicom.dataset.FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = changes.pop("SOPClassUID", "1.2.840.10008.5.1.4.1.1.88.33")
    dataset.file_meta.MediaStorageSOPClassUID = dataset.SOPClassUID
    dataset.SOPInstanceUID = generate_uid()
    dataset.Modality = modality
    for keyword, value in changes.items():
        setattr(dataset, keyword, value)
    return dataset


def test_a_hospitals_export_is_read_and_everything_left_out_is_counted(dicom, tmp_path):
    root = tmp_path / "PATIENT" / "STUDY" / "SERIES"
    dicom.write(root, phase(dicom, 5))
    scout = dicom.image(0, body()[0], ImageType=["ORIGINAL", "PRIMARY", "LOCALIZER"])
    beside = [
        stray("SR"),
        stray("SR"),
        stray("PR"),
        stray("SEG"),
        stray("RTSTRUCT"),
        stray("MR", BitsAllocated=16, PixelRepresentation=0, PixelData=b"\0\0"),
        scout,
    ]
    dicom.write(tmp_path / "PATIENT" / "other", beside)
    directory = stray("", SOPClassUID=MediaStorageDirectoryStorage)
    pydicom.dcmwrite(tmp_path / "PATIENT" / "DIRFILE", directory, enforce_file_format=True)
    (tmp_path / "PATIENT" / "README.TXT").write_text("burnt on a Tuesday")
    slab = open_query_image(tmp_path / "PATIENT")
    np.testing.assert_array_equal(slab.hu, body(5))
    assert slab.notes == (
        "left out: 1 MR image, 1 file of another kind, 1 media directory, 1 presentation state, "
        "1 scout, 1 segmentation, 1 structure set, 2 structured reports",
    )


def test_two_scouts_that_do_not_say_so_are_left_out(dicom, tmp_path):
    images = phase(dicom, 5)
    images += [
        dicom.image(k, body()[0], ImageOrientationPatient=[1, 0, 0, 0, 0, -1]) for k in (0, 1)
    ]
    slab = read_dicom(dicom.write(tmp_path / "series", images))
    assert (len(slab.hu), slab.notes) == (
        7,
        ("left out: 2 images across the slices, as scouts are",),
    )


def test_copies_are_dropped_and_repeats_with_other_pixels_are_not(dicom, tmp_path):
    images = phase(dicom, 5)
    folder = dicom.write(tmp_path / "series", [*images, images[2], images[2]])
    slab = read_dicom(folder)
    assert len(slab.hu) == 7
    assert slab.notes[0].startswith("left out: 2 copies of slices (")
    assert CTImageStorage == images[0].SOPClassUID
