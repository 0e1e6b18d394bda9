"""What is kept of a measurement: the mask packed and read back, and bytes that are none."""

from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest

from retrieval.segmentation.kept import KeptMask, KeptMaskError, sizes_of
from retrieval.segmentation.measuring import GivenMark, measure
from tests.retrieval.segmentation import scenes


@pytest.fixture(scope="module")
def found():
    mark = GivenMark.of_recist(scenes.mark(), scenes.SPACING)
    return measure(scenes.segmenter(), scenes.CALIBRATION, scenes.ball(), mark)


def test_a_packed_mask_is_the_same_on_its_place(found):
    kept = KeptMask.of(found)
    again = KeptMask.unpack(kept.pack())
    assert len(kept.pack()) < 1000
    whole = np.zeros_like(found.whole_mask)
    slices, rows, columns = again.mask.shape
    x, y = again.corner
    first = found.slab.key_slice - again.key
    whole[first : first + slices, y : y + rows, x : x + columns] = again.mask
    assert np.array_equal(whole, found.whole_mask)
    for axis in range(3):
        ends = again.mask.any(axis=tuple({0, 1, 2} - {axis}))
        assert ends[0]
        assert ends[-1], "cut to its extent"


def test_outlines_lie_about_the_ball(found):
    outlines = dict(KeptMask.of(found).outlines())
    assert min(outlines) == -max(outlines)
    for offset, paths in outlines.items():
        (path,) = paths
        points = np.asarray(path)
        away = np.hypot(*((points - scenes.CENTER) * scenes.SPACING).T)
        wanted = np.sqrt(max(scenes.RADIUS_MM**2 - (offset * scenes.INTERVAL) ** 2, 0))
        assert path[0] == path[-1]
        assert np.abs(away - wanted).max() < 1.2


def test_sizes_are_those_of_the_measurement(found):
    sizes = sizes_of(found, "scene")
    assert sizes.to_json()["volume_mm3"] == found.values["volume_mm3"].to_json()
    assert type(sizes).from_json(sizes.to_json()) == sizes
    assert sizes.method == "network"
    assert [flag.value for flag in found.flags] == list(sizes.flags)


def head(*numbers, magic=b"LM01"):
    return struct.pack("<4s6i", magic, *numbers)


@pytest.mark.parametrize(
    ("packed", "words"),
    [
        (b"", "cut off"),
        (head(1, 1, 1, 0, 0, 0, magic=b"GIF8"), "no mask"),
        (head(0, 1, 1, 0, 0, 0), "no mask"),
        (head(30000, 30000, 30000, 0, 0, 0), "accepted"),
        (head(1, 8, 8, 0, 0, 0) + b"not zlib", "damaged"),
        (head(1, 8, 8, 0, 0, 0) + zlib.compress(b"\0" * 4), "4 bytes"),
        (head(1, 8, 8, 0, 0, 0) + zlib.compress(b"\0" * (50 << 20)), "9 bytes"),
    ],
)
def test_bytes_that_are_no_mask(packed, words):
    with pytest.raises(KeptMaskError, match=words):
        KeptMask.unpack(packed)
