"""A saved report reads back as it was, and a damaged one is named."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.evaluation.reporting.report_file import (
    ReportFileError,
    read_report,
    report_from_json,
)
from retrieval.evaluation.retrieval.protocol import RetrievalOptions, evaluate_retrieval
from retrieval.evaluation.retrieval.report import RetrievalReport, Score
from retrieval.evaluation.stats.intervals import Estimate
from tests.retrieval.evaluation.toy_archive import SPEC, brightness, toy_archive

NUMBERS = st.floats(-10, 10)
ESTIMATES = st.builds(
    Estimate,
    NUMBERS | st.just(float("nan")),
    st.none() | NUMBERS,
    st.none() | NUMBERS,
    st.integers(0),
)
SCORES = st.builds(
    Score,
    st.text(),
    st.text(),
    st.sampled_from([True, False, None]),
    st.dictionaries(st.text(), ESTIMATES, max_size=3),
)
REPORTS = st.builds(
    RetrievalReport,
    st.text(),
    st.none() | st.text(),
    st.text(),
    st.integers(0),
    st.integers(0),
    st.integers(0),
    st.lists(SCORES, max_size=3).map(tuple),
    st.dictionaries(st.text(), st.integers(), max_size=2),
)


@given(REPORTS)
def test_a_report_reads_back_as_it_was(report):
    document = json.loads(json.dumps(report.to_json(), allow_nan=False))
    again = report_from_json(document)
    assert again.to_json() == document


def test_an_evaluation_survives_its_file(tmp_path):
    options = RetrievalOptions(resamples=20, stability_lesions=4)
    report = evaluate_retrieval(toy_archive(6), brightness, SPEC, options)
    path = tmp_path / "report.json"
    path.write_text(json.dumps(report.to_json()))
    assert read_report(path).text() == report.text()


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("{", "is not JSON"),
        ("{}", "'archive' is missing"),
        ("[]", "wrong form"),
        (
            '{"archive": "a", "encoder": null, "split": "all", "lesions": "many"}',
            "wrong form",
        ),
    ],
)
def test_what_is_no_report_is_refused(content, match, tmp_path):
    path = tmp_path / "report.json"
    path.write_text(content)
    with pytest.raises(ReportFileError, match=match):
        read_report(path)


def test_a_wrong_direction_is_refused():
    score = Score("s", "n", True, {"E": Estimate(1.0, None, None, 3)})
    document = RetrievalReport("a", "E", "all", 1, 1, 1, (score,)).to_json()
    document["scores"][0]["higher_is_better"] = "yes"
    with pytest.raises(ReportFileError, match="higher_is_better is 'yes'"):
        report_from_json(document)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ReportFileError, match=r"absent\.json cannot be read"):
        read_report(tmp_path / "absent.json")
