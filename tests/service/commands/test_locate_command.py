"""``lesion-search locate`` as a user types it, with the bundled network."""

from __future__ import annotations

import json

import cv2
import nibabel as nib
import numpy as np
import pytest

from tests.retrieval.position.conftest import body_slice

SPACING = "1.6,1.6,5"


@pytest.fixture
def picture(tmp_path):
    """An 8-bit soft-tissue picture of a made body."""
    grey = (body_slice(150.0).clip(-175, 275) + 175) / 450 * 255
    path = tmp_path / "slice_007.png"
    cv2.imwrite(str(path), np.rint(grey).astype(np.uint8))
    return path


def test_an_8_bit_picture_needs_the_users_word_and_says_what_is_assumed(run, picture):
    status, out, err = run("locate", picture, "--spacing", SPACING)
    assert (status, out) == (2, "")
    assert "--assume-hu" in err
    assert run("locate", picture, "--assume-hu")[0] == 2
    status, out, err = run("locate", picture, "--spacing", SPACING, "--assume-hu", "--json")
    assert status == 0, err
    document = json.loads(out)
    assert "-175 to 275 HU" in document["warnings"][0]
    assert "-175 to 275 HU" in err
    (one,) = document["slices"]
    assert one["index"] == 0
    assert one["reversed"] is False
    assert all(0 <= value <= 1 for value in one["location"])
    assert all(0 < half <= most for half, most in zip(one["error"], one["error_90"], strict=True))


def test_hu_and_its_8_bit_picture_have_nearly_one_height(run, picture, tmp_path):
    hu = tmp_path / "hu_1.png"
    cv2.imwrite(str(hu), (body_slice(150.0) + 32768).astype(np.uint16))
    heights = []
    for arguments in ((picture, "--assume-hu"), (hu,)):
        status, out, err = run("locate", *arguments, "--spacing", SPACING, "--json")
        assert status == 0, err
        heights.append(json.loads(out)["slices"][0]["location"][2])
    assert heights[0] == pytest.approx(heights[1], abs=0.01)


def test_a_colour_picture_is_refused(run, tmp_path):
    path = tmp_path / "colour.png"
    cv2.imwrite(str(path), np.random.default_rng(0).integers(0, 255, (64, 64, 3), np.uint8))
    status, _, err = run("locate", path, "--spacing", SPACING, "--assume-hu")
    assert status == 2
    assert "colour" in err


def test_slices_without_a_body_have_no_place(run, tmp_path):
    hu = np.stack([np.full((200, 240), -1000.0), *[body_slice(h) for h in (50.0, 55.0)]])
    volume = nib.Nifti1Image(hu.transpose(2, 1, 0).astype(np.int16), np.diag([-1.6, -1.6, 5, 1]))
    nib.save(volume, tmp_path / "series.nii.gz")
    status, out, err = run("locate", tmp_path / "series.nii.gz", "--json")
    assert status == 0, err
    document = json.loads(out)
    assert [one["location"] is None for one in document["slices"]] == [True, False, False]
    assert "1 slices show no body" in err
    status, out, _ = run("locate", tmp_path / "series.nii.gz")
    assert status == 0
    assert "no body" in out


@pytest.mark.parametrize("slices", [7, 19, 21])
def test_a_series_of_any_length_answers_in_json(run, tmp_path, slices):
    """30, 90 and 100 mm from the first slice to the last."""
    hu = np.stack([body_slice(50.0 + 5 * k) for k in range(slices)])
    volume = nib.Nifti1Image(hu.transpose(2, 1, 0).astype(np.int16), np.diag([-1.6, -1.6, 5, 1]))
    nib.save(volume, tmp_path / "series.nii.gz")
    status, out, err = run("locate", tmp_path / "series.nii.gz", "--json")
    assert status == 0, err
    document = json.loads(out)
    assert len(document["slices"]) == slices
    assert document["slice_interval_doubtful"] in (True, False)


def test_a_real_series_is_told_upright_and_reversed(run, real_data, tmp_path):
    """A left-out series, once in the order its header states and once turned over."""
    import pandas as pd

    from retrieval.sources.deeplesion.png import read_deeplesion_png

    folder = real_data / "real_ct_1mm"
    index = pd.read_csv(folder / "index.csv")
    rows = index[index["path"].str.startswith("cptac_c3l_00189/")].sort_values("slice")
    planes = [read_deeplesion_png(folder / path) for path in rows["path"]]
    size = np.max([plane.shape for plane in planes], axis=0)
    hu = np.full((len(planes), *size), -1000, np.int16)
    for whole, plane in zip(hu, planes, strict=True):
        top, left = (size - plane.shape) // 2
        whole[top : top + plane.shape[0], left : left + plane.shape[1]] = plane
    answers = []
    for name, order in (("kept", 1), ("turned", -1)):
        path = tmp_path / f"{name}.nii.gz"
        affine = np.diag([-1.0, -1.0, 5.0, 1.0])
        nib.save(nib.Nifti1Image(hu[::order].transpose(2, 1, 0), affine), path)
        status, out, err = run("locate", path, "--json")
        assert status == 0, err
        answers.append(json.loads(out))
    kept, turned = answers
    assert not any(one["reversed"] for one in kept["slices"])
    assert all(one["reversed"] for one in turned["slices"])
    orders = (kept["order_by_anatomy"], turned["order_by_anatomy"])
    assert orders == ("feet to head", "head to feet")
    z = [one["location"][2] for one in kept["slices"]]
    assert np.all(np.diff(z) < 0)
    # From the lower poles of the kidneys to the heart: the medians of DeepLesion's rows there.
    assert z[0] == pytest.approx(0.66, abs=0.04)
    assert z[-1] == pytest.approx(0.53, abs=0.04)
