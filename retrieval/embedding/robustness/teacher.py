"""Vectors of every lesion of a run, computed once and kept: frozen features, or a teacher's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from retrieval.embedding.initialise import initialise, plain_views
from retrieval.embedding.network import DLGNetwork
from retrieval.embedding.recipe import Recipe
from retrieval.embedding.training_data import TrainingData
from retrieval.sources.lesion_table import Rows

BATCH = 32


def frozen_vectors(
    recipe: Recipe, training: TrainingData, rows: Rows, path: Path, device: torch.device
) -> torch.Tensor:
    """(lesions of the table, dimension) unit vectors; zero for what is not in ``rows``.

    The network is the recipe's own before its first step without a start: group means and
    principal axes of its backbone's features, ImageNet's where the recipe has them. The vectors
    are kept in ``path``, a NumPy file.
    """

    def described() -> DLGNetwork:
        network = DLGNetwork(recipe.network, recipe.patch, pretrained=recipe.pretrained).to(device)
        initialise(network, training, rows, np.random.default_rng([recipe.seed, 2]))
        return network

    return _kept(described, training, rows, path, device)


def kept_vectors(
    teacher: DLGNetwork, training: TrainingData, rows: Rows, path: Path
) -> torch.Tensor:
    """A teacher's vectors of lesions as they are, otherwise as ``frozen_vectors``."""
    return _kept(teacher.eval, training, rows, path, next(teacher.parameters()).device)


@torch.no_grad()
def _kept(
    network: Callable[[], DLGNetwork],
    training: TrainingData,
    rows: Rows,
    path: Path,
    device: torch.device,
) -> torch.Tensor:
    if not path.is_file():
        shown = network()
        vectors = np.zeros((len(training.table), shown.config.dimension), np.float32)
        for part in np.array_split(rows, max(1, len(rows) // BATCH)):
            vectors[part] = shown(*plain_views(training, part, shown, device)).vectors.cpu()
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.save(file, vectors, allow_pickle=False)
        partial.replace(path)
    return torch.from_numpy(np.load(path, allow_pickle=False)).to(device)
