"""What a detection network learns beside its boxes: pixels in lesions, the height in the body.

A target may have ``ellipses`` (n, 5), the pseudo-masks of its boxes and of what is ignored, and
``height``, a scalar: the slice's z in [0, 1], NaN where it is not known.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from retrieval.detection.parts.masks import DenseMaskHead, ellipse_masks, mask_loss
from retrieval.detection.parts.views import height_loss


class SideLessons(nn.Module):
    """The loss terms of one batch that its boxes do not have.

    Args:
        masks: the head of pseudo-masks, None for none.
        stride: of the finest map.
        mask_weight, height_weight: of the terms.
    """

    def __init__(
        self,
        masks: DenseMaskHead | None,
        *,
        stride: int,
        mask_weight: float,
        height_weight: float,
    ) -> None:
        super().__init__()
        self.masks = masks
        self.stride = stride
        self.mask_weight, self.height_weight = mask_weight, height_weight
        self._finest: Tensor | None = None
        self._height: Tensor | None = None

    def hear(self, finest: Tensor, height: Tensor | None) -> None:
        """Keeps what the terms of this batch need, until they are asked for."""
        self._finest = finest if self.masks is not None else None
        self._height = height

    def terms(self, targets: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
        """The weighted terms of the batch that was heard last; none where there is no head."""
        terms: dict[str, Tensor] = {}
        if self.masks is not None and self._finest is not None:
            logits = self.masks(self._finest)
            masks, known = zip(*(self._lesson(x, logits.shape[2:]) for x in targets), strict=True)
            loss = mask_loss(logits, torch.stack(masks)[:, None], torch.stack(known)[:, None])
            terms["masks"] = self.mask_weight * loss
        if self._height is not None:
            heights = [x.get("height", self._height.new_tensor(float("nan"))) for x in targets]
            terms["height"] = self.height_weight * height_loss(self._height, torch.stack(heights))
        self._finest = self._height = None
        return terms

    def _lesson(self, target: dict[str, Tensor], shape: torch.Size) -> tuple[Tensor, Tensor]:
        """Mask and knowledge (rows, columns) of one slice."""
        size = (int(shape[0]), int(shape[1]))
        boxes = target["boxes"]
        ellipses = target.get("ellipses")
        if ellipses is None:
            ellipses = around(boxes, 0.0)
        mask = ellipse_masks(ellipses, size, self.stride)
        known = torch.ones_like(mask, dtype=torch.bool)
        if len(target["ignored"]):
            unsure = around(target["ignored"], 0.0)
            known &= ellipse_masks(unsure, size, self.stride) == 0
        reach = float(target["reach_px"])
        if reach != float("inf"):
            known &= ellipse_masks(around(boxes, reach), size, self.stride) > 0
        return mask, known | (mask > 0)


def around(boxes: Tensor, margin: float) -> Tensor:
    """(n, 5): upright ellipses of (n, 4) boxes, ``margin`` pixels larger on every side."""
    middle = (boxes[:, :2] + boxes[:, 2:]) / 2
    half = (boxes[:, 2:] - boxes[:, :2]) / 2 + margin
    return torch.cat([middle, half, torch.zeros(len(boxes), 1, device=boxes.device)], dim=1)
