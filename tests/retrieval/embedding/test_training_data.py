from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from retrieval.embedding.cache import PatchCache
from retrieval.embedding.recipe import load_recipe
from retrieval.embedding.training_data import (
    TrainingData,
    TrainingDataError,
    with_paper_seeds,
)
from retrieval.evaluation.retrieval.splits import SplitProtocol, split_rows
from retrieval.lesion import Split
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.lesion_table import LesionTable
from retrieval.training.paper_split import paper_part
from tests.retrieval.embedding.conftest import TinyRun

SEEDS = (0, 1, 12)


def table_of(archive: DeepLesionArchive) -> TrainingData:
    """The archive's table with every lesion readable, without cutting a patch."""
    count = len(archive.lesions)
    cache = PatchCache(np.zeros((count, 1, 1, 1), np.int16), np.zeros((count, 4), np.float32))
    return TrainingData(LesionTable.of(archive), (cache,), ("real",), (1.0,), np.array([True]))


@pytest.mark.parametrize("seed", SEEDS)
def test_real_seed_patients_are_trained_on_and_nobody_the_evaluation_asks_about(
    real_data: Path, seed: int
) -> None:
    archive = DeepLesionArchive.open(real_data / "DL_info_val_test_9816.csv")
    training = table_of(archive)
    assert len(training.rows(Split.TRAIN)) == 0
    table = with_paper_seeds(training.table, seed=seed)
    rows = replace(training, table=table).rows(Split.TRAIN)
    parts = split_rows(LesionTable.of(archive), SplitProtocol.PAPER, seed=seed)
    assert rows.tolist() == parts.gallery.tolist()
    trained = {archive.lesions[row].patient_id for row in rows}
    for part in (parts.validation, parts.queries):
        assert not trained & {archive.lesions[row].patient_id for row in part}
    patients = {lesion.patient_id for lesion in archive.lesions}
    assert len(trained) / len(patients) == pytest.approx(0.25, abs=0.03)
    assert (table.types[rows] > 0).all()
    assert len(np.unique(table.types[rows])) == 8


def test_untyped_train_lesions_stay_and_typed_test_patients_leave(
    phantom_archive: DeepLesionArchive,
) -> None:
    """A phantom archive types its train lesions too: those of asked patients must not train."""
    plain = table_of(phantom_archive).table
    patients = np.array([lesion.patient_id for lesion in phantom_archive.lesions])
    parts = {name: paper_part(name, seed=0) for name in np.unique(patients)}
    assert set(parts.values()) >= {Split.TRAIN, Split.TEST}
    typed = with_paper_seeds(plain, seed=0)
    assert [parts[name].code for name in patients] == typed.splits.tolist()
    first = patients == patients[0]
    untyped = replace(plain, types=np.where(first, -1, plain.types))
    kept = with_paper_seeds(untyped, seed=0)
    assert (kept.splits[first] == plain.splits[first]).all()


def test_the_recipe_decides_about_the_seeds(
    phantom_archive: DeepLesionArchive, phantom_training: TrainingData, tiny_run: TinyRun
) -> None:
    recipe = load_recipe("tiny", {"data.paper_seeds": "true", "seed": "3"})
    opened = TrainingData.open([phantom_archive], recipe, tiny_run.out / "cache")
    names = {phantom_archive.lesions[row].patient_id for row in opened.rows(Split.TRAIN)}
    everyone = {lesion.patient_id for lesion in phantom_archive.lesions}
    assert names == {name for name in everyone if paper_part(name, seed=3) is Split.TRAIN}
    released = [lesion.split.code for lesion in phantom_archive.lesions]
    assert phantom_training.table.splits.tolist() == released


def test_paper_parts_are_quarters_and_another_seed_divides_anew() -> None:
    names = [f"{number:06d}" for number in range(4000)]
    first, second = ([paper_part(name, seed=seed) for name in names] for seed in (0, 1))
    for part, share in ((Split.TRAIN, 0.25), (Split.VALIDATION, 0.25), (Split.TEST, 0.5)):
        assert first.count(part) / 4000 == pytest.approx(share, abs=0.03)
    agree = sum(a is b for a, b in zip(first, second, strict=True)) / 4000
    assert agree == pytest.approx(0.375, abs=0.04)


def test_rows_leave_out_the_unreadable_and_archives_of_no_weight(
    phantom_training: TrainingData,
) -> None:
    (cache,) = phantom_training.caches
    rows = phantom_training.rows(Split.TRAIN)
    boxes = np.array(cache.boxes)
    boxes[rows[:3]] = np.nan
    fewer = replace(phantom_training, caches=(PatchCache(cache.patches, boxes),))
    assert fewer.rows(Split.TRAIN).tolist() == rows[3:].tolist()
    assert len(replace(phantom_training, weights=(0.0,)).rows(Split.TRAIN)) == 0


def test_patches_are_gathered_across_archives_in_the_order_asked(
    phantom_archive: DeepLesionArchive, phantom_training: TrainingData
) -> None:
    table = LesionTable.joined([LesionTable.of(phantom_archive)] * 2)
    (cache,) = phantom_training.caches
    darker = PatchCache(cache.patches - 1, cache.boxes + 1)
    two = replace(phantom_training, table=table, caches=(cache, darker))
    count = len(phantom_archive.lesions)
    hu, boxes = two.gather(np.array([count + 2, 5, count, 1]))
    expected = [cache.patches[2] - 1, cache.patches[5], cache.patches[0] - 1, cache.patches[1]]
    assert torch.equal(hu, torch.from_numpy(np.stack(expected)))
    assert torch.equal(boxes[0], torch.from_numpy(cache.boxes[2] + 1))


def test_the_same_archive_twice_or_none_is_refused(
    phantom_archive: DeepLesionArchive, tmp_path: Path
) -> None:
    recipe = load_recipe("tiny")
    for archives in ([], [phantom_archive, phantom_archive]):
        with pytest.raises(TrainingDataError, match="name each one once"):
            TrainingData.open(archives, recipe, tmp_path)
