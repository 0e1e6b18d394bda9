"""NIfTI in any orientation gives one slab; what is refused."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from nibabel.orientations import apply_orientation, axcodes2ornt, inv_ornt_aff, ornt_transform

from retrieval.image import CTError
from retrieval.sources.volumes.reading import volume_slab
from retrieval.sources.volumes.stored import VolumeError

LPS = np.diag([-0.7, -0.8, 2.5, 1.0])
"""Voxels (x, y, z) running to the left, to the back and to the head."""


def save(path, values, affine=LPS, dtype=np.int16):
    volume = nib.Nifti1Image(np.asarray(values, dtype), affine)
    volume.header.set_xyzt_units("mm")
    nib.save(volume, path)
    return path


@pytest.fixture
def values():
    return np.random.default_rng(3).integers(-1000, 1000, (7, 6, 5)).astype(np.int16)


def test_the_usual_view(values, tmp_path):
    slab = volume_slab(save(tmp_path / "ct.nii.gz", values))
    np.testing.assert_array_equal(slab.hu, values.transpose(2, 1, 0))
    assert slab.hu.dtype == np.float32
    assert slab.spacing_mm_px == pytest.approx((0.7, 0.8))
    assert slab.slice_interval_mm == pytest.approx(2.5)
    assert slab.key_slice == 2


@settings(
    max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    order=st.permutations(["LR", "PA", "SI"]),
    flips=st.tuples(st.booleans(), st.booleans(), st.booleans()),
)
def test_every_orientation_gives_the_same_slab(values, tmp_path, order, flips):
    codes = tuple(pair[int(flip)] for pair, flip in zip(order, flips, strict=True))
    turn = ornt_transform(axcodes2ornt(("L", "P", "S")), axcodes2ornt(codes))
    turned = apply_orientation(values, turn)
    affine = LPS @ inv_ornt_aff(turn, values.shape)
    assert nib.aff2axcodes(affine) == codes
    slab = volume_slab(save(tmp_path / "turned.nii", turned, affine))
    np.testing.assert_array_equal(slab.hu, values.transpose(2, 1, 0))
    assert slab.spacing_mm_px == pytest.approx((0.7, 0.8))
    assert slab.slice_interval_mm == pytest.approx(2.5)


def test_a_file_of_four_dimensions_is_refused_unless_the_fourth_is_one(values, tmp_path):
    one = volume_slab(save(tmp_path / "one.nii", values[..., None]))
    assert one.hu.shape == (5, 6, 7)
    with pytest.raises(VolumeError, match="one 3D volume"):
        volume_slab(save(tmp_path / "two.nii", np.stack([values, values], axis=-1)))


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_values_that_are_not_numbers_are_refused(values, tmp_path, bad):
    broken = values.astype(np.float32)
    broken[1, 2, 3] = bad
    with pytest.raises(VolumeError, match="NaN or infinite"):
        volume_slab(save(tmp_path / "ct.nii", broken, dtype=np.float32))


def test_what_else_is_refused(values, tmp_path):
    with pytest.raises(CTError, match="stored in 8 bits"):
        volume_slab(save(tmp_path / "eight.nii", values % 200, dtype=np.uint8))
    nib.save(nib.Nifti1Image(values, None), tmp_path / "lost.nii")
    with pytest.raises(VolumeError, match="orientation"):
        volume_slab(tmp_path / "lost.nii")
    angle = np.radians(12)
    tilt = np.eye(4)
    tilt[1:3, 1:3] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    with pytest.raises(CTError, match=r"oblique by 12\.0"):
        volume_slab(save(tmp_path / "tilted.nii", values, tilt @ LPS))
    with pytest.raises(CTError, match="0 to 4"):
        volume_slab(save(tmp_path / "ct.nii", values), key_slice=5)


@pytest.mark.parametrize("name", ["ct.nii", "ct.nii.gz"])
@pytest.mark.parametrize("keep", [0, 100, 0.7])
def test_a_damaged_file_is_refused(values, tmp_path, name, keep):
    path = save(tmp_path / name, values)
    raw = path.read_bytes()
    path.write_bytes(raw[: keep if isinstance(keep, int) else int(keep * len(raw))])
    with pytest.raises(VolumeError):
        volume_slab(path)
