"""The lesion's own pixels laid on another scan: where they fit, and whether the lesion is there."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.image import Slab
from retrieval.tracking.following.pixels import NO_FIT, PixelMatch, PixelTemplate
from tests.retrieval.tracking.following.series import KEY, MIDDLE, mark, scan

SHIFT = (3, -2)
THERE = (MIDDLE[0] + SHIFT[0], MIDDLE[1] + SHIFT[1])


@pytest.fixture(scope="module")
def template():
    own = scan()
    return PixelTemplate.of(own, mark(own).box)


def matched(template: PixelTemplate, slab: Slab) -> PixelMatch:
    return PixelMatch.of(template, slab, dict.fromkeys(range(KEY - 2, KEY + 3), MIDDLE))


def test_the_best_place_is_where_the_lesion_is(template):
    found = matched(template, scan(shift_px=SHIFT, noise=5))
    at, point = found.peaks(12.0)[0]
    assert abs(at - KEY) <= 2
    assert np.hypot(point[0] - THERE[0], point[1] - THERE[1]) < 1
    fit = found.at(KEY, THERE)
    assert fit.correlation > 0.9
    assert fit.kept > 0.9


def test_where_it_has_gone_its_contrast_is_not_kept(template):
    found = matched(template, scan(shift_px=SHIFT, noise=5, lesion=False))
    assert found.at(KEY, THERE).kept < 0.4


def test_a_shift_of_all_values_and_the_scan_of_itself_keep_everything(template):
    own = scan()
    other = Slab(own.hu + 15, own.spacing_mm_px, own.slice_interval_mm, KEY)
    assert template.contrast_hu > 50
    for slab in (own, other):
        fit = matched(template, slab).at(KEY, MIDDLE)
        assert fit.correlation > 0.95
        assert fit.kept > 0.9


def test_outside_of_what_was_searched_nothing_fits(template):
    found = matched(template, scan())
    assert found.at(KEY + 9, MIDDLE) == NO_FIT
    assert found.at(KEY, (MIDDLE[0] + 60, MIDDLE[1])) == NO_FIT
    assert PixelMatch.of(template, scan(), {}).at(KEY, MIDDLE) == NO_FIT


def test_peaks_keep_their_distance(template):
    peaks = matched(template, scan(noise=4)).peaks(20.0)
    places = np.array([[x * 3.0, y * 3.0, at * 5.0] for at, (x, y) in peaks])
    apart = np.linalg.norm(places[:, None] - places[None], axis=-1)
    assert len(peaks) > 1
    assert (apart[~np.eye(len(peaks), dtype=bool)] >= 19.9).all()
