"""The network that one round trains on its clusters: two layers over the encoder's vectors."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
from numpy.random import Generator
from torch import Tensor, nn

from retrieval.labels.categories.features import FloatArray, IntArray
from retrieval.training.heads import fit_head

HIDDEN, REPRESENTATION = 256, 64
EPOCHS, BATCH = 40, 64
RATE, DECAY = 1e-3, 1e-2
DROPOUT = 0.2
NOISE = 0.3
"""Noise on the input, in units of the spread of a feature: what a second box or scan changes."""

FOLDS = 5


class CategoryHead(nn.Module):
    """(n, d) features to (n, k) logits."""

    def __init__(self, width: int, count: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.Linear(width, HIDDEN),
            nn.ReLU(),
            nn.Dropout(DROPOUT),
            nn.Linear(HIDDEN, REPRESENTATION),
        )
        self.classes = nn.Linear(REPRESENTATION, count)

    def forward(self, features: Tensor) -> Tensor:
        """(n, d) -> (n, k)."""
        found = nn.functional.normalize(self.body(features), dim=1)
        logits: Tensor = self.classes(8.0 * found)
        return logits


def train_head(features: FloatArray, labels: IntArray, generator: Generator) -> CategoryHead:
    """A head trained on (n, d) rows with (n,) clusters 0 to k - 1.

    Cross entropy with label smoothing of 0.1; the clusters count alike, so that the largest does
    not swallow the others.
    """
    count = int(labels.max()) + 1
    torch_generator = torch.Generator().manual_seed(int(generator.integers(2**31)))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(int(generator.integers(2**31)))
        head = CategoryHead(features.shape[1], count)
        x = torch.from_numpy(features).float()
        y = torch.from_numpy(labels)
        held = np.bincount(labels, minlength=count)
        share = torch.from_numpy(len(labels) / (count * held[labels])).float()
        spread = x.std(dim=0)

        def losses() -> Iterator[Tensor]:
            for rows in _batches(len(x), torch_generator):
                noise = torch.randn(len(rows), x.shape[1], generator=torch_generator)
                logits = head(x[rows] + NOISE * spread * noise)
                loss = nn.functional.cross_entropy(
                    logits, y[rows], reduction="none", label_smoothing=0.1
                )
                yield (share[rows] * loss).mean()

        epochs = (losses() for _ in range(EPOCHS))
        fit_head(head, epochs, count=EPOCHS, rate=RATE, weight_decay=DECAY)
    return head.eval()


@torch.inference_mode()
def probabilities_of(head: CategoryHead, features: FloatArray) -> FloatArray:
    """(n, k) probabilities that a trained head gives to (n, d) rows."""
    logits = head(torch.from_numpy(features).float())
    return np.asarray(logits.softmax(dim=1).double().numpy())


def patient_folds(patients: IntArray, generator: Generator) -> IntArray:
    """(n,) fold of each row, at most ``FOLDS``; all rows of a patient in one."""
    people = generator.permutation(np.unique(patients))
    fold_of = {person: place % min(FOLDS, len(people)) for place, person in enumerate(people)}
    return np.array([fold_of[person] for person in patients], np.int64)


def out_of_fold(
    features: FloatArray, labels: IntArray, folds: IntArray, generator: Generator
) -> FloatArray:
    """(n, k) probabilities of each row by a head that saw no lesion of its patient.

    The folds stay the same over rounds, so that what changes is the clusters and not the draw.
    """
    found = np.zeros((len(labels), int(labels.max()) + 1))
    for fold in np.unique(folds):
        judged = folds == fold
        known, compact = np.unique(labels[~judged], return_inverse=True)
        head = train_head(features[~judged], compact.astype(np.int64), generator)
        found[np.ix_(judged, known)] = probabilities_of(head, features[judged])
    return found


def _batches(count: int, generator: torch.Generator) -> Iterator[Tensor]:
    order = torch.randperm(count, generator=generator)
    for start in range(0, count, BATCH):
        yield order[start : start + BATCH]
