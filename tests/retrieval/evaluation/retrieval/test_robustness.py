"""Lesions on worse scans: steps as they say, scores by hand."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.retrieval.degraded_views import worse_scans
from retrieval.evaluation.retrieval.pixels import EncoderMethod
from retrieval.evaluation.retrieval.robustness import (
    RobustnessOptions,
    evaluate_robustness,
    first_rank,
)
from retrieval.image import Slab
from retrieval.lesion import Box, Split
from retrieval.patch import PatchSpec, extract_patch
from tests.retrieval.evaluation.toy_archive import SPEC, contrast, toy_archive


def scan(prefix: str):
    return next(one for one in worse_scans(0) if one.name.startswith(prefix))


@pytest.fixture
def slab() -> Slab:
    rng = np.random.default_rng(2)
    hu = rng.normal(40, 5, (9, 200, 220)).astype(np.float32)
    return Slab(hu, (0.8, 0.8), 2.0, key_slice=4)


def test_first_rank_by_hand() -> None:
    gallery = np.eye(3, dtype=np.float32)
    queries = np.array([[0.9, 0.1, 0], [0.9, 0.1, 0], [0.5, 0, 0.5]], np.float32)
    # The second is nearer to another lesion; the third's tie counts against it.
    assert first_rank(queries, gallery, np.array([0, 1, 2])).tolist() == [1.0, 0.0, 0.0]


@pytest.mark.parametrize("sigma", [25, 50, 100])
def test_noise_is_as_strong_as_its_name_says(slab: Slab, sigma: int) -> None:
    seen, _ = scan(f"white noise, {sigma} HU")(slab, Box(100, 90, 120, 110))
    assert seen.hu[4].std() == pytest.approx(np.hypot(sigma, 5), rel=0.03)
    assert seen.hu.mean() == pytest.approx(40, abs=1)


def test_every_step_leaves_the_lesion_where_it_is(slab: Slab) -> None:
    slab.hu[:, 80:121, 95:126] += 400
    spec, box = PatchSpec(size_px=48, slices=3), Box(95, 80, 125, 120)
    plain = extract_patch(slab, box, spec).hu[1]
    names = [one.name for one in worse_scans(0)]
    assert len(set(names)) == len(names)
    for view in worse_scans(0):
        seen, moved = view(slab, box)
        worse = extract_patch(seen, moved, spec).hu[1]
        assert np.corrcoef(plain.ravel(), worse.ravel())[0, 1] > 0.6, view.name
        assert np.abs(worse - plain).max() > 0.5, view.name


def test_a_blind_encoder_finds_nothing_and_a_seeing_one_is_beside_it() -> None:
    archive = toy_archive(6)
    methods = [
        EncoderMethod("blind", lambda patches: np.ones((len(patches), 4), np.float32), SPEC),
        EncoderMethod("patient", contrast, SPEC),
    ]
    options = RobustnessOptions(queries=5, resamples=20)
    report = evaluate_robustness(archive, methods, "patient", options)
    assert report.settings["queries"] == 5
    for section in ("as it is", "blur, 4 mm full width", "metal streaks, 200 HU"):
        recall = report.score(section, "recall@1").estimates
        assert recall["blind"].value == 0
        assert recall["patient"].queries == 5
    assert report.score("as it is", "mean cosine to itself").estimates[
        "patient"
    ].value == pytest.approx(1)
    again = evaluate_robustness(archive, methods, "patient", options)
    assert again.to_json() == report.to_json()


def test_a_split_without_lesions_is_refused() -> None:
    archive = toy_archive(3)
    methods = [EncoderMethod("patient", contrast, SPEC)]
    absent = next(s for s in Split if all(x.split is not s for x in archive.lesions))
    with pytest.raises(EvaluationError, match="are in the splits"):
        evaluate_robustness(archive, methods, "patient", RobustnessOptions(splits=(absent,)))
