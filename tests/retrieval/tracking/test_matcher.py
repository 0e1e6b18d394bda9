"""Terms, their weights, the weights file and the fit."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from retrieval.embedding.external.opening import open_encoder
from retrieval.lesion import Box, Lesion, LesionType
from retrieval.tracking.edges import NOMINAL_BODY_MM, PairTerms, TrackNode
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.fitting.fit import LabelledPatient, fit_matcher
from retrieval.tracking.fitting.simulated_patients import SimulationSettings, simulate_patients
from retrieval.tracking.fitting.views import PatientView, seen_as
from retrieval.tracking.matcher import (
    TERM_NAMES,
    LocationSource,
    MatcherModel,
    bundled_matcher,
    load_matcher,
)
from retrieval.tracking.terms.lesion_size import LesionSize
from retrieval.tracking.tracks import match_scores


def node(name: str, vector: tuple[float, ...], **fields: Any) -> TrackNode:
    size = fields.pop("size", None)
    lesion = Lesion(name, "P1", name, "1", 1, Box(0, 0, 10, 10), **fields)
    return TrackNode(lesion, np.array(vector, np.float32), size)


def explained(a: TrackNode, b: TrackNode) -> tuple[Any, float]:
    terms = PairTerms.of([a, b])
    contributions = terms.contributions(bundled_matcher())
    return terms.explain(0, 1, contributions), float(contributions[0, 1].sum())


def test_terms_of_a_pair_are_what_a_reader_would_compute() -> None:
    a = node(
        "a",
        (3, 4),
        long_mm=10.0,
        short_mm=10.0,
        location=(0.1, 0.2, 0.3),
        lesion_type=LesionType.LUNG,
    )
    b = node(
        "b",
        (4, 3),
        long_mm=40.0,
        short_mm=10.0,
        location=(0.2, 0.2, 0.2),
        lesion_type=LesionType.LIVER,
    )
    terms, log_odds = explained(a, b)
    assert terms.similarity == pytest.approx(24 / 25)
    assert terms.in_plane_mm == pytest.approx(0.1 * NOMINAL_BODY_MM[0])
    assert terms.height_mm == pytest.approx(0.1 * NOMINAL_BODY_MM[2])
    assert terms.log_size_ratio == pytest.approx(math.log(2.0))
    assert terms.same_type is False
    assert terms.location_source is LocationSource.GIVEN
    assert sum(terms.contributions.values()) == pytest.approx(log_odds)
    assert json.loads(json.dumps(terms.to_json()))["same_type"] is False


def test_unknown_terms_are_none_and_add_nothing() -> None:
    terms, _ = explained(node("a", (1, 0)), node("b", (0, 1), long_mm=5.0))
    assert (terms.in_plane_mm, terms.height_mm, terms.log_size_ratio, terms.same_type) == (
        None,
    ) * 4
    assert terms.location_source is LocationSource.ABSENT
    assert [terms.contributions[name] for name in TERM_NAMES[1:]] == [0.0] * 3


def test_an_estimated_location_is_weighed_by_its_error() -> None:
    known = node("a", (1, 0), location=(0.5, 0.5, 0.5))
    far = (0.58, 0.58, 0.55)

    def weight(location: tuple[float, float, float], error: float | None) -> float:
        errors = None if error is None else (error, error, error)
        terms, _ = explained(known, node("b", (1, 0), location=location, location_error=errors))
        source = LocationSource.GIVEN if error is None else LocationSource.ESTIMATED
        assert terms.location_source is source
        return terms.contributions["location"]

    near = [weight((0.5, 0.5, 0.5), error) for error in (None, 0.02, 0.1, 1.0)]
    assert near == sorted(near, reverse=True), "the coarser, the less it says for a match"
    apart = [weight(far, error) for error in (None, 0.02, 0.1)]
    assert apart == sorted(apart), "the coarser, the less it says against one"
    assert apart[0] < 0
    assert abs(weight(far, 5.0)) < 0.2, "an estimate that knows nothing says nothing"


def test_a_box_stands_in_for_diameters_with_its_error() -> None:
    measured = node("a", (1, 0), long_mm=20.0, short_mm=20.0)
    by_box = node("b", (1, 0), size=LesionSize(math.log(20.0), 0.3))
    sure, _ = explained(measured, node("b", (1, 0), long_mm=20.0, short_mm=20.0))
    coarse, _ = explained(measured, by_box)
    assert 0 < coarse.contributions["size"] < sure.contributions["size"]
    assert coarse.log_size_ratio == pytest.approx(0.0)
    kept = TrackNode(measured.lesion, measured.vector, LesionSize(math.log(99.0), 0.1))
    assert kept.known_size == LesionSize(math.log(20.0)), "diameters count before a box"


def test_a_weights_file_is_read_as_written(tmp_path: Path) -> None:
    model = replace(bundled_matcher(), encoder="abc")
    path = tmp_path / "matcher.json"
    path.write_text(json.dumps(model.to_json()))
    assert MatcherModel.load(path) == model


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 9}, "format 9"),
        ({"abstain": [0.8, 0.9]}, "abstention band"),
        ({"threshold": None}, r"^matcher\.json: matcher weights: threshold is None"),
        ({"intercept": math.nan}, "intercept is nan"),
        ({"weights": None}, "a field cannot be read"),
        ({"weights": {}}, "the field 'similarity' is missing"),
        ({"weights": {"colour": 1.0}}, "unknown terms"),
        ({"scatter": {}}, "scatter lacks"),
        ({"threshold": 0.0, "abstain": [0.0, 0.5]}, "above 0"),
    ],
)
def test_a_wrong_weights_file_is_named(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    path = tmp_path / "matcher.json"
    path.write_text(json.dumps({**bundled_matcher().to_json(), **change}))
    with pytest.raises(TrackingError, match=message):
        MatcherModel.load(path)
    path.write_text("no JSON")
    with pytest.raises(TrackingError, match="cannot be read"):
        MatcherModel.load(path)


def test_weights_must_be_finite_complete_and_not_negative() -> None:
    with pytest.raises(TrackingError, match="finite"):
        MatcherModel(math.nan, (0.0,) * 4)
    with pytest.raises(TrackingError, match="need 4"):
        MatcherModel(0.0, (0.0,) * 3)
    with pytest.raises(TrackingError, match="cannot count against"):
        MatcherModel(0.0, (1.0, -0.1, 0.0, 0.0))


@pytest.fixture(scope="module")
def fitted() -> MatcherModel:
    return fit_matcher(simulate_patients(60, np.random.default_rng(4)), encoder="e", fitted_on="x")


def test_likelihood_ratios_count_as_measured_and_the_cosine_as_fitted(
    fitted: MatcherModel,
) -> None:
    assert fitted.weights[0] > 0
    assert fitted.weights[1:] == (1.0, 1.0, 1.0)
    assert (fitted.encoder, fitted.fitted_on) == ("e", "x")


def test_scores_of_unseen_patients_are_probabilities() -> None:
    """Lesions that hardly look like themselves, so that many pairs are in doubt."""
    vague = SimulationSettings(noise=3.0, own_part=0.5)

    def seen(count: int, seed: int) -> list[LabelledPatient]:
        generator = np.random.default_rng(seed)
        patients = simulate_patients(count, generator, vague)
        return [seen_as(one, PatientView.ESTIMATED, generator) for one in patients]

    fitted = fit_matcher(seen(60, 4))
    scores, truths = [], []
    for one in seen(80, 5):
        for (a, b), score in match_scores(one.nodes, model=fitted).items():
            scores.append(score)
            truths.append(one.track_of[a] == one.track_of[b])
    score, true = np.array(scores), np.array(truths)
    for low, high in ((0.0, 0.2), (0.2, 0.8), (0.8, 1.01)):
        inside = (score >= low) & (score < high)
        assert inside.sum() > 20
        assert score[inside].mean() == pytest.approx(true[inside].mean(), abs=0.15)


def test_a_baseline_uses_its_terms_alone() -> None:
    patients = simulate_patients(20, np.random.default_rng(6))
    model = fit_matcher(patients, terms=("size",))
    assert [name for name, w in zip(TERM_NAMES, model.weights, strict=True) if w] == ["size"]
    with pytest.raises(TrackingError, match="colour"):
        fit_matcher(patients, terms=("colour",))


def test_one_kind_of_pairs_cannot_be_fitted() -> None:
    settings = SimulationSettings(studies=(2, 2), lesions=(1, 1), new_share=0.0)
    alone = simulate_patients(3, np.random.default_rng(7), settings)
    with pytest.raises(TrackingError, match="both kinds"):
        fit_matcher(alone)
    with pytest.raises(TrackingError, match="both kinds"):
        fit_matcher([LabelledPatient([], {})])


def test_a_matcher_warns_of_vectors_of_another_encoder() -> None:
    unbound = bundled_matcher()
    bound = replace(unbound, encoder="0123abcd")
    assert bound.warning_for("0123abcd") is None
    warning = bound.warning_for("ffff0000")
    assert warning is not None
    assert "0123abcd" in warning
    assert "ffff0000" in warning
    assert "no encoder" in str(replace(unbound, encoder=None).warning_for("ffff0000"))


def test_the_bundled_matcher_says_that_it_was_not_calibrated_for_steady() -> None:
    warning = bundled_matcher().warning_for(open_encoder("steady").fingerprint)
    assert warning is not None
    assert "not calibrated" in warning
    assert "fit-matcher" in warning


def test_no_path_means_the_bundled_matcher(tmp_path: Path) -> None:
    assert load_matcher(None) == bundled_matcher()
    with pytest.raises(TrackingError, match="cannot be read"):
        load_matcher(tmp_path / "none.json")
