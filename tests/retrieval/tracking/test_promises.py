"""What tracking promises: where it abstains, what it never joins, what no wrong location costs."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from retrieval.lesion import Box, Lesion, LesionType
from retrieval.position.narrow_field import CutField, estimated_error, given_error
from retrieval.tracking.edges import NOMINAL_BODY_MM, TrackNode
from retrieval.tracking.matcher import MatcherModel, bundled_matcher
from retrieval.tracking.states import FollowUpState, LinkState
from retrieval.tracking.terms.lesion_size import LesionSize
from retrieval.tracking.tracks import follow_ups, track_patient

BAND = (0.3, 0.8)


def node(name: str, study: str, vector: tuple[float, ...], **fields: Any) -> TrackNode:
    size = fields.pop("size", None)
    place = 150.0 * (1 + sum(name.encode()) % 3)
    key = fields.pop("key_slice_index", 9)
    lesion = Lesion(name, "P", study, "1", key, Box.around((place, 100.0), 30.0), **fields)
    return TrackNode(lesion, np.array(vector, np.float32), size)


def sure_of(score: float) -> MatcherModel:
    """A matcher to which every pair alone has this probability."""
    odds = math.log(score / (1 - score))
    return MatcherModel(odds, (0.0, 0.0, 0.0, 0.0), threshold=0.5, abstain=BAND)


@pytest.mark.parametrize(
    ("score", "tracks", "link", "state"),
    [
        (0.29, 2, None, FollowUpState.NOT_MARKED),
        (0.31, 2, LinkState.UNCERTAIN, FollowUpState.UNCERTAIN),
        (0.49, 2, LinkState.UNCERTAIN, FollowUpState.UNCERTAIN),
        (0.51, 1, LinkState.UNCERTAIN, FollowUpState.UNCERTAIN),
        (0.79, 1, LinkState.UNCERTAIN, FollowUpState.UNCERTAIN),
        (0.81, 1, LinkState.MATCHED, FollowUpState.PERSISTENT),
    ],
)
def test_a_pair_inside_the_abstention_band_is_uncertain_joined_or_not(
    score: float, tracks: int, link: LinkState | None, state: FollowUpState
) -> None:
    nodes = [node("a", "1", (1, 0)), node("bb", "2", (1, 0))]
    found = track_patient(nodes, model=sure_of(score))
    assert len(found.tracks) == tracks
    assert [one.state for one in found.links] == ([] if link is None else [link])
    assert all(one.score == pytest.approx(score) for one in found.links)
    (answer,) = follow_ups(nodes[0], nodes, model=sure_of(score))
    assert answer.state is state
    assert (answer.lesion is None) == (link is None)


def test_a_score_below_the_threshold_joins_nothing_even_if_it_is_the_best() -> None:
    """Two equal candidates halve each other: likely as either is, neither reaches 0.5."""
    nodes = [node("a", "1", (1, 0)), node("bb", "2", (1, 0)), node("ccc", "2", (1, 0))]
    found = track_patient(nodes, model=sure_of(0.73))
    assert len(found.tracks) == 3
    assert [one.score for one in found.links] == [pytest.approx(0.42, abs=0.01)] * 2
    assert {one.state for one in found.links} == {LinkState.UNCERTAIN}


@pytest.mark.parametrize(("whole_mm", "merged"), [(23.0, False), (24.5, True)])
def test_a_merge_must_hold_seven_tenths_of_the_parts_area(whole_mm: float, merged: bool) -> None:
    def placed(name: str, study: str, x: float, long_mm: float) -> TrackNode:
        return node(name, study, (1, 0), long_mm=long_mm, location=(x, 0.5, 0.5))

    parts = [placed("a", "1", 0.49, 20.0), placed("bb", "1", 0.52, 20.0)]
    whole = placed("ccc", "2", 0.505, whole_mm)
    states = {one.state for one in track_patient([*parts, whole]).links}
    assert (LinkState.MERGED in states) == merged
    assert 24.5**2 > 0.7 * (20.0**2 + 20.0**2) > 23.0**2


@pytest.mark.parametrize("off_mm", [60.0, 85.0, 110.0])
@pytest.mark.parametrize("axis", [1, 2])
def test_a_study_whose_locations_are_all_wrong_loses_no_link_that_looks_and_sizes_support(
    off_mm: float, axis: int
) -> None:
    """Two unlike lesions in two studies, the second with a body outline of its own."""
    shift = [0.0, 0.0, 0.0]
    shift[axis] = off_mm / NOMINAL_BODY_MM[axis]
    first = {
        "mass": ((1.0, 0.0, 0.0), (0.5, 0.4, 0.4), 40.0),
        "node": ((0.0, 1.0, 0.0), (0.45, 0.3, 0.45), 12.0),
    }
    nodes = []
    for name, ((x, y, z), place, long_mm) in first.items():
        kind = {"long_mm": long_mm, "short_mm": long_mm, "lesion_type": LesionType.MEDIASTINUM}
        nodes.append(node(name, "1", (x, y, z), location=place, **kind))
        moved = tuple(value + step for value, step in zip(place, shift, strict=True))
        nodes.append(node(name + "2", "2", (x, y, z + 0.5), location=moved, **kind))
    for name in first:
        asked = next(one for one in nodes if one.lesion.lesion_id == name)
        (answer,) = follow_ups(asked, nodes)
        assert answer.state in {FollowUpState.PERSISTENT, FollowUpState.UNCERTAIN}
        assert answer.lesion is not None
        assert answer.lesion.lesion_id == name + "2"


@pytest.mark.parametrize("field_mm", [165.0, 200.0, 245.0])
@pytest.mark.parametrize("off_mm", [60.0, 85.0, 110.0])
@pytest.mark.parametrize("in_plane_mm", [0.0, 60.0])
def test_a_narrow_field_gives_one_answer_by_id_and_by_upload(
    field_mm: float, off_mm: float, in_plane_mm: float
) -> None:
    """The given height is wrong, the estimated one is not; x and y are those of a cut body."""
    field = CutField(field_mm, field_mm)
    _, y_mm, z_mm = NOMINAL_BODY_MM
    shown = (0.0, in_plane_mm / y_mm, 0.0)
    given = (0.0, in_plane_mm / y_mm, -off_mm / z_mm)
    calibrated = (0.001, 0.023, 0.029)
    beside = estimated_error(field)
    error = tuple(math.hypot(a, b) for a, b in zip(calibrated, beside, strict=True))
    wide = {
        "mass": ((1.0, 0.0, 0.0), (0.5, 0.4, 0.4), 40.0),
        "node": ((0.0, 1.0, 0.0), (0.45, 0.3, 0.45), 12.0),
    }
    answers = []
    for by, shift, location_error in (
        ("id", given, given_error(field)),
        ("upload", shown, error),
        ("exact", given, None),
    ):
        nodes = []
        for name, ((x, y, z), place, long_mm) in wide.items():
            kind = {"long_mm": long_mm, "short_mm": long_mm, "lesion_type": LesionType.MEDIASTINUM}
            nodes.append(node(name, "1", (x, y, z), location=place, **kind))
            moved = tuple(value + step for value, step in zip(place, shift, strict=True))
            where = {"location": moved, "location_error": location_error}
            nodes.append(node(name + "2", "2", (x, y, z + 0.9), **where, **kind))
        for asked in nodes[1::2]:
            (answer,) = follow_ups(asked, nodes)
            assert answer.lesion is not None
            assert asked.lesion.lesion_id == answer.lesion.lesion_id + "2"
            answers.append((by, answer))
    states = {by: {one.state for who, one in answers if who == by} for by, _ in answers}
    assert states["id"] == states["upload"] == {FollowUpState.PERSISTENT}
    if in_plane_mm:
        assert states["exact"] == {FollowUpState.UNCERTAIN}, "what the error is there for"


def test_an_uploaded_box_without_diameters_type_or_location_still_finds_its_partner() -> None:
    stored = node(
        "a", "1", (1, 0, 0), long_mm=20.0, short_mm=18.0, location=(0.5, 0.4, 0.55),
        lesion_type=LesionType.LIVER,
    )  # fmt: skip
    other = node(
        "bb", "1", (0, 1, 0), long_mm=40.0, short_mm=30.0, location=(0.3, 0.4, 0.8),
        lesion_type=LesionType.LUNG,
    )  # fmt: skip
    upload = node("query", "2", (1, 0.5, 0), size=LesionSize(math.log(21.0), 0.15))
    estimated = TrackNode(
        upload.lesion.with_changes(location=(0.56, 0.45, 0.57), location_error=(0.05, 0.08, 0.02)),
        upload.vector,
        upload.size,
    )
    scores = []
    for asked in (upload, estimated):
        (answer,) = follow_ups(asked, [stored, other])
        assert (answer.state, answer.lesion) == (FollowUpState.PERSISTENT, stored.lesion)
        scores.append(answer.score)
    assert scores[1] > scores[0], "a coarse location that fits adds to the evidence"
    assert answer.terms is not None
    assert answer.terms.to_json()["location_source"] == "estimated"


def test_the_bundled_band_lies_about_its_threshold() -> None:
    model = bundled_matcher()
    assert model.threshold == 0.5
    assert 0.2 <= model.abstain[0] < 0.5 < model.abstain[1] <= 0.8


def test_a_query_that_looks_just_like_a_lesion_of_its_own_study_does_not_compete_with_it() -> None:
    """The same slice under another name: its indexed copy must not take its partner."""
    stored = node("a", "2", (1, 0, 0), key_slice_index=9)
    prior = node("bb", "1", (1, 0.3, 0))
    upload = node("query", "2", (1, 0.1, 0), key_slice_index=0)
    model = MatcherModel(2.0, (0.0, 0.0, 0.0, 0.0), abstain=BAND)
    (answer,) = follow_ups(upload, [stored, prior], model=model)
    assert (answer.state, answer.lesion) == (FollowUpState.PERSISTENT, prior.lesion)
    unlike = TrackNode(stored.lesion, np.array((0, 1, 0), np.float32))
    (answer,) = follow_ups(upload, [unlike, prior], model=model)
    assert answer.score < 0.5, "another lesion of its study competes"
