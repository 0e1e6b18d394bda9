"""The maps under a mask as one vector, and the slice's numbers beside it: what tags are told by.

The vector stands where the single tag head has the encoder's; the numbers of the image
(``retrieval.labels.appearance.image_numbers``) are the same, of a patch on the detector's grid.
"""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from retrieval.multitask.rois import RoiInputs


class TagVector(nn.Module):
    """RoiInputs and masks -> (k, dimension) unit vectors.

    Means of the fine maps under the mask and about it, and of the coarse maps in the prompt and in
    the square, standardised by what they are on training lesions.
    """

    mean: Tensor
    spread: Tensor

    def __init__(self, fine: int, coarse: int) -> None:
        super().__init__()
        self.dimension = 2 * fine + 2 * coarse
        self.register_buffer("mean", torch.zeros(self.dimension))
        self.register_buffer("spread", torch.ones(self.dimension))

    def pooled(self, inputs: RoiInputs, probabilities: Tensor) -> Tensor:
        """(k, dimension), not yet standardised."""
        guide = inputs.guide
        rim = (guide > 0.15).float() * (1 - probabilities)
        side = inputs.coarse.shape[-1]
        small = functional.adaptive_avg_pool2d(guide[:, None], side)[:, 0]
        return torch.cat(
            [
                _weighted(inputs.fine, probabilities),
                _weighted(inputs.fine, rim),
                _weighted(inputs.coarse, small),
                inputs.coarse.mean(dim=(2, 3)),
            ],
            dim=1,
        )

    def learn_scale(self, pooled: Tensor) -> None:
        """Takes mean and spread from (lesions, dimension) of training lesions."""
        self.mean.copy_(pooled.mean(dim=0))
        self.spread.copy_(pooled.std(dim=0).clamp(min=1e-6))

    def standardised(self, pooled: Tensor) -> Tensor:
        """Unit vectors of ``pooled``."""
        standard = ((pooled - self.mean) / self.spread).clamp(-5, 5)
        return functional.normalize(standard, dim=1)

    def forward(self, inputs: RoiInputs, probabilities: Tensor) -> Tensor:
        """The vectors."""
        return self.standardised(self.pooled(inputs, probabilities))


def _weighted(maps: Tensor, weights: Tensor) -> Tensor:
    """(k, channels): means of (k, channels, rows, columns) by (k, rows, columns) weights."""
    total = weights.sum(dim=(1, 2)).clamp(min=1e-3)
    return torch.einsum("kcrs,krs->kc", maps, weights) / total[:, None]


def as_array(vectors: Tensor) -> NDArray[np.float32]:
    """Vectors as NumPy has them."""
    return np.asarray(vectors.detach().float().cpu().numpy(), np.float32)
