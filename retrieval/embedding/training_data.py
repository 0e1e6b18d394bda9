"""TrainingData: several archives as one table of lesions over their patch caches."""

from __future__ import annotations

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.embedding.cache import PatchCache
from retrieval.embedding.recipe import Recipe
from retrieval.lesion import LesionSearchError, Split
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive
from retrieval.sources.lesion_table import LesionTable, Rows
from retrieval.training.paper_split import paper_part

_logger = logging.getLogger(__name__)


class TrainingDataError(LesionSearchError):
    """Archives from which nothing can be learned."""


@dataclass(frozen=True)
class TrainingData:
    """Lesions of all archives, and their cached patches.

    Attributes:
        table: all lesions.
        caches: one for each archive, in the order of the table's archive numbers.
        names: the archives' folder names.
        weights: how often an anchor comes from each archive.
        multi_type: (archives,), whether an archive holds several lesion types. Where it holds
            one, its type is the look of the source, and the type head is not trained on it.
    """

    table: LesionTable
    caches: tuple[PatchCache, ...]
    names: tuple[str, ...]
    weights: tuple[float, ...]
    multi_type: NDArray[np.bool_]

    @classmethod
    def open(
        cls,
        archives: Sequence[Archive],
        recipe: Recipe,
        cache_root: Path,
        *,
        progress: ReportProgress | None = None,
    ) -> TrainingData:
        """Cuts or opens every archive's patch cache under ``cache_root`` and joins the tables."""
        if len({archive.root.resolve() for archive in archives}) != len(archives) or not archives:
            raise TrainingDataError(f"{len(archives)} archives given: name each one once")
        names = tuple(archive.root.resolve().name for archive in archives)
        if absent := sorted(set(recipe.data.weights) - set(names)):
            _logger.warning(
                "recipe %s also weighs %s: not given, trained without", recipe.name, absent
            )
        caches = []
        for number, archive in enumerate(archives):
            folder = cache_root / f"{number:02d}-{re.sub(r'[^A-Za-z0-9_-]', '_', names[number])}"
            caches.append(PatchCache.build(archive, recipe.patch, folder, progress=progress))
        table = LesionTable.joined(
            [LesionTable.of(archive, recipe.data.attributes) for archive in archives]
        )
        if recipe.data.paper_seeds:
            table = with_paper_seeds(table, seed=recipe.seed)
        multi_type = [
            len(np.unique(table.types[(table.archives == n) & (table.types > 0)])) > 1
            for n in range(len(archives))
        ]
        weights = tuple(recipe.data.weights.get(name, 1.0) for name in names)
        return cls(table, tuple(caches), names, weights, np.array(multi_type))

    def rows(self, split: Split) -> Rows:
        """The readable lesions of one split, of archives that are drawn at all."""
        readable = np.concatenate([cache.readable for cache in self.caches])
        drawn = np.array(self.weights)[self.table.archives] > 0
        return np.flatnonzero(readable & drawn & (self.table.splits == split.code))

    def gather(self, rows: Rows) -> tuple[Tensor, Tensor]:
        """Cached patches (n, slices, p, p), int16 HU, and boxes (n, 4) of n table rows."""
        starts = np.searchsorted(self.table.archives, np.arange(len(self.caches)))
        hu = np.empty((len(rows), *self.caches[0].patches.shape[1:]), np.int16)
        boxes = np.empty((len(rows), 4), np.float32)
        archives = self.table.archives[rows]
        for number in np.unique(archives):
            here = np.flatnonzero(archives == number)
            inside = rows[here] - starts[number]
            hu[here] = self.caches[number].patches[inside]
            boxes[here] = self.caches[number].boxes[inside]
        return torch.from_numpy(hu), torch.from_numpy(boxes)


def with_paper_seeds(table: LesionTable, *, seed: int) -> LesionTable:
    """The table in which every patient with a typed lesion is in his part of the paper's split.

    Seed patients join the train split. The other typed patients leave it, should they have been
    there: ``evaluate retrieval --split paper`` with the same seed asks about them.

    Args:
        table: the lesions of all archives.
        seed: of the paper's split.
    """
    typed = np.isin(table.patients, np.unique(table.patients[table.types > 0]))
    splits = table.splits.copy()
    for row in np.flatnonzero(typed).tolist():
        splits[row] = paper_part(table.lesions[row].patient_id, seed=seed).code
    return replace(table, splits=splits)
