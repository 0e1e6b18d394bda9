"""A lesion on a worse scan held where a teacher puts it on the scan as it is.

The teacher is a frozen encoder. Its vectors are the targets, so what it knows of lesions stays,
and no label is needed (features as targets: Romero et al., ICLR 2015; all of a teacher's vectors
as strangers: Tian et al., ICLR 2020).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor


@dataclass(frozen=True)
class KnownVectors:
    """What a teacher says of the m lesions of a run.

    Attributes:
        vectors: (m, d), unit norm: half the teacher's of the lesion, half the mean of its track.
        tracks: (m,) codes.
        places: (rows of the table,) where a row stands among the m; -1 elsewhere.
    """

    vectors: Tensor
    tracks: Tensor
    places: Tensor

    @classmethod
    def of(cls, vectors: Tensor, rows: NDArray[np.int64], tracks: NDArray[np.int64]) -> Self:
        """From a teacher's (rows of the table, d) unit vectors, those of ``rows`` being known.

        One lesion's slices and studies share a track: they are drawn a little together.
        """
        chosen = torch.from_numpy(rows).to(vectors.device)
        own = vectors[chosen]
        _, groups = np.unique(tracks[rows], return_inverse=True)
        codes = torch.from_numpy(groups).to(vectors.device)
        sums = torch.zeros(int(groups.max()) + 1, own.shape[1], device=own.device)
        sums = F.normalize(sums.index_add(0, codes, own), dim=1)
        places = torch.full((len(vectors),), -1, dtype=torch.long, device=vectors.device)
        places[chosen] = torch.arange(len(rows), device=vectors.device)
        return cls(F.normalize(own + sums[codes], dim=1), codes, places)

    def kept(self, vectors: Tensor, rows: Tensor) -> Tensor:
        """One less the mean cosine of (n, d) unit vectors to those known of their rows (n,)."""
        return 1 - (vectors * self.vectors[self.places[rows]]).sum(dim=1).mean()

    def found(self, vectors: Tensor, rows: Tensor, *, temperature: float) -> Tensor:
        """Cross entropy of each row's own vector among all that are known.

        Another lesion of the same track is no stranger and left out.
        """
        own = self.places[rows]
        logits = vectors @ self.vectors.T / temperature
        same = self.tracks[own][:, None] == self.tracks[None, :]
        same[torch.arange(len(own), device=own.device), own] = False
        return F.cross_entropy(logits.masked_fill(same, -torch.inf), own)
