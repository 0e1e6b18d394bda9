"""Identity over acquisitions: a lesion on a worse scan against every other lesion.

InfoNCE (van den Oord et al., 2018, equation 4) between the two views, with a cross-batch memory
of earlier vectors as further strangers (Wang et al., CVPR 2020): a batch on a CPU is too small to
hold hard ones.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class VectorMemory(nn.Module):
    """The last ``size`` vectors, their tracks and ratings; in the checkpoint, not the encoder."""

    vectors: Tensor
    tracks: Tensor
    ratings: Tensor

    def __init__(self, size: int, dimension: int, ratings: int = 0) -> None:
        super().__init__()
        self.register_buffer("vectors", torch.zeros(size, dimension))
        self.register_buffer("tracks", torch.full((size,), -1, dtype=torch.long))
        self.register_buffer("ratings", torch.full((size, ratings), torch.nan))

    @torch.no_grad()
    def push(self, vectors: Tensor, tracks: Tensor, ratings: Tensor | None = None) -> None:
        """Takes the newest vectors (n, d) of tracks (n,) in and lets the oldest go.

        ``ratings`` are (n, r), NaN where unknown; None for a memory of none.
        """
        size = len(self.tracks)
        if ratings is not None:
            self.ratings.copy_(torch.cat([ratings.to(self.ratings), self.ratings])[:size])
        self.vectors.copy_(torch.cat([vectors.detach().to(self.vectors), self.vectors])[:size])
        self.tracks.copy_(torch.cat([tracks.to(self.tracks), self.tracks])[:size])


class ViewLoss(nn.Module):
    """Cross entropy of finding each lesion's other view among all lesions."""

    def __init__(self, temperature: float = 0.1) -> None:
        super().__init__()
        self.temperature = temperature

    def forward(
        self, first: Tensor, second: Tensor, tracks: Tensor, memory: VectorMemory
    ) -> Tensor:
        """The mean over both directions.

        Args:
            first, second: (n, d) unit vectors of the two views.
            tracks: (n,) codes; another lesion of the same track is no stranger and left out.
            memory: strangers of earlier batches; not changed.
        """
        one_way = self._one_way(first, second, tracks, memory)
        return (one_way + self._one_way(second, first, tracks, memory)) / 2

    def _one_way(
        self, asked: Tensor, answers: Tensor, tracks: Tensor, memory: VectorMemory
    ) -> Tensor:
        gallery = torch.cat([answers, memory.vectors.to(answers)])
        of_gallery = torch.cat([tracks, memory.tracks.to(tracks)])
        logits = asked @ gallery.T / self.temperature
        same = tracks[:, None] == of_gallery[None, :]
        same[torch.arange(len(asked)), torch.arange(len(asked))] = False
        absent = (of_gallery < 0)[None, :]
        logits = logits.masked_fill(same | absent, -torch.inf)
        return F.cross_entropy(logits, torch.arange(len(asked), device=asked.device))
