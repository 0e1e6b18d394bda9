"""Links held against known tracks."""

from __future__ import annotations

import numpy as np
import pytest

from index.catalog.reader import EncoderBinding, LesionRecord
from index.lesion_index import LesionIndex
from retrieval.lesion import Box, ImageSource, Lesion
from service.figures.mistakes.links import MistakeKind, check_links, example_patient, known_tracks


def record(name: str, study: int, turn: float, patient: str = "p") -> LesionRecord:
    """A lesion whose look and place follow from ``turn``."""
    lesion = Lesion(
        lesion_id=name,
        patient_id=patient,
        study_id=f"{patient}_{study:02d}",
        series_id="s",
        key_slice_index=study,
        box=Box(10 + 40 * turn, 10, 30 + 40 * turn, 30),
        long_mm=20.0,
        location=(0.3 + 0.2 * turn, 0.5, 0.5),
    )
    vector = np.array([np.cos(turn), np.sin(turn)], np.float32)
    return LesionRecord(lesion, vector, ImageSource("nowhere", "none.png", (1.0, 1.0), 2.0))


@pytest.fixture
def index(tmp_path):
    with LesionIndex.create(tmp_path / "index", EncoderBinding("f", "toy", 2, {})) as made:
        made.add(
            [record(f"a{n}", n, 0.0) for n in (1, 2, 3)]
            + [record(f"b{n}", n, 1.5) for n in (1, 3)]
            + [record("q1", 1, 0.0, "q")]
        )
        yield made


def test_right_links_have_no_mistake(index):
    truth = {"a1": "A", "a2": "A", "a3": "A", "b1": "B", "b3": "B", "q1": "Q"}
    check = check_links(index, truth)
    assert (check.patients, check.true_links, check.found_links, check.mistakes) == (1, 3, 3, ())
    assert str(check) == "1 patients: 3 of 3 links found, 0 wrong, 0 missed"


def test_swapped_truth_makes_wrong_and_missed_links(index):
    truth = {"a1": "A", "a2": "B", "a3": "A", "b1": "B", "b3": "B"}
    check = check_links(index, truth)
    found = [(m.kind, m.earlier.lesion_id, m.later.lesion_id) for m in check.mistakes]
    wrong = MistakeKind.WRONG
    assert sorted(found[:2]) == [(wrong, "a1", "a2"), (wrong, "a2", "a3")]
    assert {link[1:] for link in found[2:]} == {("b1", "a2"), ("a2", "b3")}
    assert all(m.score > 0.9 for m in check.mistakes[:2])
    assert all(m.score < 0.1 for m in check.mistakes[2:])
    assert (check.true_links, check.found_links) == (3, 1)


def test_without_locations_the_scores_are_other_ones(index):
    truth = {"a1": "A", "a2": "B", "a3": "A", "b1": "B", "b3": "B"}
    placed, placeless = (check_links(index, truth, with_location=w) for w in (True, False))
    assert {m.score for m in placed.mistakes} != {m.score for m in placeless.mistakes}


def test_the_example_has_most_lesions_over_most_studies(index):
    assert example_patient(index) == "p"


def test_archives_without_tracks_are_said(archive, index, tmp_path):
    source = ImageSource(str(archive.root), "x.png", (1.0, 1.0), 2.0)
    with LesionIndex.create(tmp_path / "one", EncoderBinding("f", "toy", 2, {})) as one:
        made = record("a", 1, 0.0)
        one.add([LesionRecord(made.lesion, made.vector, source)])
        assert known_tracks(one) == dict(archive.track_ids)
    with LesionIndex.create(tmp_path / "none", EncoderBinding("f", "toy", 2, {})) as none:
        assert known_tracks(none) == {}
