"""The public cases through the command line: each gives what its README calls right."""

from __future__ import annotations

import json

import pytest

READ = {
    "philips_dirfile/series": "left out: 1 media directory",
    "localizer_in_series/with_loc_same_series": "left out: 1 scout",
    "report_in_folder/with_seg_sr": "left out: 1 structured report",
    "identical_duplicate/dup_identical": "left out: 1 copy of a slice",
    "tail_without_preamble/missing_end_nopreamble": None,
    "high_bit_15_of_12/highbit15_12": "HighBit is 15 with 12 bits stored",
    "gantry_tilt_15/tilt15": "the gantry is tilted by 15.0 degrees",
    "rounded_positions/round1_125": "off their even places",
    "rounded_positions/round1_625": "off their even places",
    "rounded_positions/round2_625": None,
    "uneven_3_and_6_mm/series": "slices lie 3.00 to 6.00 mm apart",
    "single_slice_no_thickness/single_no_thickness": "without depth",
    "lossy_without_word/lossy.dcm": "compressed with loss",
    "lossy_without_word/lossless.dcm": None,
    "jpeg2000_ff_after_end/one_slice.dcm": None,
    "sr_circle": "2 structured reports",
    "sr_length_line": "2 structured reports",
    "sr_scoord3d_ellipsoid": "1 structured report",
}
"""Case -> what the answer's warnings say; None for a case with nothing to say."""

REFUSED = {
    "field_of_view_jump/fov_jump": "choose one with --series N",
    "flat_folder_two_series/two_series": "choose one with --series N",
    "nifti_0_to_1/float01_normalised.nii.gz": "does not hold HU",
    "nifti_sform_qform_flip/sform_vs_qform.nii": "by its qform to R",
    "rescale_type_not_hu/nonhu_rescaletype": "does not hold HU",
}

SAME = [
    ("jpeg2000_ff_after_end/one_slice.dcm", "jpeg2000_ff_after_end/control_zero_pad.dcm"),
    ("gz_name_without_suffix/plain.nii.dat", "gz_name_without_suffix/gz_without_suffix"),
    ("nrrd_mha/x.mha", "nrrd_mha/x.nrrd"),
]
"""Two ways of storing one image."""


@pytest.fixture
def locate(run, real_data):
    """Reads a case to tell where its slices lie; returns the exit status, answer and errors."""

    def call(path, *more):
        status, out, error = run("locate", real_data / "cases" / path, "--json", *more)
        return status, json.loads(out) if out else None, error

    return call


@pytest.fixture
def hits(run, real_data, built_index, encoder_file):
    """Similarities of the hits of a box on a case, the nearest first."""

    def call(path, *more, box="20,20,32,32"):
        image = real_data / "cases" / path
        asked = ["--index", built_index, "--encoder", encoder_file, "--box", box, "--json"]
        status, out, error = run("query", image, *asked, *more)
        assert status == 0, error
        answer = json.loads(out)
        assert (answer["grid"], answer["box"]) == ("file", [float(e) for e in box.split(",")])
        return [hit["similarity"] for hit in answer["hits"]]

    return call


@pytest.mark.parametrize("path", READ)
def test_what_can_be_read_is_read_and_what_is_unusual_is_said(locate, path):
    status, answer, _ = locate(path)
    assert status == 0
    assert answer["slices"]
    said = READ[path]
    if said is None:
        assert not any("left out" in words for words in answer["warnings"])
    else:
        assert any(said in words for words in answer["warnings"]), answer["warnings"]


@pytest.mark.parametrize("path", REFUSED)
def test_what_cannot_be_trusted_is_refused_in_one_line(locate, path):
    status, answer, error = locate(path)
    assert (status, answer) == (2, None)
    assert REFUSED[path] in error
    assert error.strip().count("\n") == 0


@pytest.mark.parametrize("number", ["1", "2"])
@pytest.mark.parametrize("path", [path for path in REFUSED if "--series" in REFUSED[path]])
def test_one_of_two_series_is_chosen_by_its_number(locate, path, number):
    status, answer, _ = locate(path, "--series", number)
    assert status == 0
    assert any(f"series {number} of 2 was chosen" in words for words in answer["warnings"])


@pytest.mark.parametrize(("one", "other"), SAME)
def test_one_image_stored_in_two_ways_has_the_same_hits(hits, one, other):
    assert hits(one) == pytest.approx(hits(other), abs=1e-5)


def test_prone_is_the_same_as_dicom_and_as_nifti(hits):
    """The box is given in each file's own grid: dcm2niix stores the rows the other way round."""
    dicom = hits("prone_dicom_vs_nifti/rot180", box="28,22,38,32")
    nifti = hits("prone_dicom_vs_nifti/rot180.nii.gz", box="28,15,38,25")
    assert dicom == pytest.approx(nifti, abs=1e-4)


def test_a_box_of_a_mask_array_reaches_its_lesion_whatever_the_files_order(hits):
    """j 22 to 32 and k 2 to 6 in one file, j 15 to 25 and k 1 to 5 in the other."""
    folder = "nifti_box_in_file_order"
    plain = hits(f"{folder}/plain.nii.gz", "--key-slice", 4, box="9,22,19,32")
    turned = hits(f"{folder}/head_first.nii", "--key-slice", 3, box="9,15,19,25")
    assert plain == pytest.approx(turned, abs=1e-5)
