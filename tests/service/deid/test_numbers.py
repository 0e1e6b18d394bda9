"""Numbers that carry a date or an id do not pass; geometry does, to the micrometre."""

from __future__ import annotations

import time
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.deid.image import ALLOWED, FACE, Rule, deidentify
from service.deid.numbers import RANGES, plain_numbers
from service.deid.pseudonyms import PseudonymKey
from tests.service.dicom_samples import SeriesLabels, ct_series

KEY = PseudonymKey(b"k" * 32)
LABELS = SeriesLabels("MRN-4711", "1", date(2020, 2, 3))


@pytest.fixture
def image():
    hu = np.random.default_rng(0).normal(0, 200, (1, 24, 24))
    return ct_series(hu, LABELS, spacing_mm_px=(0.7, 0.8), interval_mm=2.5)[0]


def test_every_number_that_passes_has_its_range():
    assert set(RANGES) == {name for name, rule in ALLOWED.items() if rule is Rule.NUMBER}


@pytest.mark.parametrize(
    ("keyword", "value"),
    [
        ("SeriesNumber", "19500102"),
        ("AcquisitionNumber", "4711234"),
        ("InstanceNumber", "20240517"),
        ("SliceThickness", "19500102"),
        ("SliceLocation", "19500102.5"),
        ("KVP", "4711"),
        ("ImagePositionPatient", ["19500102", "0", "0"]),
        ("ImagePositionPatient", ["1", "2", "3", "19500102"]),
        ("ImageOrientationPatient", ["0.19500102", "0", "0", "0", "1", "0"]),
        ("PixelSpacing", ["0.7", "19500102"]),
        ("WindowCenter", ["19", "50", "1", "2", "40"]),
        ("RescaleIntercept", "-19500102"),
        ("PixelPaddingValue", "1e9"),
    ],
)
def test_a_number_that_is_a_date_or_an_id_is_dropped(keyword, value):
    texts = value if isinstance(value, list) else [value]
    assert plain_numbers(keyword, texts) is None


@pytest.mark.parametrize(
    ("keyword", "text", "kept"),
    [
        ("KVP", "120.19500102", "120"),
        ("SliceThickness", "2.500019500102", "2.5"),
        ("RescaleSlope", "1.00000019500102", "1"),
        ("SliceLocation", "-812.50001950", "-812.5"),
        ("SeriesNumber", "0000000000000000000000000000000000000004", "4"),
        ("InstanceNumber", "+17", "17"),
    ],
)
def test_digits_beyond_what_a_scanner_means_are_not_written(keyword, text, kept):
    assert plain_numbers(keyword, [text]) == [kept]


@pytest.mark.parametrize(
    "text", ["", "nan", "inf", "1_0", "0x10", "MRN", "1" * 5000, "1,5", "\uff11", "12 DOE", "--1"]
)
def test_what_is_no_number_is_dropped(text):
    assert all(plain_numbers(keyword, [text]) is None for keyword in RANGES)


@given(st.text(max_size=80))
def test_nothing_but_a_plain_number_is_ever_written(text):
    for keyword in RANGES:
        for written in plain_numbers(keyword, [text]) or ():
            assert len(written) <= 16
            assert set(written) <= set("-.0123456789")


@given(
    st.lists(st.floats(-4000, 4000), min_size=3, max_size=3),
    st.floats(0.1, 5),
    st.integers(0, 9999),
)
def test_geometry_stays_to_a_tenth_of_a_micrometre(position, spacing, number):
    kept = plain_numbers("ImagePositionPatient", [repr(one) for one in position])
    assert np.allclose([float(one) for one in kept], position, atol=1e-4)
    (same,) = plain_numbers("InstanceNumber", [str(number)])
    assert int(same) == number
    kept = plain_numbers("PixelSpacing", [repr(spacing)] * 2)
    assert np.allclose([float(one) for one in kept], spacing, atol=1e-7)
    assert plain_numbers("PixelSpacing", ["0.9765625", "0.703125"]) == ["0.9765625", "0.703125"]


def test_a_hostile_number_takes_no_longer_for_being_long():
    def seconds(length):
        text = "1" * length + "x"
        started = time.perf_counter()
        for _ in range(20):
            plain_numbers("KVP", [text])
        return (time.perf_counter() - started) / 20

    seconds(10)
    assert seconds(30_000) < 0.01
    assert seconds(4_000_000) < 0.05


@pytest.mark.parametrize("value", ["19500102", "4711234"])
def test_the_whole_path_drops_them(image, value):
    image.SeriesNumber = image.AcquisitionNumber = value
    made = deidentify(image, KEY)
    assert "SeriesNumber" not in made.kept
    assert "AcquisitionNumber" not in made.kept
    assert made.dropped["unfit"] == 2
    assert made.dataset.ImagePositionPatient == image.ImagePositionPatient


@pytest.mark.parametrize(
    ("changes", "flagged"),
    [
        ({"RecognizableVisualFeatures": "YES"}, True),
        ({"RecognizableVisualFeatures": "NO", "BodyPartExamined": "HEAD"}, False),
        ({"BodyPartExamined": "HEAD"}, True),
        ({"BodyPartExamined": "CHEST"}, False),
        ({}, False),
    ],
)
def test_a_face_is_flagged(image, changes, flagged):
    for keyword, value in changes.items():
        setattr(image, keyword, value)
    made = deidentify(image, KEY)
    assert (FACE in made.flags) == flagged
    stated = changes.get("RecognizableVisualFeatures")
    assert made.dataset.get("RecognizableVisualFeatures") == stated
    assert "BodyPartExamined" not in made.dataset
