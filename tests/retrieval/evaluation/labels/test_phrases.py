"""Scores of phrases against a count by hand, and the bar on the labelled phrases."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from retrieval.evaluation.labels.phrases import (
    LabelledPhrase,
    PhraseFileError,
    load_phrases,
    score_phrases,
    simple_readings,
)
from retrieval.labels.text.reading import text_reader
from retrieval.labels.vocabulary.bundled import vocabulary


def test_scores_are_those_of_a_count_by_hand():
    phrases = [
        LabelledPhrase("a", frozenset("xy")),
        LabelledPhrase("b", frozenset("x")),
        LabelledPhrase("c", frozenset("z")),
    ]
    scores = score_phrases(
        phrases, [{"x", "q"}, {"x"}, {"y"}], "xyz", np.random.default_rng(0), resamples=50
    )
    # Right: x, x; invented: y (q does not count); missed: y, z.
    assert scores.precision.value == pytest.approx(2 / 3)
    assert scores.recall.value == pytest.approx(2 / 4)
    assert scores.f1.value == pytest.approx(4 / 7)
    assert scores.exact.value == pytest.approx(1 / 3)
    assert (scores.missed, scores.invented) == ({"y": 1, "z": 1}, {"y": 1})
    assert scores.f1.low <= scores.f1.value <= scores.f1.high


def test_a_file_without_phrases_is_refused(tmp_path):
    for content in ("{}", "[1]", '[{"text": "a"}]', "no json"):
        (tmp_path / "file.json").write_text(content)
        if content == "{}":
            assert load_phrases(tmp_path / "file.json") == []
            continue
        with pytest.raises(PhraseFileError, match="expanded_terms"):
            load_phrases(tmp_path / "file.json")


def test_simpler_readers_find_less():
    found = simple_readings(vocabulary(), "left renal cyst")
    assert found["names"] == {"cyst"}
    assert {"left kidney", "kidney", "cyst"} <= found["names and synonyms"]
    assert "abdomen" in found["names, synonyms and what they imply"]


def test_the_labelled_phrases_are_read():
    data = os.environ.get("LESION_SEARCH_REAL_DATA")
    if not data:
        pytest.skip("LESION_SEARCH_REAL_DATA is not set")
    folder = Path(data) / "lesanet"
    phrases = load_phrases(folder / "hand_labeled_test_set.json")
    counted = json.loads((folder / "text_mined_labels_171_and_split.json").read_text())["term_list"]
    found = [text_reader().read(one.text).relevant for one in phrases]
    scores = score_phrases(phrases, found, counted, np.random.default_rng(0), resamples=20)
    assert scores.f1.value >= 0.98
    assert scores.exact.value >= 0.90
