"""Courses of sizes: what is used, and what is left out in words."""

from __future__ import annotations

import math
from datetime import date

import numpy as np
import pytest

from retrieval.lesion import Box, Lesion, LesionType
from retrieval.tracking.edges import MatchTerms
from retrieval.tracking.growth.courses import (
    SizeMeasure,
    UnusableCourseError,
    course_of,
)
from retrieval.tracking.growth.patient_courses import MeasuredMarks, patient_courses
from retrieval.tracking.growth.steps import GrowthSteps
from retrieval.tracking.matcher import LocationSource
from retrieval.tracking.states import LinkState
from retrieval.tracking.study_order import order_studies
from retrieval.tracking.track_types import PatientTracks, Track, TrackLink

TERMS = MatchTerms(0.9, None, None, None, LocationSource.ABSENT, None, None, {})


def mark(study, long_mm, *, series=1, day=None, lesion_type=LesionType.UNKNOWN, category=None):
    return Lesion(
        lesion_id=f"{study}_{series}",
        patient_id="p",
        study_id=f"p_{study}",
        series_id=f"p_{study}_{series}",
        key_slice_index=3,
        box=Box(1, 1, 9, 9),
        long_mm=long_mm,
        lesion_type=lesion_type,
        study_date=day,
        category=category,
    )


def course(*marks, **options):
    return course_of(marks, order_studies(marks), **options)


def test_sizes_stand_in_the_order_of_the_studies():
    made = course(mark(10, 20.0), mark(2, 10.0))
    assert [point.study_id for point in made.points] == ["p_2", "p_10"]
    assert made.log_sizes == pytest.approx([math.log(10), math.log(20)])
    assert made.days is None


def test_days_need_a_date_of_every_study():
    dated = course(mark(1, 9.0, day=date(2020, 1, 1)), mark(2, 9.0, day=date(2020, 3, 1)))
    assert dated.days.tolist() == [0, 60]
    assert course(mark(1, 9.0, day=date(2020, 1, 1)), mark(2, 9.0)).days is None


def test_marks_on_two_series_of_a_study_are_one_lesion_measured_twice():
    made = course(mark(1, 10.0), mark(1, 40.0, series=2))
    assert made.points[0].size == pytest.approx(20.0)
    assert made.points[0].lesion_ids == ("1_1", "1_2")


def test_two_marks_on_one_series_are_left_out_in_words():
    twice = mark(1, 12.0).with_changes(lesion_id="other")
    made = course(mark(1, 10.0), twice, mark(2, 11.0))
    assert [point.study_id for point in made.points] == ["p_2"]
    assert "two marks on one series (1_1, other)" in made.left_out[0]
    with pytest.raises(UnusableCourseError, match="two marks"):
        made.until("p_1")


@pytest.mark.parametrize("long_mm", [0.0, -3.0, 0.9, 501.0, float("nan"), float("inf"), None])
def test_an_absurd_size_is_left_out_in_words(long_mm):
    made = course(mark(1, long_mm), mark(2, 11.0))
    assert len(made.points) == 1
    assert "long diameter" in made.left_out[0]
    with pytest.raises(UnusableCourseError, match="long diameter"):
        course(mark(1, long_mm))


def test_a_study_after_today_is_left_out_in_words():
    ahead = mark(2, 11.0, day=date(2030, 1, 1))
    made = course(mark(1, 10.0, day=date(2020, 1, 1)), ahead, today=date(2025, 1, 1))
    assert len(made.points) == 1
    assert made.left_out == ("study p_2: dated 2030-01-01, which is after today, 2025-01-01",)


def test_type_and_category_are_the_commonest_that_are_known():
    made = course(
        mark(1, 9.0),
        mark(2, 9.0, lesion_type=LesionType.LUNG, category="4"),
        mark(3, 9.0, lesion_type=LesionType.LUNG),
    )
    assert (made.lesion_type, made.category) == (LesionType.LUNG, "4")


def test_volumes_have_limits_of_their_own():
    marks = [mark(1, None), mark(2, None)]
    sizes = {"1_1": 900.0, "2_1": 1800.0}
    made = course(*marks, sizes=sizes, measure=SizeMeasure.VOLUME)
    assert made.log_sizes[1] - made.log_sizes[0] == pytest.approx(math.log(2))
    with pytest.raises(UnusableCourseError, match="no volume"):
        course(*marks, sizes={}, measure=SizeMeasure.VOLUME)


def test_until_knows_nothing_of_later_studies():
    known = course(mark(1, 9.0), mark(2, 10.0), mark(3, 11.0)).until("p_2")
    assert [point.size for point in known.points] == pytest.approx([9.0, 10.0])


def tracks_of(marks, links, **track):
    return PatientTracks("p", order_studies(marks), (Track("T1", tuple(marks), **track),), links)


def test_a_track_is_parted_at_an_uncertain_link():
    marks = [mark(1, 9.0), mark(2, 10.0), mark(3, 11.0)]
    links = (
        TrackLink("1_1", "2_1", LinkState.MATCHED, 0.9, TERMS),
        TrackLink("2_1", "3_1", LinkState.UNCERTAIN, 0.5, TERMS),
        TrackLink("1_1", "3_1", LinkState.UNCERTAIN, 0.5, TERMS),
    )
    found = patient_courses(tracks_of(marks, links))
    assert [len(one.points) for one in found.courses] == [2, 1]


def test_a_merge_has_no_course_and_says_so():
    marks = [mark(1, 9.0), mark(2, 10.0)]
    links = (TrackLink("1_1", "2_1", LinkState.MERGED, 0.9, TERMS),)
    found = patient_courses(tracks_of(marks, links))
    assert found.courses == ()
    assert "merged" in found.without["1_1"]
    split = patient_courses(tracks_of(marks, (), split_from="T2"))
    assert split.courses == ()


def test_measured_sizes_stand_in_for_diameters():
    marks = [mark(1, 9.0), mark(2, 10.0)]
    links = (TrackLink("1_1", "2_1", LinkState.CONFIRMED, 1.0, TERMS),)
    known = MeasuredMarks(sizes={"1_1": 500.0, "2_1": 700.0}, measure=SizeMeasure.VOLUME)
    (made,) = patient_courses(tracks_of(marks, links), known).courses
    assert made.measure is SizeMeasure.VOLUME
    assert made.points[1].size == pytest.approx(700.0)


def test_steps_are_changes_between_neighbouring_studies():
    vectors = {f"{n}_1": np.array([n, 1.0], np.float32) for n in (1, 2, 3)}
    made = course(mark(1, 10.0), mark(2, 20.0), mark(3, 10.0), vectors=vectors)
    steps = GrowthSteps.of([made, course(mark(1, 5.0)), course(mark(1, 5.0), mark(2, 5.0))])
    assert steps.change == pytest.approx([math.log(2), -math.log(2), 0])
    assert steps.place.tolist() == [0, 1, 0]
    assert np.isnan(steps.days).all()
    assert steps.vectors.shape == (3, 0), "one step has no vector"
    alone = GrowthSteps.of([made])
    assert np.linalg.norm(alone.vectors, axis=1) == pytest.approx([1, 1])
    assert [len(alone.history(step).points) for step in (0, 1)] == [1, 2]
    assert alone.chosen(np.array([False, True])).change == pytest.approx([-math.log(2)])


def test_two_studies_of_one_day_are_no_step():
    day = date(2020, 1, 1)
    steps = GrowthSteps.of([course(mark(1, 10.0, day=day), mark(2, 20.0, day=day))])
    assert len(steps) == 0
