"""Encoders of one ancestor added up, and their projection aligned with a teacher once more.

What two trainings changed in one network is added to it (task arithmetic, Ilharco et al., ICLR
2023). The sum's features suit neither projection: the last, linear layer is fitted anew in closed
form, so that lesions as they are and on worse scans come to lie where the teacher has them.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from retrieval.embedding.initialise import plain_views
from retrieval.embedding.network import DLGNetwork
from retrieval.embedding.training_data import TrainingData
from retrieval.lesion import LesionSearchError
from retrieval.sources.lesion_table import Rows
from retrieval.synthesis.degradation.random import DegradationConfig, degraded

BATCH = 32


class RealignError(LesionSearchError):
    """Encoders that cannot be added, or lesions that cannot align one."""


@torch.no_grad()
def added(ancestor: DLGNetwork, changed: Sequence[tuple[DLGNetwork, float]]) -> DLGNetwork:
    """The ancestor plus a share of what changed from it in each of some networks.

    Raises RealignError for a network of another kind than the ancestor's.
    """
    total = copy.deepcopy(ancestor)
    before = ancestor.state_dict()
    for network, share in changed:
        if network.config != ancestor.config or network.spec != ancestor.spec:
            raise RealignError(
                f"an encoder of {network.config} cannot be added to one of {ancestor.config}: "
                "both must have been trained from the same one"
            )
        after = network.state_dict()
        for name, value in total.state_dict().items():
            if value.is_floating_point():
                value.add_(share * (after[name] - before[name]))
    return total


@torch.no_grad()
def described(
    network: DLGNetwork,
    training: TrainingData,
    rows: Rows,
    worse: DegradationConfig | None,
    rng: np.random.Generator,
) -> Tensor:
    """(n, features) joined features of some rows, as they are or, with ``worse``, degraded."""
    network.eval()
    grid_mm = (network.spec.mm_px, network.spec.slice_interval_mm)
    parts = []
    for start in range(0, len(rows), BATCH):
        batch = rows[start : start + BATCH]

        def as_seen(hu: Tensor) -> Tensor:
            if worse is None:
                return hu
            views = [degraded(patch, grid_mm, worse, rng) for patch in hu.numpy()]
            return torch.from_numpy(np.stack(views))

        views = plain_views(training, batch, network, torch.device("cpu"), seen=as_seen)
        parts.append(network.features(*views))
    return torch.cat(parts)


def towards_ratings(
    wanted: Tensor, ratings: Tensor, *, share: float, ridge: float = 0.005, most: float = 2.5
) -> Tensor:
    """Wanted vectors moved along the directions in which the vectors already tell ratings.

    A direction is the ridge regression of a rating on the vectors, of length one. Lesions that
    readers rate alike come nearer to each other, as far as their features can tell the rating.

    Args:
        wanted: (n, dimension), unit norm.
        ratings: (n, r), in standard deviations; NaN where unknown.
        share: how far a lesion moves per standard deviation.
        ridge: of the regression.
        most: deviations beyond which a rating counts as this.

    Returns:
        (n, dimension), unit norm; unchanged where no rating is known.
    """
    rated = torch.isfinite(ratings).any(dim=1)
    if not rated.any():
        return wanted
    values = ratings.nan_to_num().to(wanted)
    seen = wanted[rated] - wanted[rated].mean(dim=0)
    moment = seen.T @ seen + ridge * len(seen) * torch.eye(seen.shape[1]).to(wanted)
    directions = F.normalize(torch.linalg.solve(moment, seen.T @ values[rated]), dim=0)
    return F.normalize(wanted + share * values.clamp(-most, most) @ directions.T, dim=1)


@torch.no_grad()
def realign(network: DLGNetwork, features: Tensor, wanted: Tensor, *, ridge: float = 0.03) -> float:
    """Fits the projection so that features give the wanted vectors; in place.

    The change D of the projection W minimises |X (W + D)' - s T|^2 / n + ridge |D|^2, in which s is
    the mean length of X W': a larger ridge leaves more of W.

    Args:
        network: whose projection changes.
        features: X, (n, features), of lesions as they are and on worse scans.
        wanted: T, (n, dimension), unit norm.
        ridge: above 0.

    Returns:
        The mean cosine of the vectors to the wanted ones, after the change.
    """
    if ridge <= 0 or len(features) == 0:
        raise RealignError(
            f"{len(features)} lesions under a ridge of {ridge}: at least one and above 0 are needed"
        )
    seen, targets = features.double(), wanted.double()
    before = network.project.weight.double()
    vectors = seen @ before.T
    scale = vectors.norm(dim=1).mean()
    moment = seen.T @ seen + ridge * len(seen) * torch.eye(seen.shape[1], dtype=torch.double)
    change = torch.linalg.solve(moment, seen.T @ (scale * targets - vectors)).T
    network.project.weight.copy_(before + change)
    after = F.normalize(seen @ (before + change).T, dim=1)
    return float((after * targets).sum(dim=1).mean())
