from __future__ import annotations

import numpy as np
import pytest

from retrieval.embedding.augment import MIRRORED_TYPES
from retrieval.embedding.batches import BatchSource
from retrieval.embedding.sampling import MISSING, SequenceSampler
from retrieval.embedding.training_data import TrainingData
from retrieval.lesion import Split

SEQUENCES = 12


@pytest.fixture(scope="module")
def source(phantom_training: TrainingData, tiny_run) -> BatchSource:
    rows = phantom_training.rows(Split.TRAIN)
    recipe = tiny_run.recipe
    sampler = SequenceSampler(
        phantom_training.table, rows, phantom_training.weights, recipe.similarity, same_patient=True
    )
    return BatchSource(phantom_training, sampler, SEQUENCES, seed=5)


def rows_of(source: BatchSource, step: int) -> np.ndarray:
    """The lesions of a step, drawn again; and the sequence of each."""
    rng = np.random.default_rng([source.seed, source.rank, step])
    drawn = source.sampler.draw(source.sequences, rng)
    sequence = np.broadcast_to(np.arange(len(drawn))[:, None], drawn.shape)
    present = drawn != MISSING
    return np.stack([drawn[present], sequence[present]])


def test_a_mirrored_patch_has_the_location_of_the_other_side(source: BatchSource) -> None:
    mirrored = 0
    for step in range(4):
        batch = source.batch(step)
        rows, sequence = rows_of(source, step)
        flips = batch.flips.numpy()
        given = source.sampler.table.locations[rows]
        expected = given.copy()
        expected[flips, 0] = 1 - given[flips, 0]
        np.testing.assert_allclose(batch.locations.numpy(), expected, atol=1e-6)
        paired = np.isin(source.sampler.table.types[rows], list(MIRRORED_TYPES))
        assert not flips[~paired].any()
        for number in np.unique(sequence):
            together = flips[(sequence == number) & paired]
            assert together.all() or not together.any()
        off_centre = flips & (np.abs(given[:, 0] - 0.5) > 0.05)
        mirrored += int(off_centre.sum())
    assert mirrored > 3


def test_a_step_draws_the_same_batch_again_and_another_step_another(source: BatchSource) -> None:
    first, again, other = source.batch(1), source.batch(1), source.batch(2)
    assert first.hu.equal(again.hu)
    assert first.boxes.equal(again.boxes)
    assert not first.boxes.equal(other.boxes)
