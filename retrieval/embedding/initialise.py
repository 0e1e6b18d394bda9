"""Starts a network as the frozen multi-scale feature it is to improve on.

The groups' means are measured on training lesions, and the projection to the embedding is the
principal components of the joined features: before the first step, cosine between embeddings is
nearly cosine between frozen multi-scale ImageNet features, so training only has to add to them.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from retrieval.embedding.augment import AugmentConfig, Augmenter
from retrieval.embedding.network import DLGNetwork
from retrieval.embedding.training_data import TrainingData
from retrieval.sources.lesion_table import Rows

_UNCHANGED = AugmentConfig(
    spacing=0, rotation_deg=0, slice_offset_mm=0, hu_shift=0, noise_hu=0, kernel=0, box_jitter=0
)


@torch.no_grad()
def plain_views(
    training: TrainingData,
    rows: Rows,
    network: DLGNetwork,
    device: torch.device,
    *,
    seen: Callable[[Tensor], Tensor] = Tensor.float,
) -> tuple[Tensor, Tensor]:
    """The patches of some rows as ``extract_patch`` cuts them, without augmentation.

    ``seen`` is what becomes of the cached patches before they are cut: nothing.
    """
    hu, boxes = training.gather(rows)
    hu = seen(hu)
    augmenter = Augmenter(network.spec, _UNCHANGED)
    flips = torch.zeros(len(rows), dtype=torch.bool, device=device)
    generator = torch.Generator(device).manual_seed(0)
    return augmenter(hu.to(device).float(), boxes.to(device), flips, generator)


@torch.no_grad()
def initialise(
    network: DLGNetwork,
    training: TrainingData,
    rows: Rows,
    rng: np.random.Generator,
    *,
    most: int = 3000,
) -> None:
    """Sets the groups' means and the projection from at most ``most`` training lesions."""
    device = next(network.parameters()).device
    network.eval()
    chosen = _balanced(training, rows, rng, most)
    batches = []
    for batch in np.array_split(chosen, max(1, len(chosen) // 32)):
        hu, boxes = plain_views(training, batch, network, device)
        batches.append([*network.pooled(hu, boxes), boxes])
    *groups, boxes = [torch.cat(parts).float() for parts in zip(*batches, strict=True)]
    network.centre_groups([group.mean(dim=0) for group in groups])
    axes = _principal_axes(network.joined(groups, boxes), network.config.dimension)
    network.project.weight.copy_(axes)


def _balanced(training: TrainingData, rows: Rows, rng: np.random.Generator, most: int) -> Rows:
    """As many lesions of each archive, so that a large one does not decide the means alone."""
    archives = training.table.archives[rows]
    share = max(1, most // len(np.unique(archives)))
    parts = []
    for archive in np.unique(archives):
        of_archive = rows[archives == archive]
        parts.append(rng.permutation(of_archive)[:share])
    return np.concatenate(parts)


def _principal_axes(features: Tensor, dimension: int) -> Tensor:
    """(dimension, width): directions of largest second moment, each of length one.

    With fewer lesions than dimensions the rest are random directions orthogonal to them.
    """
    moment = features.T.double() @ features.double()
    directions: Tensor = torch.linalg.eigh(moment).eigenvectors.flip(1)
    return directions[:, :dimension].T.to(features.dtype)
