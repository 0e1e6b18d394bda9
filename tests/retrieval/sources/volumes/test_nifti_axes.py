"""sform against qform, units, voxel sizes: what NIfTI says twice must agree."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from retrieval.sources.volumes.reading import volume_slab
from retrieval.sources.volumes.stored import VolumeError
from tests.retrieval.sources.volumes.bodies import body

AFFINE = np.diag([-0.8, -0.9, 3.0, 1.0])


def saved(path: Path, sform: np.ndarray | None, qform: np.ndarray | None, **fields: object) -> Path:
    image = nib.Nifti1Image(body().transpose(2, 1, 0), AFFINE)
    image.header.set_xyzt_units("mm")
    image.set_sform(sform, 0 if sform is None else 1)
    image.set_qform(qform, 0 if qform is None else 1)
    for name, value in fields.items():
        image.header[name] = value
    nib.save(image, path)
    return path


@pytest.mark.parametrize(("sform", "qform"), [(AFFINE, None), (None, AFFINE), (AFFINE, AFFINE)])
def test_one_of_them_is_enough(tmp_path: Path, sform, qform) -> None:
    slab = volume_slab(saved(tmp_path / "ct.nii", sform, qform))
    np.testing.assert_array_equal(slab.hu, body())
    assert slab.notes == ()


@pytest.mark.parametrize("axis", [0, 1, 2])
def test_a_side_told_twice_differently_is_refused(tmp_path: Path, axis: int) -> None:
    flipped = AFFINE.copy()
    flipped[axis, axis] *= -1
    with pytest.raises(VolumeError, match=r"contradicts itself: by its sform .* by its qform"):
        volume_slab(saved(tmp_path / "ct.nii", AFFINE, flipped))


def test_a_small_turn_between_them_is_said(tmp_path: Path) -> None:
    angle = np.radians(2.5)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    slab = volume_slab(saved(tmp_path / "ct.nii", AFFINE, turn @ AFFINE))
    (note,) = slab.notes
    assert "differ by 2.5 degrees; the sform is followed" in note


def test_two_voxel_sizes_are_refused(tmp_path: Path) -> None:
    larger = AFFINE * 1.1
    with pytest.raises(VolumeError, match="two voxel sizes"):
        volume_slab(saved(tmp_path / "ct.nii", larger, AFFINE))


@pytest.mark.parametrize(("unit", "name"), [(1, "meter"), (3, "micron")])
def test_other_units_are_refused(tmp_path: Path, unit: int, name: str) -> None:
    with pytest.raises(VolumeError, match=name):
        volume_slab(saved(tmp_path / "ct.nii", AFFINE, AFFINE, xyzt_units=unit))


def test_a_map_of_another_quantity_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Exception, match="declared as 't test'"):
        volume_slab(saved(tmp_path / "ct.nii", AFFINE, AFFINE, intent_code=3))
