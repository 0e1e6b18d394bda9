"""Nodule scores on a toy archive with planted ratings, against naive loops."""

from __future__ import annotations

import math

import numpy as np
import pytest

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.retrieval.baselines import RawPixels
from retrieval.evaluation.retrieval.nodules import (
    NEXT_SLICE,
    RATED,
    evaluate_nodules,
    neighbour_ratings,
)
from retrieval.evaluation.retrieval.protocol import RetrievalOptions
from retrieval.evaluation.retrieval.rated_nodules import rated_nodules
from retrieval.lesion import LesionType, Split
from retrieval.sources.lesion_table import LesionTable
from tests.retrieval.evaluation.toy_archive import SPEC, ToyArchive, circle, toy_lesion

OPTIONS = RetrievalOptions(resamples=30, pixel_baselines=(RawPixels(SPEC),))


def nodule_archive(patients: int = 20, *, next_slices: bool = True) -> ToyArchive:
    """Two nodules a patient of ratings 1 to 5, each again on its next slice."""
    lesions, tracks, attributes = [], {}, {}
    for patient in range(patients):
        for nodule in range(2):
            rating = 1.0 + (patient + 2 * nodule) % 5
            for following in (0.0, 1.0) if next_slices else (0.0,):
                number = str(len(lesions))
                split = Split.TEST if patient % 4 == 0 else Split.TRAIN
                lesions.append(
                    toy_lesion(int(number), patient=patient, kind=LesionType.LUNG, split=split)
                )
                tracks[number] = f"nodule-{patient}-{nodule}"
                attributes[number] = {
                    "malignancy": rating,
                    "texture": 6 - rating,
                    "spiculation": 1.0,
                    "diameter_mm": 5.0 + float(number) % 7,
                    "next_slice": following,
                }
    return ToyArchive(lesions, tracks, attributes)


def oracle(archive: ToyArchive):
    """An encoder that reads the malignancy of the lesions just cut, and a little of their track."""

    def embed(patches):
        read = archive.readings[-len(patches) :]
        malignancy = np.array([archive.attributes[i]["malignancy"] for i in read])
        row = np.array([int(i) // 2 for i in read])
        return circle(malignancy / 4 + row / 1000)

    return embed


def test_an_oracle_reaches_the_top_of_every_score():
    archive = nodule_archive()
    report = evaluate_nodules(archive, oracle(archive), SPEC, OPTIONS)
    assert (report.lesions, report.patients) == (40, 20)
    assert report.settings["nodules_with_next_slice"] == 40
    for name in ("recall@1", "MRR"):
        assert report.score(NEXT_SLICE, name).estimates["encoder"].value == pytest.approx(1)
    area = report.score(RATED, "malignancy AUC, 1-2 against 4-5").estimates
    assert area["encoder"].value == pytest.approx(1)
    assert area["encoder"].queries == 32
    assert "diameter itself" in area
    assert "diameter, k nearest" in area
    texture = report.score(RATED, "texture mean absolute error").estimates
    assert texture["encoder"].value < texture["random"].value
    flat = report.score(RATED, "spiculation mean absolute error").estimates
    assert flat["encoder"].value == pytest.approx(0)


def test_a_constant_encoder_reaches_the_bottom():
    report = evaluate_nodules(
        nodule_archive(), lambda patches: np.ones((len(patches), 2), np.float32), SPEC, OPTIONS
    )
    assert report.score(NEXT_SLICE, "recall@1").estimates["encoder"].value == 0


def test_neighbour_ratings_equal_a_naive_loop():
    archive = nodule_archive(8, next_slices=False)
    table = LesionTable.of(archive)
    rng = np.random.default_rng(0)
    vectors = rng.standard_normal((len(table), 3))
    ratings = rng.integers(1, 6, len(table)).astype(float)
    ratings[[1, 4]] = np.nan
    naive = []
    for query in range(len(table)):
        order = sorted(
            (
                (math.dist(vectors[query], vectors[g]), ratings[g])
                for g in range(len(table))
                if table.patients[g] != table.patients[query] and not math.isnan(ratings[g])
            ),
        )[:4]
        naive.append(sum(rating for _, rating in order) / 4)
    np.testing.assert_allclose(neighbour_ratings(table, vectors, ratings, k=4), naive)


def test_splits_keep_patients_apart_and_next_slices_with_their_nodule():
    archive = nodule_archive()
    nodules = rated_nodules(archive, [Split.TEST])
    assert {lesion.split for lesion in nodules.table.lesions} == {Split.TEST}
    assert len(nodules.table) == len(nodules.next_slices) == 10
    for lesion, row in zip(nodules.next_slices, nodules.next_slice_of, strict=True):
        assert int(lesion.lesion_id) == int(nodules.table.lesions[row].lesion_id) + 1
    report = evaluate_nodules(archive, None, SPEC, OPTIONS, splits=(Split.TEST,))
    assert report.split == "test"


def test_without_next_slices_the_ratings_remain():
    archive = nodule_archive(next_slices=False)
    report = evaluate_nodules(archive, oracle(archive), SPEC, OPTIONS)
    assert {score.section for score in report.scores} == {RATED}


def test_an_archive_without_ratings_is_refused():
    archive = nodule_archive()
    archive.attributes = {}
    with pytest.raises(EvaluationError, match="malignancy"):
        evaluate_nodules(archive, None, SPEC, OPTIONS)
    with pytest.raises(EvaluationError, match="'val'"):
        evaluate_nodules(nodule_archive(), None, SPEC, OPTIONS, splits=(Split.VALIDATION,))
