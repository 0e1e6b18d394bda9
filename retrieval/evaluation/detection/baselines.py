"""Detectors that learned nothing: what a trained one must beat to mean anything."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from scipy import ndimage

from retrieval.detection.merging import MergeMethod, merge_proposals
from retrieval.detection.proposals import Proposal
from retrieval.evaluation.stats.metrics import FloatArray
from retrieval.image import CT_HU, Slab, apply_window
from retrieval.lesion import BOX_PADDING_PX, Box
from retrieval.tissue import body_mask

BASELINE_BOXES = 100
"""Boxes a slice: far more than the largest rate of false positives that is read."""

BLOB_RADII_MM = (2.5, 3.5, 5.0, 7.0, 10.0, 14.0, 20.0, 28.0)
"""Lesions of 5 to 56 mm in steps of the square root of two."""

BLOB_WINDOWS = (CT_HU.windows["soft tissue"], CT_HU.windows["lung"])
_BLOB_MM_PX = 1.5
_BLOB_IOU = 0.3
_UNSATURATED = (0.05, 0.95)
"""A blob whose own grey lies outside is bone, gas or contrast medium, or of the other window."""


@dataclass
class RandomBoxes:
    """Boxes of one size about random points of the body, with random scores.

    Attributes:
        width, height: of every box, in pixels; the medians of the archive's lesions.
        generator: draws points and scores.
    """

    width: float
    height: float
    generator: Generator

    def detect(self, slab: Slab) -> tuple[Proposal, ...]:
        """BASELINE_BOXES boxes on the key slice; none where no body is seen."""
        rows, columns = np.nonzero(body_mask(slab.hu[slab.key_slice]))
        if len(rows) == 0:
            return ()
        picks = self.generator.integers(0, len(rows), BASELINE_BOXES)
        half_width, half_height = self.width / 2, self.height / 2
        scores = np.sort(self.generator.random(BASELINE_BOXES))[::-1]
        return tuple(
            Proposal(
                Box(x - half_width, y - half_height, x + half_width, y + half_height), float(score)
            )
            for x, y, score in zip(columns[picks], rows[picks], scores, strict=True)
        )


@dataclass
class BlobDetector:
    """Bright and dark compact regions of the body, at the scale on which they stand out most.

    Maxima over place and scale of the dot filter of Li, Sone and Doi (Med Phys 2003): with the
    eigenvalues of the Hessian of the smoothed slice, of which l1 is the larger in magnitude, the
    answer is l2 squared over l1 where both have one sign. Edges and vessels, which bend one way
    only, answer nothing. In the soft tissue and the lung window; a disc of radius r answers most
    at sigma = r / sqrt 2. The box is the disc's extent plus DeepLesion's padding.
    """

    radii_mm: tuple[float, ...] = field(default=BLOB_RADII_MM)

    def detect(self, slab: Slab) -> tuple[Proposal, ...]:
        """At most BASELINE_BOXES blobs of the key slice, best first."""
        plane = slab.hu[slab.key_slice]
        body = body_mask(plane)
        x_mm, y_mm = slab.spacing_mm_px
        size = (
            max(round(slab.columns * x_mm / _BLOB_MM_PX), 1),
            max(round(slab.rows * y_mm / _BLOB_MM_PX), 1),
        )
        inside = cv2.resize(body.astype(np.uint8), size, interpolation=cv2.INTER_NEAREST) > 0
        blobs = [
            blob
            for window in BLOB_WINDOWS
            for blob in self._blobs(
                cv2.resize(apply_window(plane, *window), size, interpolation=cv2.INTER_AREA), inside
            )
        ]
        scale = (slab.columns / size[0], slab.rows / size[1])
        proposals = [
            _proposal_of(blob, scale, slab.spacing_mm_px)
            for blob in sorted(blobs, reverse=True)[: 4 * BASELINE_BOXES]
        ]
        return merge_proposals(
            proposals, method=MergeMethod.NMS, iou=_BLOB_IOU, limit=BASELINE_BOXES
        )

    def _blobs(
        self, grey: NDArray[np.float32], inside: NDArray[np.bool_]
    ) -> list[tuple[float, float, float, float]]:
        """(answer, radius in mm, x, y) of each maximum; x and y in pixels of ``grey``."""
        answers = np.stack([_dot_answer(grey, radius / _BLOB_MM_PX) for radius in self.radii_mm])
        answers *= inside
        highest = ndimage.maximum_filter(answers, size=(3, 5, 5), mode="constant")
        scales, rows, columns = np.nonzero((answers == highest) & (answers > 0.005))
        return [
            (float(answers[scale, row, column]), self.radii_mm[scale], float(column), float(row))
            for scale, row, column in zip(scales, rows, columns, strict=True)
        ]


def _dot_answer(grey: NDArray[np.float32], radius_px: float) -> FloatArray:
    """The dot filter at one scale; 0 where the smoothed grey is saturated."""
    sigma = radius_px / np.sqrt(2.0)
    smooth = ndimage.gaussian_filter(grey.astype(np.float64), sigma)
    down, across = np.gradient(smooth)
    down_down, down_across = np.gradient(down)
    across_across = np.gradient(across, axis=1)
    mean = (down_down + across_across) / 2
    spread = np.hypot((down_down - across_across) / 2, down_across)
    larger, smaller = np.abs(mean) + spread, np.abs(mean) - spread
    dots = np.divide(smaller**2, larger, out=np.zeros_like(mean), where=smaller > 0)
    dots *= (smooth > _UNSATURATED[0]) & (smooth < _UNSATURATED[1])
    return np.asarray(sigma**2 * dots)


def _proposal_of(
    blob: tuple[float, float, float, float],
    scale: tuple[float, float],
    spacing_mm_px: tuple[float, float],
) -> Proposal:
    answer, radius_mm, column, row = blob
    # Pixel centres: the first pixel of a shrunken image covers several of the whole one.
    x, y = (column + 0.5) * scale[0] - 0.5, (row + 0.5) * scale[1] - 0.5
    half_width = radius_mm / spacing_mm_px[0] + BOX_PADDING_PX
    half_height = radius_mm / spacing_mm_px[1] + BOX_PADDING_PX
    box = Box(x - half_width, y - half_height, x + half_width, y + half_height)
    return Proposal(box, min(answer, 1.0), long_mm=2 * radius_mm)
