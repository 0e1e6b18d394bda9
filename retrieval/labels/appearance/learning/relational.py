"""LesaNet's recipe on the features of lesions: labels closed and excluded, WCE, RHEM, propagation.

For an archive with labels mined from reports. The triplet loss of the paper shapes the vector and
belongs to the encoder's own training; here the vector is given.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.labels.appearance.learning.losses import (
    class_weights,
    relational_hard_examples,
    reliable_cells,
    weighted_cross_entropy,
)
from retrieval.labels.appearance.network import TagNetwork
from retrieval.labels.vocabulary.terms import Vocabulary
from retrieval.progress import ReportProgress
from retrieval.training.heads import fit_head


@dataclass(frozen=True)
class RelationalRecipe:
    """The numbers of the recipe.

    Attributes:
        hidden: units of the hidden layer.
        steps: steps of the optimiser.
        batch: lesions of a step.
        learning_rate: of AdamW.
        weight_decay: of AdamW.
        draws: cells that RHEM draws in a step.
        seed: of the order and the draws.
    """

    hidden: int = 512
    steps: int = 4000
    batch: int = 256
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    draws: int = 10_000
    seed: int = 0


def label_matrix(
    relevant: Sequence[Sequence[str]],
    uncertain: Sequence[Sequence[str]],
    irrelevant: Sequence[Sequence[str]],
    terms: Sequence[str],
    vocabulary: Vocabulary,
) -> NDArray[np.float32]:
    """(lesions, terms) of 1, 0 and NaN: parents of positives hold too, uncertain terms count not.

    A parent of an uncertain term is uncertain, unless a positive says that it holds.
    """
    place = {term: column for column, term in enumerate(terms)}
    labels = np.zeros((len(relevant), len(terms)), dtype=np.float32)
    for row, (said, doubted, denied) in enumerate(
        zip(relevant, uncertain, irrelevant, strict=True)
    ):
        for names, value in (
            (vocabulary.expand([one for one in doubted if one in vocabulary]), np.nan),
            (denied, 0.0),
            (vocabulary.expand([one for one in said if one in vocabulary]), 1.0),
        ):
            columns = [place[name] for name in names if name in place]
            labels[row, columns] = value
    return labels


def exclusive_matrix(terms: Sequence[str], vocabulary: Vocabulary) -> NDArray[np.float32]:
    """(terms, terms), 1 where two terms cannot hold together."""
    place = {term: column for column, term in enumerate(terms)}
    matrix = np.zeros((len(terms), len(terms)), dtype=np.float32)
    for term in terms:
        for other in vocabulary.exclusive(term) if term in vocabulary else ():
            if other in place:
                matrix[place[term], place[other]] = 1.0
    return matrix


def train_relational(
    features: NDArray[np.float32],
    labels: NDArray[np.float32],
    exclusive: NDArray[np.float32],
    recipe: RelationalRecipe,
    progress: ReportProgress | None = None,
) -> TagNetwork:
    """The head of features (lesions, features) and labels (lesions, terms).

    The loss is WCE + RHEM on the logits before the propagation layer, and WCE on those behind it.
    """
    generator = torch.Generator().manual_seed(recipe.seed)
    inputs, targets = torch.from_numpy(features), torch.from_numpy(labels)
    with torch.random.fork_rng():
        torch.manual_seed(recipe.seed)
        network = TagNetwork(features.shape[1], labels.shape[1], hidden=recipe.hidden)
    network.get_buffer("mean").copy_(inputs.mean(0))
    network.get_buffer("spread").copy_(inputs.std(0).clamp(min=1e-6))
    weights, pairs = class_weights(targets), torch.from_numpy(exclusive)

    def losses() -> Iterator[Tensor]:
        rows = torch.randint(len(inputs), (recipe.batch,), generator=generator)
        batch = targets[rows]
        logits = network(inputs[rows])
        yield (
            weighted_cross_entropy(logits.first, batch, weights)
            + relational_hard_examples(
                logits.first,
                batch,
                weights,
                reliable_cells(batch, pairs),
                draws=recipe.draws,
                generator=generator,
            )
            + weighted_cross_entropy(logits.propagated, batch, weights)
        )

    fit_head(
        network,
        (losses() for _ in range(recipe.steps)),
        count=recipe.steps,
        rate=recipe.learning_rate,
        weight_decay=recipe.weight_decay,
        progress=progress,
    )
    return network.eval()
