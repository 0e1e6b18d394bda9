"""A lesion found again in another scan of the same body."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from retrieval.position.locator import BodyLocator
from retrieval.position.narrow_field import CutField, given_error
from retrieval.tracking.following.dense_search import Comparison, LesionLook, dense_search
from retrieval.tracking.following.expected import ExpectedPlace, PlaceSource
from retrieval.tracking.following.pixels import PixelMatch, PixelTemplate
from retrieval.tracking.following.registration import Registration
from retrieval.tracking.following.search import (
    FollowError,
    FollowOptions,
    FollowTools,
    IndexedLesion,
    expected_place,
    find_again,
)
from retrieval.tracking.following.search_area import SearchArea
from retrieval.tracking.matcher import bundled_matcher
from tests.retrieval.tracking.following.series import (
    INTERVAL,
    KEY,
    MIDDLE,
    SPACING,
    GreyEncoder,
    mark,
    middle_mm,
    node_of,
    scan,
)

SHIFT, FIRST = (2, -3), 3
FEW = FollowOptions(limit=80)
TRUE_MM = np.array(
    [
        (MIDDLE[0] + SHIFT[0]) * SPACING[0],
        (MIDDLE[1] + SHIFT[1]) * SPACING[1],
        (KEY - FIRST) * INTERVAL,
    ]
)


@pytest.fixture(scope="module")
def tools():
    return FollowTools(GreyEncoder(), bundled_matcher(), BodyLocator.load())


@pytest.fixture(scope="module")
def sought(tools):
    own = scan()
    lesion = mark(own)
    return IndexedLesion(node_of(own, lesion, tools.encoder), SPACING, slab=own)


@pytest.fixture(scope="module")
def later():
    return scan(shift_px=SHIFT, first=FIRST, noise=2)


def test_the_best_candidate_is_the_lesion(tools, sought, later):
    found = find_again(sought, later, tools, FEW)
    best = found.candidates[0]
    offset = middle_mm(later, best.box, best.key_slice_index) - TRUE_MM
    assert np.linalg.norm(offset) < 10
    assert best.similarity > 0.8
    assert best.long_mm is None
    assert best.detector_score is None


def test_the_answer_is_in_the_file_grid(tools, sought, later):
    turned = replace(
        later, grid=replace(later.grid, step=(-1, 1, -1), origin=(127, 0, later.grid.origin[2]))
    )
    plain, other = (find_again(sought, one, tools, FEW).candidates[0] for one in (later, turned))
    assert other.key_slice_index == plain.key_slice_index
    assert other.box == turned.grid.to_file_box(later.grid.to_display_box(plain.box))


def test_it_says_what_was_covered(tools, sought, later):
    covered = find_again(sought, later, tools, FEW).covered
    numbers = later.slice_numbers
    assert covered.slices is not None
    assert numbers[0] <= covered.slices[0] <= covered.slices[1] <= numbers[-1]
    assert covered.boxes > 50
    assert 0 < covered.share <= 1


def test_a_series_that_ends_before_the_place_says_so(tools, sought):
    found = find_again(sought, replace_slices(scan(noise=2), slice(0, 4)), tools, FEW)
    assert found.covered.share < 0.95
    assert any("covers" in warning for warning in found.warnings)


def replace_slices(slab, which):
    return replace(slab, hu=slab.hu[which], key_slice=0)


def test_one_slice_is_refused(tools, sought):
    with pytest.raises(FollowError, match="one slice"):
        find_again(sought, replace_slices(scan(), slice(0, 1)), tools)


def test_air_is_refused(tools, sought):
    air = scan()
    with pytest.raises(FollowError, match="no slice of the series shows a body"):
        find_again(sought, replace(air, hu=np.full_like(air.hu, -1000)), tools)


def test_a_lesion_of_which_nothing_tells_the_place_is_refused(tools, sought, later):
    with pytest.raises(FollowError, match="put its archive back"):
        find_again(replace(sought, slab=None), later, tools, FEW)


def test_without_its_own_slices_the_kept_location_tells_the_place(tools, sought, later):
    series = tools.locator.locate(later)
    by_pixels = expected_place(sought, series, tools.locator)
    assert by_pixels.source is PlaceSource.BOTH_SERIES
    located = sought.node.lesion.with_changes(location=by_pixels.location)
    known = replace(sought, node=replace(sought.node, lesion=located), slab=None)
    by_location = expected_place(known, series, tools.locator)
    assert by_location.source is PlaceSource.LOCATION
    assert by_location.location == by_pixels.location
    assert by_location.error[2] == pytest.approx(max(error_of(one) for one in series.slices))


def error_of(one):
    return 0.0 if one.place is None else one.place.location_error_90[2] / 1.645


def test_a_place_that_is_coarse_in_the_plane_is_not_covered_by_its_slices_alone(
    tools, sought, later
):
    series = tools.locator.locate(later)
    sharp = expected_place(sought, series, tools.locator)
    coarse = replace(sharp, error=(*given_error(CutField(240.0, 240.0))[:2], sharp.error[2]))
    shares = [SearchArea.of(later, series, one).share_covered() for one in (sharp, coarse)]
    assert 0.2 < shares[1] / shares[0] < 0.5


def test_the_dense_search_keeps_to_its_limit(tools, sought, later):
    series = tools.locator.locate(later)
    area = SearchArea.of(later, series, expected_place(sought, series, tools.locator))
    look = LesionLook.of(sought.node.vector, sought.node.lesion.box, SPACING)
    comparison = Comparison(tools.encoder, later, look)
    seen = dense_search(area, comparison, limit=30)
    assert len(seen) == comparison.looked_at
    assert 30 < len(seen) <= 30 + 5 * 12


def test_a_fit_beyond_the_edge_of_the_image_is_no_place(tools, sought, later):
    series = tools.locator.locate(later)
    area = SearchArea.of(later, series, expected_place(sought, series, tools.locator))
    look = LesionLook.of(sought.node.vector, sought.node.lesion.box, SPACING)
    template = PixelTemplate.of(sought.slab, sought.node.lesion.box)
    found = PixelMatch.of(template, later, {KEY - FIRST: MIDDLE})
    beyond = replace(found, origin={at: (x - 200.0, y) for at, (x, y) in found.origin.items()})
    assert all(x < 0 for _, (x, _) in beyond.peaks(look.step_mm * 1.5))
    comparison = Comparison(tools.encoder, later, look)
    seen = dense_search(area, comparison, limit=30, pixels=beyond)
    assert seen
    assert all(0 <= one.box.center[0] <= later.columns - 1 for one in seen)


def test_registration_lays_the_scans_on_each_other(tools, sought, later):
    series = tools.locator.locate(later)
    expected = expected_place(sought, series, tools.locator)
    placed = Registration(sought.node.lesion, sought.slab, later)(series, expected)
    assert placed is not None
    assert placed.source is PlaceSource.REGISTRATION
    area = SearchArea.of(later, series, placed)
    x, y = area.frames[KEY - FIRST].point_at(*placed.location[:2])
    assert np.hypot(x * SPACING[0] - TRUE_MM[0], y * SPACING[1] - TRUE_MM[1]) < 8


def test_registration_of_other_anatomy_is_none(tools, sought, later):
    series = tools.locator.locate(later)
    noise = np.random.default_rng(0).normal(40, 60, later.hu.shape).astype(np.float32)
    place = ExpectedPlace((0.5, 0.5, 0.5), (0.01, 0.01, 0.02), PlaceSource.LOCATION)
    other = replace(later, hu=noise)
    assert Registration(sought.node.lesion, sought.slab, other)(series, place) is None
