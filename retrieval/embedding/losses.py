"""What training minimises: the sequence loss of Deep Lesion Graphs, and identity losses."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations

import torch
from torch import Tensor, nn

from retrieval.lesion import LesionSearchError


class LossError(LesionSearchError):
    """A loss that is unknown or given margins that do not grow."""


@dataclass(frozen=True, slots=True)
class SequenceMargins:
    """How much farther each slot of a sequence must lie than the slot before it, cumulated.

    Between ALIKE and the three weaker relations they are the paper's 0.1, 0.2 and 0.4.
    """

    same: float = 0.0
    alike: float = 0.1
    other_size: float = 0.2
    other_location: float = 0.3
    other_type: float = 0.5

    def in_order(self) -> tuple[float, ...]:
        """One margin for each of ``sampling.SLOTS``."""
        return (self.same, self.alike, self.other_size, self.other_location, self.other_type)


class SequenceLoss(nn.Module):
    """Hinges that order the distances from A: d(A,i) + margin(i,j) <= d(A,j) for all i before j.

    With the slots ALIKE to OTHER_TYPE these contain the three terms of Yan et al., CVPR 2018,
    equation 2; the others extend the order to every pair and to SAME.
    """

    def __init__(self, margins: SequenceMargins, *, squared: bool = True) -> None:
        """``squared`` takes squared Euclidean distances, as the paper does."""
        super().__init__()
        self.margins = margins.in_order()
        self.squared = squared
        if list(self.margins) != sorted(self.margins):
            raise LossError(f"margins {self.margins} must grow along the sequence")

    def forward(self, vectors: Tensor, present: Tensor) -> Tensor:
        """The mean over all hinges whose two slots are present; zero where there is none.

        Args:
            vectors: (sequences, 6, dimension), column 0 the anchor.
            present: (sequences, 6), bool; column 0 is ignored.
        """
        distances = (vectors[:, 1:] - vectors[:, :1]).pow(2).sum(dim=2)
        if not self.squared:
            distances = distances.clamp(min=1e-12).sqrt()
        hinges, counted = [], []
        for near, far in combinations(range(len(self.margins)), 2):
            margin = self.margins[far] - self.margins[near]
            hinges.append((distances[:, near] - distances[:, far] + margin).clamp(min=0))
            counted.append(present[:, 1 + near] & present[:, 1 + far])
        weights = torch.stack(counted, dim=1).to(vectors.dtype)
        return (torch.stack(hinges, dim=1) * weights).sum() / weights.sum().clamp(min=1)


def build_identity_loss(name: str) -> nn.Module | None:
    """A loss over (vectors, labels) that draws lesions of one label together.

    ``batch-hard`` is the triplet loss on the hardest pairs (Hermans et al., 2017) and
    ``multi-similarity`` that of Wang et al., CVPR 2019, both from pytorch-metric-learning;
    ``none`` gives None.
    """
    if name == "none":
        return None
    from pytorch_metric_learning import losses, miners

    if name == "batch-hard":
        return _MinedLoss(losses.TripletMarginLoss(margin=0.2), miners.BatchHardMiner())
    if name == "multi-similarity":
        return _MinedLoss(
            losses.MultiSimilarityLoss(alpha=2, beta=40, base=0.5),
            miners.MultiSimilarityMiner(epsilon=0.1),
        )
    raise LossError(f"identity loss {name!r} is unknown: batch-hard, multi-similarity or none")


class _MinedLoss(nn.Module):
    def __init__(self, loss: nn.Module, miner: nn.Module) -> None:
        super().__init__()
        self.loss = loss
        self.miner = miner

    def forward(self, vectors: Tensor, labels: Tensor) -> Tensor:
        value: Tensor = self.loss(vectors, labels, self.miner(vectors, labels))
        return value
