"""Response by measured volume: sums, bounds and what is not told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from retrieval.measured_size import ELLIPSE, IMAGE_ENDS, MeasuredSizes, MeasuredValue
from retrieval.segmentation.checks import Flag
from retrieval.segmentation.measuring import Method
from retrieval.tracking.response.recist import patient_response
from retrieval.tracking.response.volumes import GROWTH_PCT, SHRINKAGE_PCT, VolumeChange
from retrieval.tracking.track_types import Track
from tests.retrieval.tracking.response.test_response import patient, track

ONE = MeasuredValue(1.0, None, None)


def sizes(volume: float, method: str = "network", flags: tuple[str, ...] = ()) -> MeasuredSizes:
    found = MeasuredValue(volume, None, (0.8 * volume, 1.3 * volume))
    return MeasuredSizes(ONE, ONE, found, ONE, ONE, method, flags)


def measured(one: Track, volumes: dict[str, MeasuredSizes]) -> Track:
    lesions = [x.with_changes(measured=volumes.get(x.study_id)) for x in one.lesions]
    return replace(one, lesions=tuple(lesions))


def one_track(*volumes: float | None, name: str = "T1") -> Track:
    known = {str(n): sizes(v) for n, v in enumerate(volumes, start=1) if v is not None}
    return measured(track(name, dict.fromkeys(range(1, len(volumes) + 1), 20.0)), known)


@pytest.mark.parametrize(
    ("later", "change"),
    [
        (1730.0, VolumeChange.GROWN),
        (1720.0, VolumeChange.WITHIN),
        (342.0, VolumeChange.SHRUNK),
        (350.0, VolumeChange.WITHIN),
    ],
)
def test_the_bounds_are_those_of_a_sphere(later: float, change: VolumeChange) -> None:
    assert (round(SHRINKAGE_PCT, 1), round(GROWTH_PCT, 1)) == (-65.7, 72.8)
    answer = patient_response(patient(one_track(1000.0, later))).volumes
    assert answer.studies[0].change is change
    assert answer.studies[0].change_from_baseline_pct == pytest.approx(later / 10 - 100)
    point = answer.tracks[0].points[1]
    assert point.interval_90 == pytest.approx((0.8 * later, 1.3 * later))
    assert point.change_pct == pytest.approx(later / 10 - 100)


def test_growth_is_from_the_smallest_sum_of_all_targets() -> None:
    tracks = patient(one_track(1000.0, 300.0, 900.0), one_track(500.0, 100.0, 200.0, name="T2"))
    answer = patient_response(tracks).volumes
    assert answer.baseline_sum_mm3 == 1500.0
    assert [study.sum_mm3 for study in answer.studies] == [400.0, 1100.0]
    assert [study.change for study in answer.studies] == [VolumeChange.SHRUNK, VolumeChange.GROWN]
    assert answer.studies[1].change_from_nadir_pct == pytest.approx(175.0)


def test_what_was_not_measured_is_not_told() -> None:
    tracks = patient(one_track(1000.0, 900.0, None), one_track(500.0, None, 400.0, name="T2"))
    answer = patient_response(tracks).volumes
    assert [study.change for study in answer.studies] == [None, None]
    assert [study.sum_mm3 for study in answer.studies] == [None, None]
    assert [study.not_measured_tracks for study in answer.studies] == [("T2",), ("T1",)]
    assert patient_response(patient(one_track(None, None))).volumes.tracks == ()


@pytest.mark.parametrize(
    "part", [sizes(300.0, ELLIPSE), sizes(300.0, flags=(IMAGE_ENDS, "few pixels"))]
)
def test_an_ellipse_and_a_part_are_no_volume(part: MeasuredSizes) -> None:
    one = measured(track("T1", {1: 20.0, 2: 20.0}), {"1": sizes(900.0), "2": part})
    assert patient_response(patient(one)).volumes.studies[0].change is None


def test_the_names_are_those_of_the_measurement() -> None:
    assert (Method.ELLIPSE.value, Flag.CUT.value) == (ELLIPSE, IMAGE_ENDS)
