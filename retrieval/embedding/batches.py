"""Batches of sequences for each step, drawn and gathered ahead of the loop by one thread.

Everything random in step k comes from (seed, rank, k) alone. A run that is killed and resumed
draws the very same batches, with no generator's state to keep.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
import torch

from retrieval.embedding.augment import MIRRORED_TYPES
from retrieval.embedding.objective import SequenceBatch
from retrieval.embedding.sampling import MISSING, SequenceSampler
from retrieval.embedding.training_data import TrainingData
from retrieval.synthesis.degradation.random import DegradationConfig, degraded
from retrieval.training.prefetch import ahead


@dataclass(frozen=True)
class BatchSource:
    """Where the batches of one stretch of training come from.

    With ``degradation`` every patch comes a second time, as from a worse scan, or with
    ``worse_alone`` only so; ``grid_mm`` is the pixel and the slice interval of the patches.
    """

    training: TrainingData
    sampler: SequenceSampler
    sequences: int
    seed: int
    rank: int = 0
    grid_mm: tuple[float, float] = (1.0, 2.0)
    degradation: DegradationConfig | None = None
    worse_alone: bool = False

    def batch(self, step: int) -> SequenceBatch:
        """The batch of one step, always the same one."""
        rng = np.random.default_rng([self.seed, self.rank, step])
        drawn = self.sampler.draw(self.sequences, rng)
        present = drawn != MISSING
        rows = drawn[present]
        table = self.sampler.table
        mirrored = np.isin(table.types, list(MIRRORED_TYPES))
        coins = rng.random(len(drawn)) < 0.5
        flips = mirrored[rows] & np.broadcast_to(coins[:, None], drawn.shape)[present]
        locations = table.locations[rows].copy()
        locations[flips, 0] = 1 - locations[flips, 0]
        learnable = self.training.multi_type[table.archives[rows]]
        hu, boxes = self.training.gather(rows)
        worse = torch.empty(0) if self.degradation is None else self._worse(hu, rng)
        if self.worse_alone:
            hu, worse = worse, torch.empty(0)
        return SequenceBatch(
            hu=hu,
            boxes=boxes,
            flips=torch.from_numpy(flips),
            present=torch.from_numpy(present),
            archives=torch.from_numpy(table.archives[rows]),
            tracks=torch.from_numpy(table.own_tracks[rows]),
            types=torch.from_numpy(np.where(learnable, table.types[rows], -1)),
            locations=torch.from_numpy(locations).float(),
            attributes=torch.from_numpy(table.attributes[rows]).float(),
            rows=torch.from_numpy(rows),
            worse=worse,
        )

    def _worse(self, hu: torch.Tensor, rng: np.random.Generator) -> torch.Tensor:
        assert self.degradation is not None
        views = [degraded(patch, self.grid_mm, self.degradation, rng) for patch in hu.numpy()]
        return torch.from_numpy(np.stack(views))

    def ahead(self, first: int, last: int) -> Iterator[tuple[int, SequenceBatch]]:
        """(step, batch) for the steps from ``first`` up to, not including, ``last``."""
        return ahead(self.batch, first, last)
