"""Lesions that readers rate alike lie near each other: neighbourhoods as the ratings have them.

As in relational distillation (``distillation``) each lesion's similarities to others are a
distribution; here the wanted one comes of the distances between ratings, not of a teacher's
vectors. Lesions of earlier batches stand beside those of the batch (``view_loss.VectorMemory``).
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from retrieval.embedding.robustness.view_loss import VectorMemory

COMMON = 3
"""Ratings that two lesions must both have to be compared."""


def rating_divergence(
    vectors: Tensor,
    ratings: Tensor,
    tracks: Tensor,
    memory: VectorMemory,
    *,
    temperature: float = 0.1,
    width: float = 0.7,
) -> Tensor:
    """Mean Kullback-Leibler divergence of neighbourhoods in vectors from those in ratings.

    The wanted weight of another lesion is exp(-d / (2 width^2)), d the mean squared difference of
    the ratings that both have.

    Args:
        vectors: (n, dimension), unit norm.
        ratings: (n, r), in standard deviations; NaN where unknown.
        tracks: (n,) codes; another lesion of the same track is left out.
        memory: further lesions with their ratings; not changed.
        temperature: of the softmax over the vectors' cosines.
        width: in standard deviations.

    Returns:
        A scalar of at least 0; 0 where no lesion has two others to be compared with.
    """
    gallery = torch.cat([vectors, memory.vectors.to(vectors)])
    rated = torch.cat([ratings, memory.ratings.to(ratings)])
    of_gallery = torch.cat([tracks, memory.tracks.to(tracks)])
    apart = _distances(ratings, rated)
    apart = apart.masked_fill(tracks[:, None] == of_gallery[None, :], torch.nan)
    comparable = torch.isfinite(apart)
    asked = comparable.sum(dim=1) > 1
    if not asked.any():
        return vectors.sum() * 0
    shut = ~comparable[asked]
    wanted = (-apart[asked] / (2 * width**2)).masked_fill(shut, -1e4)
    found = (vectors[asked] @ gallery.T / temperature).masked_fill(shut, -1e4)
    return F.kl_div(
        F.log_softmax(found, dim=1),
        F.log_softmax(wanted, dim=1),
        reduction="batchmean",
        log_target=True,
    )


def _distances(ratings: Tensor, others: Tensor) -> Tensor:
    """(n, m) mean squared differences of common ratings; NaN where fewer than COMMON are."""
    known, also = torch.isfinite(ratings).to(ratings), torch.isfinite(others).to(ratings)
    one, other = ratings.nan_to_num(), others.nan_to_num()
    common = known @ also.T
    squares = one.square() @ also.T - 2 * one @ other.T + known @ other.square().T
    mean = squares.clamp(min=0) / common.clamp(min=1)
    return mean.masked_fill(common < COMMON, torch.nan)
