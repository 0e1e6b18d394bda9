from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from retrieval.embedding import refine
from retrieval.embedding.encoder import LesionEncoder
from retrieval.embedding.network import DLGNetwork
from retrieval.embedding.recipe import RefineConfig
from retrieval.embedding.refine import embed_rows, neighbour_votes, refined_types
from retrieval.embedding.training_data import TrainingData
from retrieval.patch import extract_patch
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from tests.retrieval.embedding.conftest import TinyRun


@pytest.fixture(scope="module")
def network(tiny_run: TinyRun) -> DLGNetwork:
    torch.manual_seed(0)
    return DLGNetwork(tiny_run.recipe.network, tiny_run.recipe.patch, pretrained=False)


@given(seed=st.integers(0, 2**31), neighbours=st.integers(1, 7))
def test_votes_are_those_of_the_naive_loop(seed: int, neighbours: int) -> None:
    rng = np.random.default_rng(seed)
    queries, voters = (rng.normal(size=(n, 6)).astype(np.float32) for n in (5, 12))
    types = rng.integers(1, 9, len(voters))
    found = neighbour_votes(queries, voters, types, neighbours=neighbours)
    for query, shares in zip(queries, found, strict=True):
        nearest = sorted(range(len(voters)), key=lambda n: -float(query @ voters[n]))[:neighbours]
        for code in range(1, 9):
            assert shares[code - 1] == pytest.approx(np.mean([types[n] == code for n in nearest]))


def clustered(training: TrainingData, hidden: np.ndarray) -> tuple[TrainingData, np.ndarray]:
    """The archive with some types hidden; and a vector for each row that shows its true type."""
    true = training.table.types
    types = np.where(hidden, -1, true)
    noise = np.random.default_rng(0).normal(0, 0.05, (len(true), 9))
    return replace(training, table=replace(training.table, types=types)), np.eye(9)[true] + noise


def test_confident_unlabelled_lesions_get_their_neighbours_type(
    network: DLGNetwork, phantom_training: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    true = phantom_training.table.types
    common = np.isin(true, np.flatnonzero(np.bincount(true) >= 4))
    hidden = np.zeros(len(true), bool)
    hidden[np.flatnonzero(common)[::4]] = True
    training, vectors = clustered(phantom_training, hidden)
    monkeypatch.setattr(refine, "embed_rows", lambda _, __, rows: vectors[rows])
    rows = np.arange(len(true))
    found = refined_types(network, training, rows, RefineConfig(neighbours=2, confidence=1.0))
    assert hidden.sum() >= 4
    assert (found[hidden] == true[hidden]).all()
    assert (found[~hidden] == true[~hidden]).all()


def test_neighbours_that_disagree_give_no_type(
    network: DLGNetwork, phantom_training: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = np.arange(len(phantom_training.table)) % 3 == 0
    training, _ = clustered(phantom_training, hidden)
    vectors = np.random.default_rng(1).normal(size=(len(hidden), 9))
    monkeypatch.setattr(refine, "embed_rows", lambda _, __, rows: vectors[rows])
    rows = np.arange(len(hidden))
    config = RefineConfig(neighbours=12, confidence=0.9)
    assert (refined_types(network, training, rows, config) == training.table.types).all()
    loose = RefineConfig(neighbours=1, confidence=0.9)
    assert (refined_types(network, training, rows, loose) > 0).all()


def test_only_the_given_rows_vote_and_are_filled(
    network: DLGNetwork, phantom_training: TrainingData, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = np.arange(len(phantom_training.table)) % 2 == 0
    training, vectors = clustered(phantom_training, hidden)
    asked: list[int] = []

    def embedded(_: object, __: object, rows: np.ndarray) -> np.ndarray:
        asked.extend(rows.tolist())
        return vectors[rows]

    monkeypatch.setattr(refine, "embed_rows", embedded)
    rows = np.arange(20)
    config = RefineConfig(neighbours=1, confidence=0.5)
    found = refined_types(network, training, rows, config)
    assert sorted(asked) == rows.tolist()
    assert (found[20:] == training.table.types[20:]).all()
    assert (found[:20] > 0).all()


def test_an_archive_of_one_type_keeps_its_unknown_types(
    network: DLGNetwork, phantom_training: TrainingData
) -> None:
    hidden = np.arange(len(phantom_training.table)) % 2 == 0
    training, _ = clustered(phantom_training, hidden)
    single = replace(training, multi_type=np.array([False]))
    rows = np.arange(len(hidden))
    found = refined_types(network, single, rows, RefineConfig(neighbours=1, confidence=0.1))
    assert (found == training.table.types).all()


def test_rows_are_embedded_as_the_encoder_embeds_their_patches(
    network: DLGNetwork, phantom_archive: DeepLesionArchive, phantom_training: TrainingData
) -> None:
    rows = np.array([4, 0, 11])
    network.train()
    found = embed_rows(network, phantom_training, rows, batch_size=2)
    assert network.training
    encoder = LesionEncoder(network, name="same")
    lesions = [phantom_archive.lesions[row] for row in rows]
    depth = encoder.spec.half_depth_mm
    patches = [
        extract_patch(phantom_archive.slab(x, half_depth_mm=depth), x.box, encoder.spec)
        for x in lesions
    ]
    expected = encoder.embed(patches).vectors
    assert (found * expected).sum(axis=1).min() > 0.999
    assert embed_rows(network, phantom_training, rows[:0]).shape == (0, 64)
