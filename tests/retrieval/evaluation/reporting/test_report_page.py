"""One report as a page: the comparison has the right direction, the stability table its measure."""

from __future__ import annotations

import pytest

from retrieval.evaluation.reporting.report_page import (
    below_baselines,
    compare_with_baselines,
    report_page,
)
from retrieval.evaluation.retrieval.ranking import LOCATION_ERROR, SIZE_ERROR
from retrieval.evaluation.retrieval.report import RetrievalReport, Score
from retrieval.evaluation.retrieval.stability import BACKGROUND
from retrieval.evaluation.stats.intervals import Estimate

FROZEN = "net frozen, multi-scale"


def estimate(value: float, reach: float = 0.01) -> Estimate:
    return Estimate(value, value - reach, value + reach, 21)


def report_of(*scores: Score, encoder: str | None = "E") -> RetrievalReport:
    return RetrievalReport("sample", encoder, "all", 23, 20, 9, scores, {"seed": 3})


def score(encoder, baseline, *, higher: bool | None = True, reach=0.01, name="MRR"):
    worse = {True: 0.1, False: 9.0, None: 0.1}[higher]
    methods = {"random": worse, FROZEN: baseline, "E": encoder}
    estimates = {method: estimate(value, reach) for method, value in methods.items()}
    return Score("same patient", name, higher, estimates)


@pytest.mark.parametrize(
    ("encoder", "baseline", "higher", "verdict"),
    [
        (0.9, 0.8, True, "yes"),
        (0.7, 0.8, True, "no"),
        (1.0, 2.0, False, "yes"),
        (3.0, 2.0, False, "no"),
        (0.8, 0.8, True, "equal"),
    ],
)
def test_the_best_baseline_is_compared_in_the_right_direction(encoder, baseline, higher, verdict):
    report = report_of(score(encoder, baseline, higher=higher))
    (found,) = compare_with_baselines(report)
    assert (found.baseline, found.verdict) == (FROZEN, verdict)
    assert len(below_baselines(report)) == (verdict == "no")


def test_overlapping_intervals_are_said():
    (found,) = compare_with_baselines(report_of(score(0.9, 0.8, reach=0.3)))
    assert found.verdict == "yes, intervals overlap"


def test_scores_without_direction_encoder_or_baseline_are_not_compared():
    assert compare_with_baselines(report_of(score(0.9, 0.8, higher=None))) == []
    assert compare_with_baselines(report_of(score(0.9, 0.8), encoder=None)) == []
    alone = Score("s", "MRR", True, {"E": estimate(0.9)})
    unknown = Score("s", "MRR", True, {"random": estimate(float("nan")), "E": estimate(0.9)})
    assert compare_with_baselines(report_of(alone, unknown)) == []


@pytest.mark.parametrize(
    ("name", "bound"), [(LOCATION_ERROR, "location only"), (SIZE_ERROR, "size only")]
)
def test_a_method_that_ranks_by_the_measured_number_is_no_baseline(name, bound):
    errors = {bound: estimate(0.0), "random": estimate(9.0), "E": estimate(3.0)}
    (found,) = compare_with_baselines(report_of(Score("similar", name, False, errors)))
    assert found.baseline == "random"


def test_the_page_has_the_baseline_that_counts_in_a_column_of_its_own():
    page = report_page(report_of(score(0.9, 0.8)), "Real sample")
    assert page.startswith("## Real sample\n")
    assert "23 lesions (20 of known type) of 9 patients; split: all; seed 3" in page
    own, baseline = "0.900 (0.890 to 0.910)", "0.800 (0.790 to 0.810)"
    assert f"| same patient: MRR | {own} | {baseline} | {baseline} ({FROZEN}) | yes |" in page
    assert "| random | 0.100 (0.090 to 0.110) |" in page


def test_stability_stands_beside_different_lesions():
    def cosines(view, median):
        values = {"raw": estimate(1.0), "E": estimate(median)}
        return Score(f"stability: {view}", "cosine, median", None, values)

    scores = [cosines("box jitter 20 %", 0.95), cosines(BACKGROUND, 0.4)]
    page = report_page(report_of(*scores), "Sample")
    assert "| pairs | cosine, median |" in page
    assert "| box jitter 20 % | 0.950 (0.940 to 0.960) |" in page
    assert f"| {BACKGROUND} | 0.400 (0.390 to 0.410) |" in page
    assert "Stability" not in report_page(report_of(score(0.9, 0.8)), "Sample")
