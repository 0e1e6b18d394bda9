"""RECIST mark of a lesion from its visible cross-section, as a reader would draw it."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import Recist
from retrieval.synthesis.phantom.body.painting import LesionTrace

FINER = 4
"""Contours are followed on a grid this much finer than the pixels."""


@dataclass(frozen=True)
class PhantomMark:
    """A mark in pixels of the slice, its diameters and the area in pixels."""

    recist: Recist
    long_px: float
    short_px: float
    area_px: float


def area_px(trace: LesionTrace) -> float:
    """Visible cross-section in pixels."""
    return float(trace.coverage.sum())


def mark_lesion(trace: LesionTrace) -> PhantomMark | None:
    """Longest diameter, and longest diameter across it; None where nothing is visible."""
    outline = _outline(trace.coverage)
    if outline is None:
        return None
    hull = cv2.convexHull(outline.astype(np.float32))[:, 0, :].astype(np.float64)
    gaps = np.linalg.norm(hull[:, None] - hull[None], axis=2)
    first, second = np.unravel_index(int(np.argmax(gaps)), gaps.shape)
    start, end = hull[first], hull[second]
    along = (end - start) / max(float(gaps[first, second]), 1e-9)
    across = np.array([-along[1], along[0]])
    low, high = _widest(outline, along, across)
    rows, columns = trace.window
    corner = np.array([columns.start, rows.start], float)
    points = [point + corner for point in (start, end, low, high)]
    recist = Recist(tuple((float(x), float(y)) for x, y in points))
    return PhantomMark(
        recist,
        float(gaps[first, second]),
        float(np.linalg.norm(high - low)),
        float((trace.coverage > 0.5).sum()),
    )


def _outline(covered: NDArray[np.float32]) -> NDArray[np.float64] | None:
    """Contour points (n, 2) as (x, y) in pixels of the window, of the largest part."""
    rows, columns = covered.shape
    fine = cv2.resize(covered, (columns * FINER, rows * FINER), interpolation=cv2.INTER_LINEAR)
    mask = (fine > 0.5).astype(np.uint8)
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
    if not contours:
        return None
    largest = max(contours, key=cv2.contourArea)
    # resize() puts the centre of a coarse pixel between two fine ones.
    return np.asarray((largest[:, 0, :] + 0.5) / FINER - 0.5, np.float64)


def _widest(
    outline: NDArray[np.float64], along: NDArray[np.float64], across: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """End points of the longest chord in direction ``across``."""
    stations, heights = outline @ along, outline @ across
    bins = np.floor((stations - stations.min()) * FINER / 2).astype(int)
    low = np.full(bins.max() + 1, np.inf)
    high = np.full(bins.max() + 1, -np.inf)
    np.minimum.at(low, bins, heights)
    np.maximum.at(high, bins, heights)
    best = int(np.argmax(np.where(np.isfinite(low), high - low, -np.inf)))
    station = float(stations[bins == best].mean())
    return station * along + low[best] * across, station * along + high[best] * across
