"""The whole protocol on a toy archive whose answers are known, and on official rows."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from retrieval.evaluation.errors import EvaluationError
from retrieval.evaluation.retrieval.baselines import MethodVectors, RawPixels
from retrieval.evaluation.retrieval.pixels import has_images
from retrieval.evaluation.retrieval.protocol import (
    CLASSIFIED,
    CLUSTERS,
    OWN_STUDY_LEFT_OUT,
    SAME_LESION,
    SAME_PATIENT,
    SIMILAR,
    RetrievalOptions,
    evaluate_retrieval,
)
from retrieval.evaluation.retrieval.ranking import (
    RankingTask,
    match_measure,
    nearest_rows,
    other_study_task,
    same_lesion_task,
    same_patient_task,
    scores_per_query,
)
from retrieval.evaluation.retrieval.relations import same_type_elsewhere
from retrieval.evaluation.retrieval.report import RetrievalReport
from retrieval.evaluation.retrieval.splits import SplitProtocol
from retrieval.lesion import LesionType, Split
from retrieval.patch import PatchSpec
from retrieval.sources.errors import ArchiveError
from retrieval.sources.lesion_table import LesionTable
from retrieval.training.paper_split import paper_part
from tests.retrieval.evaluation.toy_archive import (
    SPEC,
    ToyArchive,
    brightness,
    toy_archive,
    toy_lesion,
)

QUICK = RetrievalOptions(resamples=50, stability_lesions=6, pixel_baselines=(RawPixels(SPEC),))


def naive_type_scores(table: LesionTable, vectors) -> dict[str, list[float]]:
    """Precision@5, mAP and location error by plain loops over lesions."""
    scores: dict[str, list[float]] = {"precision@5": [], "mAP": [], "location": []}
    for query in range(len(table)):
        others = [g for g in range(len(table)) if table.patients[g] != table.patients[query]]
        distance = {g: float(((vectors[query] - vectors[g]) ** 2).sum()) for g in others}
        order = sorted(others, key=distance.__getitem__)
        hits = [table.types[g] == table.types[query] for g in order]
        scores["precision@5"].append(sum(hits[:5]) / 5)
        precisions = [sum(hits[: i + 1]) / (i + 1) for i, hit in enumerate(hits) if hit]
        scores["mAP"].append(sum(precisions) / len(precisions))
        errors = [math.dist(table.locations[query], table.locations[g]) for g in order[:5]]
        scores["location"].append(sum(errors) / 5)
    return scores


def test_scores_equal_naive_loops():
    archive = toy_archive(9)
    vectors = np.random.default_rng(5).standard_normal((27, 4)).astype(np.float32)
    position = {lesion.lesion_id: row for row, lesion in enumerate(archive.lesions)}

    def embed(patches):
        # Patches arrive in the archive's order, in chunks; the reading log says which lesions.
        read = archive.readings[-len(patches) :]
        return vectors[[position[lesion_id] for lesion_id in read]]

    options = RetrievalOptions(resamples=20, stability_lesions=0)
    report = evaluate_retrieval(archive, embed, SPEC, options)
    naive = naive_type_scores(LesionTable.of(archive), vectors)
    for name, wanted in (
        ("precision@5", naive["precision@5"]),
        ("mAP", naive["mAP"]),
        ("location error of 5 nearest", naive["location"]),
    ):
        found = report.score(SIMILAR, name).estimates["encoder"]
        assert found.value == pytest.approx(np.mean(wanted), abs=1e-5)
        assert found.low <= found.value <= found.high


def test_an_encoder_that_knows_types_stands_above_its_baselines():
    report = evaluate_retrieval(toy_archive(), brightness, SPEC, QUICK)
    precision = report.score(SIMILAR, "precision@1").estimates
    assert list(precision) == [
        "random",
        "height z only",
        "location only",
        "size only",
        "location and size",
        "raw pixels",
        "encoder",
    ]
    assert precision["encoder"].value == pytest.approx(1)
    assert precision["encoder"].queries == 36
    assert precision["random"].value < 0.6
    assert report.score(CLUSTERS, "purity").estimates["encoder"].value == pytest.approx(1)
    assert report.score(CLUSTERS, "NMI").estimates["encoder"].value == pytest.approx(1)
    assert report.score(SAME_PATIENT, "MRR").estimates["encoder"].queries == 36
    assert report.score(SAME_LESION, "recall@1").estimates["encoder"].queries == 24


def test_a_method_that_knows_the_scan_alone_scores_nothing_without_the_own_study():
    """Two lesions a study, two studies a patient; the vector says which study, and nothing else."""
    lesions = [
        toy_lesion(number, patient=number // 4, study=number // 2, kind=LesionType.LIVER)
        for number in range(16)
    ]
    table = LesionTable.of(ToyArchive(lesions))
    studies = np.eye(8)[table.studies]
    scan = MethodVectors("scan", (studies,))
    own = scores_per_query(table, scan, same_patient_task(table), match_measure)
    other = scores_per_query(table, scan, other_study_task(table), match_measure)
    assert own["recall@1"].tolist() == [1] * 16
    assert other["MRR"].mean() < 0.6
    patients = np.eye(4)[table.patients]
    person = MethodVectors("person", (patients,))
    known = scores_per_query(table, person, other_study_task(table), match_measure)
    assert known["recall@1"].tolist() == [1] * 16


def test_the_same_patient_is_never_a_similar_lesion():
    # Each lesion's only near neighbours are its own patient's; type accuracy must not see them.
    lesions = [
        toy_lesion(2 * p + i, patient=p, kind=kind, location=(p / 10, 0.5, 0.5))
        for p, kind in enumerate([LesionType.LIVER, LesionType.LUNG] * 4)
        for i in (0, 1)
    ]
    report = evaluate_retrieval(ToyArchive(lesions), None, SPEC, QUICK_TABLE)
    precision = report.score(SIMILAR, "precision@1").estimates
    assert precision["location only"].value == pytest.approx(0)
    assert report.score(SAME_PATIENT, "recall@1").estimates["location only"].value == 1
    table = LesionTable.of(ToyArchive(lesions))
    task = RankingTask(table.typed_rows, table.typed_rows, same_type_elsewhere)
    rows = nearest_rows(table, table.locations, task, 16)
    own = table.patients[rows] == table.patients[:, None]
    assert not (own & (rows >= 0)).any()
    assert (rows >= 0).sum(axis=1).tolist() == [14] * 16


QUICK_TABLE = RetrievalOptions(resamples=20)


def test_same_lesion_asks_other_studies_and_ignores_its_twins_here():
    kind = LesionType.LIVER
    lesions = [
        toy_lesion(0, patient=1, study=1, kind=kind, location=(0.5, 0.5, 0.5)),
        toy_lesion(1, patient=1, study=1, kind=kind, location=(0.5, 0.5, 0.5)),
        toy_lesion(2, patient=1, study=2, kind=kind, location=(0.5, 0.5, 0.6)),
        toy_lesion(3, patient=2, study=1, kind=kind, location=(0.5, 0.5, 0.52)),
        toy_lesion(4, patient=1, study=2, kind=kind, location=(0.9, 0.9, 0.9)),
    ]
    table = LesionTable.of(ToyArchive(lesions, {"0": "a", "1": "a", "2": "a", "4": "b"}))
    task = same_lesion_task(table)
    assert task.queries.tolist() == [0, 1, 2]
    relevant, excluded = task.relation(table, task.queries, task.gallery)
    assert relevant.tolist()[0] == [False, False, True, False, False]
    assert excluded.tolist()[0] == [True, True, False, False, False]
    baselines = LesionTable.of(ToyArchive(lesions)).locations
    from retrieval.evaluation.retrieval.baselines import MethodVectors

    found = scores_per_query(table, MethodVectors("z", (baselines,)), task, match_measure)
    # The other patient's lesion lies nearer than the true partner for rows 0, 1 and 2.
    np.testing.assert_allclose(found["MRR"], [0.5, 0.5, 0.5])


def test_patients_with_one_lesion_do_not_ask_but_can_be_found():
    kind = LesionType.LUNG
    lesions = [toy_lesion(i, patient=p, kind=kind) for i, p in enumerate([1, 1, 2])]
    task = same_patient_task(LesionTable.of(ToyArchive(lesions)))
    assert task.queries.tolist() == [0, 1]
    assert task.gallery.tolist() == [0, 1, 2]


def test_a_bare_table_gives_the_baselines_without_pixels():
    archive = toy_archive(with_images=False)
    assert not has_images(archive)
    assert has_images(toy_archive())
    report = evaluate_retrieval(archive, None, PatchSpec(), QUICK_TABLE)
    assert report.encoder is None
    assert "raw pixels" not in report.methods
    assert not any(score.section.startswith("stability") for score in report.scores)
    with pytest.raises(ArchiveError):
        evaluate_retrieval(archive, brightness, SPEC, QUICK_TABLE)


def test_an_archive_without_types_keeps_the_patient_scores():
    archive = toy_archive()
    archive.lesions = [
        lesion.with_changes(lesion_type=LesionType.UNKNOWN, location=None)
        for lesion in archive.lesions
    ]
    report = evaluate_retrieval(archive, None, SPEC, QUICK_TABLE)
    assert {score.section for score in report.scores} == {
        SAME_PATIENT,
        SAME_PATIENT + OWN_STUDY_LEFT_OUT,
        SAME_LESION,
        SAME_LESION + OWN_STUDY_LEFT_OUT,
    }
    assert report.methods == ["random", "size only"]


def test_the_paper_split_classifies_from_its_seeds():
    options = RetrievalOptions(split=SplitProtocol.PAPER, resamples=20, stability_lesions=0)
    archive = toy_archive(24)
    report = evaluate_retrieval(archive, brightness, SPEC, options)
    for name in ("k nearest seeds", "linear"):
        found = report.score(CLASSIFIED, name).estimates
        assert found["encoder"].value == pytest.approx(1)
        assert found["random"].value < 0.6
    asked = [x for x in archive.lesions if paper_part(x.patient_id, seed=0) is Split.TEST]
    assert report.score(SIMILAR, "mAP").estimates["encoder"].queries == len(asked) > 0


def test_the_same_seed_gives_the_same_report_and_json_is_plain():
    first, second = (evaluate_retrieval(toy_archive(), brightness, SPEC, QUICK) for _ in range(2))
    assert first.scores == second.scores
    document = json.loads(json.dumps(first.to_json(), allow_nan=False))
    assert document["archive"] == "toy"
    methods = document["scores"][0]["methods"]
    assert set(methods["encoder"]) == {"value", "low", "high", "queries"}
    assert len(first.text().tables) == len({s.section for s in first.scores})


def test_an_unknown_score_names_what_there_is():
    report = RetrievalReport("a", None, "all", 0, 0, 0, ())
    with pytest.raises(KeyError, match="no score 'x'"):
        report.score("y", "x")


def test_an_empty_archive_is_a_users_mistake():
    with pytest.raises(EvaluationError, match="0 lesions"):
        evaluate_retrieval(ToyArchive([]), None, SPEC)


def test_an_archive_without_lesions_is_refused():
    with pytest.raises(EvaluationError, match="0 lesions"):
        evaluate_retrieval(ToyArchive([]), None, SPEC)
