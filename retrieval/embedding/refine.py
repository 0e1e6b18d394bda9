"""Iterative refinement: the types of unlabelled lesions, estimated from their neighbours.

Yan et al., CVPR 2018, section 3.3: labels are transferred in the learned space, then training
goes on with them. Here a type is taken only where enough of the nearest typed lesions agree.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from retrieval.embedding.initialise import plain_views
from retrieval.embedding.network import DLGNetwork
from retrieval.embedding.recipe import RefineConfig
from retrieval.embedding.training_data import TrainingData
from retrieval.sources.lesion_table import Rows


@torch.no_grad()
def embed_rows(
    network: DLGNetwork, training: TrainingData, rows: Rows, *, batch_size: int = 64
) -> NDArray[np.float32]:
    """(n, dimension) embeddings of table rows, without augmentation; leaves the mode as it was."""
    device = next(network.parameters()).device
    was_training = network.training
    network.eval()
    parts = [
        network(*plain_views(training, rows[start : start + batch_size], network, device)).vectors
        for start in range(0, len(rows), batch_size)
    ]
    network.train(was_training)
    width = network.config.dimension
    return torch.cat(parts).float().cpu().numpy() if parts else np.empty((0, width), np.float32)


def refined_types(
    network: DLGNetwork, training: TrainingData, rows: Rows, config: RefineConfig
) -> NDArray[np.int64]:
    """The table's types, with those of confident unlabelled lesions among ``rows`` filled in.

    Only archives that hold several types take part, and only their own typed lesions vote.
    """
    types = training.table.types.copy()
    for archive in np.flatnonzero(training.multi_type):
        here = rows[training.table.archives[rows] == archive]
        typed, untyped = here[types[here] > 0], here[types[here] < 0]
        if len(untyped) == 0 or len(typed) < config.neighbours:
            continue
        votes = neighbour_votes(
            embed_rows(network, training, untyped),
            embed_rows(network, training, typed),
            types[typed],
            neighbours=config.neighbours,
        )
        agreed = votes.max(axis=1) >= config.confidence
        types[untyped[agreed]] = votes[agreed].argmax(axis=1) + 1
    return types


def neighbour_votes(
    queries: NDArray[np.float32],
    voters: NDArray[np.float32],
    types: NDArray[np.int64],
    *,
    neighbours: int,
) -> NDArray[np.float64]:
    """(n, 8): the share of each query's nearest voters that have each type."""
    votes = np.empty((len(queries), 8))
    for start in range(0, len(queries), 1024):
        similarity = queries[start : start + 1024] @ voters.T
        nearest = np.argpartition(-similarity, neighbours - 1, axis=1)[:, :neighbours]
        of_type = types[nearest][:, :, None] == np.arange(1, 9)
        votes[start : start + 1024] = of_type.mean(axis=1)
    return votes
