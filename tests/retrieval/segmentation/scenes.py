"""Balls of soft tissue in lung or in an organ, with their truth, and a network that sees HU."""

from __future__ import annotations

import numpy as np
import torch
from torch import nn

from retrieval.image import Slab
from retrieval.lesion import Recist
from retrieval.segmentation.intervals import MeasureCalibration
from retrieval.segmentation.segmenter import LesionSegmenter
from retrieval.segmentation.view import ViewSpec

SPACING, INTERVAL, SIDE, SLICES = (0.8, 0.8), 2.0, 64, 15
KEY, CENTER, RADIUS_MM = 7, (33.0, 30.0), 8.0


def ball(*, around: float = -850.0, inside: float = 40.0, noise: float = 8.0) -> Slab:
    """A ball of 16 mm on the key slice of a small slab."""
    hu = np.where(truth(), inside, around)
    hu = hu + np.random.default_rng(3).normal(0, noise, hu.shape)
    return Slab(hu.astype(np.float32), SPACING, INTERVAL, KEY)


def truth() -> np.ndarray:
    """The ball's voxels."""
    z, y, x = np.mgrid[:SLICES, :SIDE, :SIDE].astype(float)
    away = np.hypot((x - CENTER[0]) * SPACING[0], (y - CENTER[1]) * SPACING[1])
    return np.hypot(away, (z - KEY) * INTERVAL) <= RADIUS_MM


def mark() -> Recist:
    """Both diameters of the ball."""
    x, y = CENTER
    reach = RADIUS_MM / SPACING[0]
    return Recist(((x - reach, y), (x + reach, y), (x, y - reach), (x, y + reach)))


class Threshold(nn.Module):
    """Stands for a network: lesion is what is denser than -160 HU, and the guide holds."""

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        dense = views[:, 4] + 1  # the middle plane under the soft-tissue window, from 0
        return 12 * (dense - 0.4)


class Nothing(nn.Module):
    """A network that finds no lesion anywhere."""

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        return torch.full((len(views), *views.shape[2:]), -8.0)


class Everything(nn.Module):
    """A network that finds lesion everywhere."""

    def forward(self, views: torch.Tensor) -> torch.Tensor:
        return torch.full((len(views), *views.shape[2:]), 8.0)


def segmenter(network: nn.Module | None = None) -> LesionSegmenter:
    """A segmenter with one of the networks above."""
    return LesionSegmenter(network or Threshold(), ViewSpec(), "scene")  # type: ignore[arg-type]


FOUR = (-2.0, -1.0, 1.0, 2.0)
MEASURES = ("long_mm", "short_mm", "who_mm2", "area_mm2", "volume_mm3", "mean_hu", "sd_hu")
CALIBRATION = MeasureCalibration(
    {kind: dict.fromkeys(MEASURES, FOUR) for kind in ("recist", "box", "point")}, (0.05, 0.1), {}
)
