"""Losses over lesions whose labels were mined: what a report does not say is not false.

Both take logits and labels of shape (lesions, terms); labels are 1, 0, or NaN where uncertain.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

LARGEST_WEIGHT = 300.0


def class_weights(labels: Tensor) -> tuple[Tensor, Tensor]:
    """Weights of positives and of negatives of each term, (terms,): n / (2 n_c), at most 300."""
    known = ~torch.isnan(labels)
    count = known.sum(0).clamp(min=1).float()
    positives = ((labels == 1) & known).sum(0).clamp(min=1).float()
    negatives = ((labels == 0) & known).sum(0).clamp(min=1).float()
    return (
        (count / (2 * positives)).clamp(max=LARGEST_WEIGHT),
        (count / (2 * negatives)).clamp(max=LARGEST_WEIGHT),
    )


def weighted_cross_entropy(
    logits: Tensor, labels: Tensor, weights: tuple[Tensor, Tensor]
) -> Tensor:
    """LesaNet's WCE (section 3.3): the mean over known cells, rare classes weighted up."""
    known = ~torch.isnan(labels)
    target = torch.where(known, labels, torch.zeros_like(labels))
    positive, negative = weights
    weight = torch.where(target == 1, positive, negative) * known
    cells = binary_cross_entropy_with_logits(logits, target, reduction="none")
    return (cells * weight).sum() / known.sum().clamp(min=1)


def reliable_cells(labels: Tensor, exclusive: Tensor) -> Tensor:
    """Positives, and negatives that a positive term excludes, as booleans (lesions, terms).

    Any other zero may only be unmentioned. ``exclusive`` is (terms, terms), 1 where two terms
    cannot hold together.
    """
    positive = (labels == 1).float()
    return (positive > 0) | ((positive @ exclusive.float() > 0) & (labels != 1))


def relational_hard_examples(
    logits: Tensor,
    labels: Tensor,
    weights: tuple[Tensor, Tensor],
    reliable: Tensor,
    *,
    draws: int,
    generator: torch.Generator,
) -> Tensor:
    """LesaNet's RHEM (section 3.3): plain cross entropy on cells drawn by their difficulty.

    A reliable cell is drawn with a probability proportional to ``|(p - y) w|^2``.
    """
    target = (labels == 1).float()
    positive, negative = weights
    weight = torch.where(target == 1, positive, negative)
    hardness = ((torch.sigmoid(logits.detach()) - target) * weight).abs().square() * reliable
    flat = hardness.flatten()
    if float(flat.sum()) <= 0:
        return logits.sum() * 0.0
    drawn = torch.multinomial(flat, draws, replacement=True, generator=generator)
    return binary_cross_entropy_with_logits(logits.flatten()[drawn], target.flatten()[drawn])
