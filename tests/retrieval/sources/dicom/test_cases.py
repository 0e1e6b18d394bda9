"""The small inputs re-created after public bug reports: each gives what its README calls right."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.sources.dicom.parts import SeveralSeriesError
from retrieval.sources.query_image import open_query_image

WHOLE = (8, 48, 48)


@pytest.fixture
def cases(real_data):
    return real_data / "cases"


@pytest.mark.parametrize(
    ("path", "interval_mm", "note"),
    [
        ("philips_dirfile/series", 5.0, "left out: 1 media directory"),
        ("localizer_in_series/with_loc_same_series", 5.0, "left out: 1 scout"),
        ("report_in_folder/with_seg_sr", 5.0, "left out: 1 structured report"),
        ("identical_duplicate/dup_identical", 5.0, "left out: 1 copy of a slice"),
        ("tail_without_preamble/missing_end_nopreamble", 5.0, None),
        ("high_bit_15_of_12/highbit15_12", 5.0, "HighBit is 15 with 12 bits stored"),
        ("gantry_tilt_15/tilt15", 5.0, "the gantry is tilted by 15.0 degrees"),
        ("rounded_positions/round1_125", 1.25, "off their even places"),
        ("rounded_positions/round1_625", 0.625, "off their even places"),
        ("rounded_positions/round2_625", 0.625, None),
    ],
)
def test_the_whole_series_is_read(cases, path, interval_mm, note):
    slab = open_query_image(cases / path)
    assert slab.hu.shape == WHOLE
    assert (slab.hu.min(), slab.hu.max()) == (-1000, 700)
    assert slab.slice_interval_mm == pytest.approx(interval_mm, rel=0.01)
    assert slab.key_slice_index == 4
    assert [note in said for said in slab.notes] == ([] if note is None else [True])


@pytest.mark.parametrize(
    "path", ["field_of_view_jump/fov_jump", "flat_folder_two_series/two_series"]
)
def test_two_pictures_are_listed_and_chosen_by_number(cases, path):
    with pytest.raises(SeveralSeriesError, match=r"2 series \(1: .*; 2: .*--series N"):
        open_query_image(cases / path)
    one, two = (open_query_image(cases / path, series=number) for number in "12")
    assert one.hu.shape[0] == two.hu.shape[0] == (4 if "jump" in path else 8)
    for slab, number in ((one, 1), (two, 2)):
        assert any(f"series {number} of 2 was chosen" in note for note in slab.notes)


def test_slices_at_3_then_6_mm_are_read_around_the_key_slice(cases):
    folder = cases / "uneven_3_and_6_mm" / "series"
    near, far = (open_query_image(folder, key_slice_index=key) for key in (1, 6))
    assert (len(near.hu), near.slice_interval_mm, near.key_slice_index) == (5, 3.0, 1)
    assert (len(far.hu), far.slice_interval_mm, far.key_slice_index) == (4, 6.0, 6)
    assert near.notes[0].startswith("slices lie 3.00 to 6.00 mm apart: of 8, the 5 even ones")


def test_one_slice_without_thickness_is_read_in_its_plane(cases):
    slab = open_query_image(cases / "single_slice_no_thickness" / "single_no_thickness")
    assert slab.hu.shape == (1, 48, 48)
    assert "without depth" in slab.notes[0]


def test_jpeg_2000_with_a_byte_after_its_end(cases):
    folder = cases / "jpeg2000_ff_after_end"
    odd, even = (open_query_image(folder / f"{n}.dcm") for n in ("one_slice", "control_zero_pad"))
    np.testing.assert_array_equal(odd.hu, even.hu)
    assert (odd.hu.min(), odd.hu.max()) == (-1000, 700)


def test_lossy_compression_is_told(cases):
    folder = cases / "lossy_without_word"
    assert open_query_image(folder / "lossless.dcm").notes == ()
    assert "compressed with loss" in open_query_image(folder / "lossy.dcm").notes[0]


def test_prone_is_the_same_picture_as_dicom_and_as_nifti(cases):
    folder = cases / "prone_dicom_vs_nifti"
    slabs = [open_query_image(path) for path in sorted(folder.iterdir()) if path.name != "README"]
    assert len(slabs) == 2
    np.testing.assert_allclose(slabs[0].hu, slabs[1].hu, atol=0.5)
    assert slabs[0].spacing_mm_px == pytest.approx(slabs[1].spacing_mm_px)
