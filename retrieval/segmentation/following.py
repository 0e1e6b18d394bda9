"""The prompt for a slice from the mask of the slice beside it."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import Box
from retrieval.segmentation.prompt import MARK_MARGIN, SMALLEST_SIDE_MM, Prompt, PromptKind


def follow_prompt(probability: NDArray[np.float32], spacing_mm_px: tuple[float, float]) -> Prompt:
    """A view about the mask of a neighbouring slice; its guide is that mask, not an ellipse.

    Args:
        probability: (rows, columns) of the neighbouring slice, above a half somewhere.
        spacing_mm_px: millimetres per pixel along (x, y).
    """
    rows, columns = np.nonzero(probability > 0.5)
    box = Box(
        float(columns.min()) - 0.5,
        float(rows.min()) - 0.5,
        float(columns.max()) + 0.5,
        float(rows.max()) + 0.5,
    )
    width, height = box.width * spacing_mm_px[0], box.height * spacing_mm_px[1]
    extent = max(width, height)
    halves = (width / 2, width / 2, height / 2, height / 2)
    side = max(MARK_MARGIN * extent, SMALLEST_SIDE_MM)
    axes = ((1.0, 0.0), (0.0, 1.0))
    return Prompt(PromptKind.SLICE, box.center, *axes, halves, side, box.center)
