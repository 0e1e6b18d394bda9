"""RECIST 1.1 categories on courses worked out by hand, and growth against its formulas."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.lesion import Box, Lesion, LesionType
from retrieval.tag import given_tags
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.response.growth import track_growth, volume_doubling_days
from retrieval.tracking.response.recist import PatientResponse, ResponseCategory, patient_response
from retrieval.tracking.study_order import order_studies
from retrieval.tracking.track_types import PatientTracks, Track

CR, PR, SD, PD, NE = ResponseCategory
SIZES = dict[int, float]


def lesion(
    name: str, study: int, long_mm: float, short_mm: float, kind: LesionType, dated: bool
) -> Lesion:
    return Lesion(
        lesion_id=f"{name}@{study}",
        patient_id="P1",
        study_id=str(study),
        series_id="1",
        key_slice_index=1,
        box=Box(0, 0, 10, 10),
        long_mm=long_mm,
        short_mm=short_mm,
        lesion_type=kind,
        study_date=date(2020, study, 1) if dated else None,
    )


def track(
    name: str,
    sizes: SIZES,
    kind: LesionType = LesionType.LIVER,
    *,
    short: SIZES | None = None,
    dated: bool = False,
    tags: tuple[str, ...] = (),
    **joined: str | None,
) -> Track:
    lesions = tuple(
        lesion(name, study, size, (short or {}).get(study, 0.7 * size), kind, dated).with_changes(
            tags=given_tags(*tags)
        )
        for study, size in sizes.items()
    )
    return Track(name, lesions, **joined)


def patient(*tracks: Track, more_studies: int = 0, complete: bool = True) -> PatientTracks:
    marked = [x for one in tracks for x in one.lesions]
    empty = [lesion("none", study, 1, 1, LesionType.LUNG, False) for study in range(more_studies)]
    order = order_studies([*marked, *empty])
    known = frozenset(order.study_ids) if complete else frozenset()
    return PatientTracks("P1", replace(order, complete=known), tracks, ())


def categories(answer: PatientResponse) -> list[ResponseCategory]:
    return [study.category for study in answer.studies]


LUNG = LesionType.LUNG


@pytest.mark.parametrize(
    ("second_mm", "expected"),
    [(70.0, PR), (70.1, SD), (119.9, SD), (120.0, PD), (100.0, SD)],
)
def test_the_thresholds_are_thirty_down_and_twenty_up(
    second_mm: float, expected: ResponseCategory
) -> None:
    answer = patient_response(patient(track("a", {1: 100.0, 2: second_mm})))
    assert categories(answer) == [expected]


def test_twenty_per_cent_of_a_small_sum_is_no_progression_below_five_mm() -> None:
    answer = patient_response(patient(track("a", {1: 12.0, 2: 16.9, 3: 17.0})))
    assert categories(answer) == [SD, PD]


def test_progression_is_measured_from_the_smallest_sum_and_response_from_the_baseline() -> None:
    answer = patient_response(patient(track("a", {1: 100.0, 2: 50.0, 3: 59.0, 4: 61.0})))
    assert categories(answer) == [PR, PR, PD]
    assert answer.studies[2].nadir_mm == 50.0
    assert answer.studies[2].change_from_nadir_pct == pytest.approx(22.0)
    assert answer.studies[2].change_from_baseline_pct == pytest.approx(-39.0)


def test_at_most_five_targets_and_two_an_organ_the_largest_first() -> None:
    kinds = (LesionType.LIVER, LesionType.LUNG, LesionType.KIDNEY, LesionType.BONE)
    tracks = [
        track(f"{kind.value}{n}", {1: 20.0 + n + 5 * k}, kind)
        for k, kind in enumerate(kinds)
        for n in range(3)
    ]
    answer = patient_response(patient(*tracks))
    assert [t.track_id for t in answer.targets] == ["bone2", "bone1", "kidney2", "kidney1", "lung2"]
    assert answer.baseline_sum_mm == pytest.approx(37 + 36 + 32 + 31 + 27)


def test_lesions_below_ten_mm_are_not_measured() -> None:
    answer = patient_response(
        patient(track("a", {1: 9.9, 2: 30.0}), track("b", {1: 10.0, 2: 10.0}))
    )
    assert [t.track_id for t in answer.targets] == ["b"]
    none = patient_response(patient(track("a", {1: 9.9, 2: 9.9})))
    assert categories(none) == [None]
    assert "no measurable target" in none.studies[0].reason
    document = none.to_json()
    (study,) = document["studies"]
    unsaid = ("sum_mm", "nadir_mm", "change_from_baseline_pct", "change_from_nadir_mm")
    assert [study[name] for name in unsaid] == [None] * 4
    assert (study["category"], document["baseline_sum_mm"]) == (None, None)


def test_nodes_are_measured_by_their_short_axis_and_normal_below_ten() -> None:
    tagged = ("Lymph node",)
    node = track("n", {1: 30.0, 2: 20.0}, short={1: 15.0, 2: 9.9}, tags=tagged)
    small = track("s", {1: 30.0, 2: 30.0}, short={1: 14.9, 2: 9.0}, tags=tagged)
    answer = patient_response(patient(node, small))
    assert [(t.track_id, t.nodal, t.baseline_mm) for t in answer.targets] == [("n", True, 15.0)]
    assert categories(answer) == [CR], "both nodes are back to normal"
    assert answer.to_json()["policy"]["nodes"] == "by_tag"


def test_a_mediastinal_lesion_is_no_node_unless_a_tag_says_so() -> None:
    mass = track("m", {1: 30.0, 2: 29.0}, LesionType.MEDIASTINUM, short={1: 12.0, 2: 9.0})
    answer = patient_response(patient(mass))
    assert [(t.nodal, t.baseline_mm) for t in answer.targets] == [(False, 30.0)]
    assert categories(answer) == [SD]


def test_a_normal_node_is_no_complete_response_where_another_lesion_may_still_be_there() -> None:
    node = track("n", {1: 30.0, 2: 20.0}, short={1: 15.0, 2: 9.0}, tags=("lymph node",))
    other = track("b", {1: 5.0}, LUNG)
    assert categories(patient_response(patient(node, other))) == [CR]
    assert categories(patient_response(patient(node, other, complete=False))) == [PR]


def test_all_gone_is_complete_and_a_non_target_left_makes_it_partial() -> None:
    gone = track("a", {1: 40.0}, vanished_in="2")
    tiny = track("b", {1: 5.0, 2: 5.0}, LUNG)
    assert categories(patient_response(patient(gone, tiny))) == [PR]
    gone_too = track("b", {1: 5.0}, LUNG, vanished_in="2")
    tracks = patient(gone, gone_too, more_studies=3)
    answer = patient_response(tracks, baseline_study="1")
    assert categories(answer) == [CR]


def test_return_after_complete_response_is_progression() -> None:
    only = track("a", {1: 40.0}, vanished_in="2")
    back = track("b", {3: 12.0}, new_in="3")
    answer = patient_response(patient(only, back, more_studies=4), baseline_study="1")
    assert categories(answer) == [CR, PD]


def test_new_lesions_are_progression_and_stay_so() -> None:
    steady = track("a", {1: 40.0, 2: 40.0, 3: 20.0})
    fresh = track("b", {2: 6.0}, LUNG, new_in="2", vanished_in="3")
    answer = patient_response(patient(steady, fresh))
    assert categories(answer) == [PD, PD]
    assert answer.studies[0].new_tracks == ("b",)
    normal_node = track("n", {2: 12.0}, short={2: 9.0}, tags=("lymph node",), new_in="2")
    assert categories(patient_response(patient(steady, normal_node))) == [SD, PR]


def test_incomplete_marks_make_absence_not_evaluable_and_new_lesions_only_possible() -> None:
    gone = track("a", {1: 40.0})
    steady = track("b", {1: 40.0, 2: 40.0}, LUNG)
    fresh = track("c", {2: 20.0})
    answer = patient_response(patient(gone, steady, fresh, complete=False))
    assert categories(answer) == [NE]
    assert answer.studies[0].not_evaluable_tracks == ("a",)
    assert answer.studies[0].possibly_new_tracks == ("c",)
    grown = track("b", {1: 40.0, 2: 96.0}, LUNG)
    answer = patient_response(patient(gone, grown, complete=False))
    assert categories(answer) == [PD], "what is not evaluable could only add to the sum"


def test_where_nothing_was_measured_nothing_is_said() -> None:
    gone = track("a", {1: 40.0})
    fresh = track("b", {2: 20.0}, LUNG)
    (study,) = patient_response(patient(gone, fresh, complete=False)).studies
    assert (study.category, study.sum_mm, study.reason) == (None, None, "no target measured")
    assert (study.change_from_baseline_pct, study.change_from_nadir_pct) == (None, None)
    assert study.possibly_new_tracks == ("b",)


def test_a_sum_with_a_target_missing_has_no_percentage() -> None:
    tracks = (track("a", {1: 40.0}), track("b", {1: 40.0, 2: 41.0}, LUNG))
    (study,) = patient_response(patient(*tracks, complete=False)).studies
    assert (study.category, study.sum_mm) == (NE, 41.0)
    assert (study.change_from_baseline_pct, study.change_from_nadir_mm) == (None, None)


def test_marks_of_one_complete_study_are_evidence_for_that_study_alone() -> None:
    tracks = patient(track("a", {1: 40.0, 4: 40.0}), track("b", {2: 20.0}), track("c", {3: 20.0}))
    order = replace(tracks.order, complete=frozenset({"2"}))
    answer = patient_response(replace(tracks, order=order))
    assert [study.new_tracks for study in answer.studies] == [(), ("c",), ("c",)]
    assert [study.possibly_new_tracks for study in answer.studies] == [("b",)] * 3
    assert answer.to_json()["policy"]["marks"] == "partly complete"


def test_a_target_marked_before_and_after_is_not_evaluable_between() -> None:
    gap = track("a", {1: 40.0, 3: 41.0})
    steady = track("b", {1: 40.0, 2: 40.0, 3: 40.0}, LUNG)
    assert categories(patient_response(patient(gap, steady))) == [NE, SD]


def test_merged_targets_count_once_and_split_parts_together() -> None:
    whole = track("a", {1: 20.0, 2: 36.0})
    part = track("b", {1: 18.0}, merged_into="a")
    answer = patient_response(patient(whole, part))
    assert (answer.baseline_sum_mm, answer.studies[0].sum_mm) == (38.0, 36.0)
    assert categories(answer) == [SD]
    first = track("a", {1: 36.0, 2: 20.0})
    second = track("b", {2: 18.0}, split_from="a")
    answer = patient_response(patient(first, second))
    assert (answer.studies[0].sum_mm, categories(answer)) == (38.0, [SD])


def test_the_document_says_what_it_is_and_names_its_rules() -> None:
    document = patient_response(patient(track("a", {1: 40.0, 2: 40.0}))).to_json()
    assert document["notice"].startswith("Research use only")
    assert "2009" in document["guideline"]
    assert document["ordered_by"] == "study_number"
    with pytest.raises(TrackingError, match="studies are 1, 2"):
        patient_response(patient(track("a", {1: 40.0, 2: 40.0})), baseline_study="7")


def test_growth_needs_dates() -> None:
    dated = track_growth(track("a", {1: 20.0, 3: 26.0}, dated=True))
    days = (date(2020, 3, 1) - date(2020, 1, 1)).days
    assert dated.change_pct == pytest.approx(30.0)
    assert dated.growth_mm_per_month == pytest.approx(6.0 / days * 30.4375)
    assert dated.volume_doubling_days == pytest.approx(days / math.log2((26 / 20) ** 3))
    undated = track_growth(track("a", {1: 20.0, 3: 26.0}))
    assert undated.change_mm == pytest.approx(6.0)
    assert (undated.growth_mm_per_month, undated.volume_doubling_days) == (None, None)


@given(st.floats(1, 100), st.floats(1.01, 5), st.floats(1, 1000))
def test_a_volume_is_doubled_after_its_doubling_time(
    first_mm: float, factor: float, days: float
) -> None:
    doubling = volume_doubling_days(first_mm, first_mm * factor, days)
    assert doubling is not None
    assert 2 ** (days / doubling) == pytest.approx(factor**3)
    halving = volume_doubling_days(first_mm * factor, first_mm, days)
    assert halving == pytest.approx(-doubling)
    assert volume_doubling_days(first_mm, first_mm, days) is None


@given(st.lists(st.floats(10, 200), min_size=2, max_size=6))
def test_a_sum_is_never_below_its_nadir_without_becoming_it(sizes: list[float]) -> None:
    answer = patient_response(patient(track("a", dict(enumerate(sizes, start=1)))))
    smallest = [min(sizes[: place + 1]) for place in range(len(sizes) - 1)]
    assert [study.nadir_mm for study in answer.studies] == pytest.approx(smallest)
