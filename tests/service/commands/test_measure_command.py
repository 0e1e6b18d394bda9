"""``lesion-search measure`` and the masks it writes, in every format."""

from __future__ import annotations

import json

import nibabel
import nrrd
import numpy as np
import pytest

from tests.retrieval.segmentation.scenes import INTERVAL, KEY, SPACING, ball, mark, truth

RECIST = ",".join(f"{value}" for point in mark().points for value in point)


@pytest.fixture(scope="module")
def image(tmp_path_factory):
    """The ball as NIfTI whose rows and slices run against the display."""
    path = tmp_path_factory.mktemp("ball") / "ball.nii.gz"
    affine = np.diag([-SPACING[0], SPACING[1], -INTERVAL, 1.0])
    affine[:3, 3] = (11.0, -7.0, 30.0)
    stored = ball().hu[::-1, ::-1].transpose(2, 1, 0).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(stored, affine), path)
    return path


def flipped_recist():
    points = [(x, 63 - y) for x, y in mark().points]
    return ",".join(f"{value}" for point in points for value in point)


def measure(run, image, *more):
    return run("measure", image, "--key-slice", 14 - KEY, "--recist", flipped_recist(), *more)


def test_the_mask_lies_on_the_files_voxels(run, image, tmp_path):
    status, out, err = measure(run, image, "--json", "--mask-out", tmp_path / "mask.nii.gz")
    assert status == 0, err
    document = json.loads(out)
    assert document["key_slice_index"] == 14 - KEY
    mask = nibabel.load(tmp_path / "mask.nii.gz")
    assert np.allclose(mask.affine, nibabel.load(image).affine)
    inside = np.asarray(mask.dataobj) > 0
    expected = truth()[::-1, ::-1].transpose(2, 1, 0)
    assert 2 * (inside & expected).sum() / (inside.sum() + expected.sum()) > 0.85
    volume = document["measurements"]["volume_mm3"]["value"]
    assert inside.sum() * 0.8 * 0.8 * 2 == pytest.approx(volume, abs=0.1)


def test_nrrd_says_the_same_place(run, image, tmp_path):
    status, _, err = measure(run, image, "--mask-out", tmp_path / "mask.nrrd")
    assert status == 0, err
    values, header = nrrd.read(str(tmp_path / "mask.nrrd"))
    affine = nibabel.load(image).affine
    assert np.allclose(header["space origin"], affine[:3, 3] * (-1, -1, 1))
    assert np.allclose(header["space directions"], (affine[:3, :3] * [[-1], [-1], [1]]).T)
    assert values.sum() > 0


def test_the_table_and_the_figure(run, image, tmp_path):
    status, out, err = measure(run, image, "--2d", "--figure", tmp_path / "drawn.png")
    assert status == 0, err
    assert "long diameter" in out
    assert "edge to edge" in out
    assert "1.78" in out
    assert (tmp_path / "drawn.png").read_bytes().startswith(b"\x89PNG")


def test_mistakes_take_one_line(run, image, tmp_path):
    for more in (
        ["--recist", RECIST, "--box", "1,2,3,4"],
        [],
        ["--recist", "1,2"],
        ["--recist", RECIST, "--mask-out", tmp_path / "mask.txt"],
        ["--recist", RECIST, "--mask-out", tmp_path / "mask.dcm"],
    ):
        status, out, err = run("measure", image, *more)
        assert (status, out) == (2, "")
        assert err.startswith("error: ")


def test_one_slice_is_said_to_be_2d(run, image, tmp_path):
    whole = nibabel.load(image)
    single = tmp_path / "slice.nii"
    plane = np.asarray(whole.dataobj)[:, :, 14 - KEY : 15 - KEY]
    nibabel.save(nibabel.Nifti1Image(plane, whole.affine), single)
    status, out, err = run(
        "measure", single, "--key-slice", 0, "--recist", flipped_recist(), "--json"
    )
    assert status == 0, err
    document = json.loads(out)
    assert not document["in_3d"]
    assert "volume_mm3" not in document["measurements"]
    assert "one slice" in err


@pytest.mark.parametrize(
    ("mark", "word"),
    [
        (["--point", "nan,30"], "finite"),
        (["--box", "18,15,nan,45"], "finite"),
        (["--box", "300,300,320,320"], "outside"),
    ],
)
def test_marks_that_cannot_be_measured_take_one_line(run, image, mark, word):
    status, out, err = run("measure", image, "--key-slice", 14 - KEY, *mark)
    assert (status, out) == (2, "")
    assert err.startswith("error: ")
    assert err.count("\n") == 1
    assert word in err


def test_a_dicom_series_gets_a_seg(run, real_data, tmp_path):
    pytest.importorskip("highdicom")
    import highdicom
    import pydicom

    folder = next((real_data / "sarcoma_ct" / "dicom").iterdir()) / "CT" / "image"
    out_file = tmp_path / "mask.dcm"
    status, out, err = run(
        "measure", folder, "--key-slice", 34, "--box", "60,68,192,162", "--json", "--2d",
        "--mask-out", out_file,
    )  # fmt: skip
    assert status == 0, err
    document = json.loads(out)
    seg = highdicom.seg.segread(out_file)
    assert seg.number_of_segments == 1
    first, last = document["slices"]
    held = {
        str(frame.DerivationImageSequence[0].SourceImageSequence[0].ReferencedSOPInstanceUID)
        for frame in seg.PerFrameFunctionalGroupsSequence
    }
    assert len(held) == last - first + 1
    known = {str(pydicom.dcmread(file, stop_before_pixels=True).SOPInstanceUID)
             for file in folder.glob("*.dcm")}  # fmt: skip
    assert held <= known
