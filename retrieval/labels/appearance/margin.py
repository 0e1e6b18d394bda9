"""How a lesion ends, as a few numbers: sharply or in haze, evenly or in spikes.

The density falls along rays across the edge that the box tells of (``outline``); how steep that is
and how much it differs from ray to ray is what radiologists call its margin.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.labels.appearance.outline import STEP_MM, LesionOutline
from retrieval.patch import Patch

_HAZE_HU = (-800.0, -300.0)
_SOFT_HU = -150.0
_LOW_HU, _HIGH_HU = -1000.0, 300.0

_PARTS = ("lesion", "rim", "both")

NAMES = (
    *(f"fall quantile {quantile:g}" for quantile in (0.25, 0.5, 0.75)),
    "fall spread",
    "fall of the mean",
    "range along rays",
    "width of the edge",
    "width of the edge, quantile 0.75",
    "width of the mean edge",
    "contrast of the mean",
    *(
        f"{part} {what}"
        for part in _PARTS
        for what in ("haze", "soft", "median", "spread", "quartile", "upper quartile")
    ),
    "slope quantile 0.9",
    "slope median",
    "jaggedness",
    "edge spread over rays",
    "change over planes",
    "median of the neighbour planes",
    "lesion width",
    "lesion height",
)
"""What each number is, in order."""


def margin(patch: Patch, outline: LesionOutline) -> NDArray[np.float32]:
    """The numbers of one patch."""
    key = patch.hu[len(patch.hu) // 2]
    return np.array(
        [
            *_edges(outline.profiles(key)),
            *_parts(key, outline),
            *_slopes(key, outline),
            *_outlines(outline.profiles(key)),
            *_planes(patch, outline),
            np.log(outline.half[0]),
            np.log(outline.half[1]),
        ],
        dtype=np.float32,
    )


def _falls(profiles: NDArray[np.float32]) -> NDArray[np.float32]:
    """HU lost for each mm outward, (rays, samples - 1)."""
    bounded = np.clip(profiles, _LOW_HU, _HIGH_HU)
    falls: NDArray[np.float32] = -np.diff(bounded, axis=1) / np.float32(STEP_MM)
    return falls


def _edges(profiles: NDArray[np.float32]) -> list[float]:
    bounded = np.clip(profiles, _LOW_HU, _HIGH_HU)
    steepest = _falls(profiles).max(axis=1)
    mean = bounded.mean(axis=0)
    mean_fall = float((-np.diff(mean) / STEP_MM).max())
    ranges = bounded.max(axis=1) - bounded.min(axis=1)
    contrast = float(mean[0] - mean[-1])
    widths = ranges / np.maximum(steepest, 1.0)
    return [
        *(_root(np.quantile(steepest, quantile)) for quantile in (0.25, 0.5, 0.75)),
        _root(steepest.std()),
        _root(mean_fall),
        float(np.median(ranges)) / 1000.0,
        _length(np.median(widths)),
        _length(np.quantile(widths, 0.75)),
        _length(contrast / max(mean_fall, 1.0)),
        contrast / 1000.0,
    ]


def _parts(key: NDArray[np.float32], outline: LesionOutline) -> list[float]:
    numbers: list[float] = []
    for part in (outline.lesion, outline.rim, outline.lesion | outline.rim):
        values = np.clip(key[part], -1024.0, 800.0)
        low, middle, high = np.quantile(values, (0.25, 0.5, 0.75))
        numbers += [
            float(((values > _HAZE_HU[0]) & (values < _HAZE_HU[1])).mean()),
            float((values > _SOFT_HU).mean()),
            float(middle) / 1000.0,
            float(values.std()) / 1000.0,
            float(low) / 1000.0,
            float(high) / 1000.0,
        ]
    return numbers


def _slopes(key: NDArray[np.float32], outline: LesionOutline) -> list[float]:
    along_y, along_x = np.gradient(key)
    steep = np.hypot(along_x, along_y)[outline.lesion | outline.rim]
    return [_root(np.quantile(steep, 0.9)), _root(np.median(steep))]


def _outlines(profiles: NDArray[np.float32]) -> list[float]:
    """How much the place of the steepest fall differs between neighbouring rays, and over all."""
    places = np.argmax(_falls(profiles), axis=1) * STEP_MM
    between = np.abs(np.diff(np.append(places, places[0])))
    return [float(between.mean()), float(places.std())]


def _planes(patch: Patch, outline: LesionOutline) -> list[float]:
    below, above = patch.hu[0][outline.lesion], patch.hu[-1][outline.lesion]
    return [
        float(np.abs(np.clip(below, -1024, 800) - np.clip(above, -1024, 800)).mean()) / 1000.0,
        float(np.clip(min(np.median(below), np.median(above)), -1024, 800)) / 1000.0,
    ]


def _root(fall: float | np.floating[Any]) -> float:
    """Steep edges bounded, so that one does not decide."""
    return float(np.sqrt(max(float(fall), 0.0))) / 10.0


def _length(width_mm: float | np.floating[Any]) -> float:
    return float(np.log(np.clip(float(width_mm), 0.3, 50.0)))
