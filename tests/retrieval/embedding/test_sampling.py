from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pytest

from retrieval.embedding.sampling import MISSING, SLOTS, SamplingError, SequenceSampler
from retrieval.embedding.similarity import SimilarityThresholds, relations
from retrieval.lesion import LesionType, Split
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.lesion_table import LesionTable
from tests.retrieval.embedding.lesions import lesion

THRESHOLDS = SimilarityThresholds()


def random_table(count: int, seed: int = 0, archives: int = 1) -> LesionTable:
    """Patients of about four lesions and two tracks, each in one archive and one split."""
    rng = np.random.default_rng(seed)
    number = max(1, count // 4)
    patients = np.sort(rng.integers(0, number, count))
    splits = rng.choice([1, 2, 3], number, p=[0.7, 0.15, 0.15])
    lesions = [
        lesion(
            row,
            patient_id=f"P{patient}",
            lesion_type=LesionType.from_code(int(rng.integers(1, 9))),
            location=tuple(rng.random(3).tolist()),
            long_mm=float(np.exp(rng.normal(2.7, 0.5))),
            short_mm=None,
            split=Split.from_code(int(splits[patient])),
        )
        for row, patient in enumerate(patients)
    ]
    tracks = {one.lesion_id: str(rng.integers(0, 2)) for one in lesions}
    parts = [np.flatnonzero(patients * archives // number == n) for n in range(archives)]
    return LesionTable.joined(
        [LesionTable.from_lesions([lesions[row] for row in part], tracks) for part in parts]
    )


def sampler(table: LesionTable, split: Split = Split.TRAIN, **options: float) -> SequenceSampler:
    rows = np.flatnonzero(table.splits == split.code)
    weights = (1.0,) * (int(table.archives.max()) + 1)
    return SequenceSampler(table, rows, weights, THRESHOLDS, **options)


def test_every_slot_holds_a_lesion_of_its_relation_within_archive_and_split() -> None:
    table = random_table(3000, archives=2)
    drawn = sampler(table).draw(200, np.random.default_rng(1))
    assert drawn.shape == (200, 6)
    for sequence in drawn:
        anchor = sequence[0]
        for slot, row in zip(SLOTS, sequence[1:], strict=True):
            if row == MISSING:
                continue
            assert table.splits[row] == Split.TRAIN.code
            assert table.archives[row] == table.archives[anchor]
            assert relations(table, anchor, np.array([row]), THRESHOLDS)[0] == slot


def test_the_same_slot_is_another_study_where_there_is_one_and_itself_where_not() -> None:
    table = random_table(1000)
    drawn = sampler(table).draw(300, np.random.default_rng(2))
    rows = np.flatnonzero(table.splits == 1)
    for anchor, same in drawn[:, :2]:
        relatives = rows[table.tracks[rows] == table.tracks[anchor]]
        assert same in relatives
        assert (same != anchor) == (len(relatives) > 1)


def test_archives_are_drawn_by_their_weights() -> None:
    table = random_table(3000, archives=3)
    rows = np.flatnonzero(table.splits == 1)
    chosen = SequenceSampler(table, rows, (0.0, 1.0, 3.0), THRESHOLDS)
    archives = table.archives[chosen.draw(2000, np.random.default_rng(3))[:, 0]]
    shares = np.bincount(archives, minlength=3) / 2000
    assert shares[0] == 0
    assert shares[2] == pytest.approx(0.75, abs=0.04)


def test_the_own_patient_is_asked_first_when_wanted() -> None:
    table = random_table(3000)
    same = {
        share: _share_of_own_patient(table, sampler(table, same_patient=share))
        for share in (0.0, 1.0)
    }
    assert same[1.0] > same[0.0] + 0.1


def _share_of_own_patient(table: LesionTable, chosen: SequenceSampler) -> float:
    drawn = chosen.draw(200, np.random.default_rng(4))
    others = drawn[:, 2:]
    known = others != MISSING
    own = table.patients[others] == table.patients[drawn[:, :1]]
    return float(own[known].mean())


def test_a_seed_decides_every_draw() -> None:
    table = random_table(500)
    first, again = (sampler(table).draw(20, np.random.default_rng(5)) for _ in range(2))
    assert (first == again).all()


def test_two_splits_at_once_are_refused() -> None:
    table = random_table(100)
    with pytest.raises(SamplingError, match="exactly one split"):
        SequenceSampler(table, np.arange(100), (1.0,), THRESHOLDS)


def test_a_sequence_costs_no_measurable_share_of_a_step() -> None:
    """22,919 training lesions: a batch of 24 sequences is drawn beside steps of 100 ms and more."""
    table = random_table(22919)
    chosen = sampler(table)
    rng = np.random.default_rng(6)
    chosen.draw(24, rng)
    times = []
    for _ in range(5):
        started = time.process_time()
        chosen.draw(24, rng)
        times.append(time.process_time() - started)
    assert min(times) < 0.05


def test_real_rows_give_full_sequences(real_data: Path) -> None:
    archive = DeepLesionArchive.open(real_data / "DL_info_val_test_9816.csv")
    drawn = sampler(LesionTable.of(archive), Split.VALIDATION).draw(100, np.random.default_rng(7))
    assert (drawn[:, 5] != MISSING).all()
    assert (drawn != MISSING).mean() > 0.9
