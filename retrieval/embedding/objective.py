"""The whole training objective over one batch of sequences."""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from retrieval.embedding.losses import SequenceLoss, build_identity_loss
from retrieval.embedding.network import DLGNetwork, NetworkOutput
from retrieval.embedding.recipe import Recipe
from retrieval.embedding.robustness.distillation import relational_divergence
from retrieval.embedding.robustness.known_vectors import KnownVectors
from retrieval.embedding.robustness.rating_loss import rating_divergence
from retrieval.embedding.robustness.view_loss import VectorMemory, ViewLoss


@dataclass(frozen=True)
class SequenceBatch:
    """s sequences of up to six lesions each; only the p lesions that are present have patches.

    Attributes:
        hu: (p, slices, rows, columns), float32 HU, as cached.
        boxes: (p, 4), in cached pixels.
        flips: (p,), bool: mirror this patch.
        present: (s, 6), bool; its true places, row by row, are the p lesions.
        archives, tracks: (p,) codes.
        types: (p,) 1 to 8; -1 where the type is unknown or may not be learned from.
        locations: (p, 3), NaN where unknown; mirrored where the patch is.
        attributes: (p, a), NaN where unknown.
        rows: (p,) of the run's table.
        worse: (p, slices, rows, columns), the same patches from a worse scan; (0,) where the recipe
            has no second view.
    """

    hu: Tensor
    boxes: Tensor
    flips: Tensor
    present: Tensor
    archives: Tensor
    tracks: Tensor
    types: Tensor
    locations: Tensor
    attributes: Tensor
    rows: Tensor
    worse: Tensor

    def to(self, device: torch.device) -> SequenceBatch:
        """The batch on a device."""
        values = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return SequenceBatch(
            **{name: value.to(device, non_blocking=True) for name, value in values.items()}
        )


class TrainedModel(nn.Module):
    """The network, and what exists only while it is trained.

    The attribute head reads rated attributes off the embedding itself, so that lesions of
    unlike ratings must lie apart; it is not part of the encoder. ``refined_types`` are the
    types that iterative refinement has given to unlabelled lesions, ``memory`` the vectors of
    earlier batches.
    """

    refined_types: Tensor

    def __init__(
        self, network: DLGNetwork, *, attributes: int, types: Tensor, memory: int = 1
    ) -> None:
        super().__init__()
        self.network = network
        self.attribute_head = nn.Linear(network.config.dimension, max(1, attributes))
        self.memory = VectorMemory(memory, network.config.dimension, attributes)
        self.register_buffer("refined_types", types)

    def forward(self, hu: Tensor, boxes: Tensor) -> tuple[NetworkOutput, Tensor]:
        """The network's output and (n, attributes) predictions."""
        output: NetworkOutput = self.network(hu, boxes)
        return output, self.attribute_head(output.vectors)


@dataclass(frozen=True)
class WorseViews:
    """The vectors of a batch's second views, and what else their terms need.

    Attributes:
        vectors: (p, dimension) of the worse scans.
        teacher: (p, e) frozen features of the lesions as they are.
        memory: of the model.
    """

    vectors: Tensor
    teacher: Tensor
    memory: VectorMemory


class Objective(nn.Module):
    """Weighs the terms by recipe: sequence, identity, type, location, attributes; worse views."""

    def __init__(self, recipe: Recipe) -> None:
        super().__init__()
        self.weights = recipe.loss
        self.sequence = SequenceLoss(recipe.margins)
        self.identity = build_identity_loss(recipe.loss.identity)
        self.views = ViewLoss(recipe.loss.temperature)

    def forward(
        self, output: NetworkOutput, attributes: Tensor, batch: SequenceBatch
    ) -> dict[str, Tensor]:
        """Each term, already weighted; their sum is what is minimised."""
        vectors = output.vectors.float()
        sequences = vectors.new_zeros(*batch.present.shape, vectors.shape[1])
        sequences[batch.present] = vectors
        weights = self.weights
        return {
            "sequence": weights.sequence * self.sequence(sequences, batch.present),
            "identity": weights.identity_weight * self._identity(vectors, batch),
            "type": weights.type_weight * _type_loss(output.type_logits, batch.types),
            "location": weights.location_weight * _known_error(output.locations, batch.locations),
            "attributes": weights.attribute_weight * _known_error(attributes, batch.attributes),
        }

    def on_worse_scans(
        self, vectors: Tensor, views: WorseViews, batch: SequenceBatch
    ) -> dict[str, Tensor]:
        """The terms of the second views, already weighted."""
        first, second = vectors.float(), views.vectors.float()
        found = self.views(first, second, batch.tracks, views.memory)
        temperature = self.weights.temperature
        kept = [
            relational_divergence(seen, views.teacher, temperature=temperature)
            for seen in (first, second)
        ]
        rated = rating_divergence(
            torch.cat([first, second]),
            batch.attributes.repeat(2, 1),
            batch.tracks.repeat(2),
            views.memory,
            temperature=temperature,
        )
        return {
            "views": self.weights.views_weight * found,
            "distillation": self.weights.distillation_weight * torch.stack(kept).mean(),
            "ratings": self.weights.ratings_weight * rated,
        }

    def as_taught(self, vectors: Tensor, known: KnownVectors, rows: Tensor) -> dict[str, Tensor]:
        """The two terms of a teacher's vectors of the lesions ``rows``, already weighted."""
        weights, vectors = self.weights, vectors.float()
        found = known.found(vectors, rows, temperature=weights.temperature)
        return {
            "kept": weights.kept_weight * known.kept(vectors, rows),
            "found": weights.found_weight * found,
        }

    def _identity(self, vectors: Tensor, batch: SequenceBatch) -> Tensor:
        """Within each archive alone: a stranger from another source is too easy to tell."""
        total = vectors.sum() * 0
        if self.identity is None:
            return total
        archives = sorted(set(batch.archives.tolist()))
        for archive in archives:
            here = batch.archives == archive
            total = total + self.identity(vectors[here], batch.tracks[here]) / len(archives)
        return total


def _type_loss(logits: Tensor, types: Tensor) -> Tensor:
    targets = torch.where(types > 0, types - 1, -100)
    total = F.cross_entropy(logits.float(), targets, ignore_index=-100, reduction="sum")
    return total / (types > 0).sum().clamp(min=1)


def _known_error(estimates: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error over what is known; tied to ``estimates`` even where nothing is."""
    width = truth.shape[1]
    known = torch.isfinite(truth)
    squares = (estimates.float()[:, :width] - truth.nan_to_num()).pow(2) * known
    return squares.sum() / known.sum().clamp(min=1) + estimates.sum() * 0
