"""Text that was burned into an axial slice: rendered glyphs in the air around the body.

Text in pixels is drawn where it hides nothing, near the border. There it is a row of small, thin,
bright shapes of one height, which a patient, a couch or a cable is not. The detector looks for
such rows and knows no letters; it warns, and does not say what is written. Text drawn over the
body is not looked for.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

STROKE_CONTRAST = 0.15
"""How far a stroke stands above what is around it, as a share of the slice's range."""

STROKE_PX = 9
"""Strokes are thinner than this."""

GLYPH_HEIGHT_PX = (5, 48)
WIDEST_WORD = 20
"""Glyphs that touch are one shape: so many times as wide as high at most."""

LEAST_GLYPHS = 4
"""Glyphs of one line; fewer are taken for wires, markers and noise."""

STROKES_A_GLYPH = 1.7
"""Vertical strokes that a row of pixels crosses in one letter or digit, on average."""

MOST_SHAPES = 4_000
"""More small shapes than this on one slice are noise."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """A glyph, or several that touch; ``glyphs`` is about how many."""

    x: int
    y: int
    width: int
    height: int
    glyphs: float

    @property
    def middle(self) -> float:
        return self.y + self.height / 2


def shows_text(pixels: NDArray[np.integer | np.floating]) -> bool:
    """Whether glyphs seem to be burned into a slice (rows, columns) outside the body."""
    grey = _grey(pixels)
    shapes = _shapes(grey, ~_body(grey))
    return len(shapes) <= MOST_SHAPES and _longest_line(shapes) >= LEAST_GLYPHS


def _grey(pixels: NDArray[np.integer | np.floating]) -> NDArray[np.float32]:
    """The slice from 0 to 1."""
    values = pixels.astype(np.float32)
    low, high = float(values.min()), float(values.max())
    scaled = (values - low) / max(high - low, 1.0)
    return np.asarray(scaled, dtype=np.float32)


def _body(grey: NDArray[np.float32]) -> NDArray[np.bool_]:
    """The largest connected part above the middle of the slice's own histogram, holes filled.

    Thin strokes are opened away first, so that text that touches the body is not part of it.
    """
    threshold, _ = cv2.threshold(
        np.rint(grey * 255).astype(np.uint8), 0, 255, cv2.THRESH_BINARY + cv2.THRESH_OTSU
    )
    solid = (grey * 255 > threshold).astype(np.uint8)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (STROKE_PX, STROKE_PX))
    solid = np.asarray(cv2.morphologyEx(solid, cv2.MORPH_OPEN, kernel), dtype=np.uint8)
    contours, _ = cv2.findContours(solid, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    body = np.zeros(grey.shape, np.uint8)
    if contours:
        largest = max(contours, key=cv2.contourArea)
        cv2.drawContours(body, [largest], -1, 1, thickness=cv2.FILLED)
    grown = cv2.dilate(body, cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (5, 5)))
    return np.asarray(grown, dtype=bool)


def _shapes(grey: NDArray[np.float32], outside: NDArray[np.bool_]) -> list[_Shape]:
    """Small thin bright shapes outside the body."""
    kernel = cv2.getStructuringElement(cv2.MORPH_RECT, (STROKE_PX, STROKE_PX))
    thin = cv2.morphologyEx(grey, cv2.MORPH_TOPHAT, kernel) > STROKE_CONTRAST
    strokes = (np.asarray(thin) & outside).astype(np.uint8)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(strokes, connectivity=8)
    low, high = GLYPH_HEIGHT_PX
    found = []
    for label, (x, y, width, height, area) in enumerate(stats[1:count].tolist(), start=1):
        filled = area / (width * height)
        if not (low <= height <= high and width <= WIDEST_WORD * height and filled >= 0.12):
            continue
        shape = np.asarray(labels)[y : y + height, x : x + width] == label
        glyphs = max(1.0, _strokes(shape) / STROKES_A_GLYPH)
        if width <= 1.5 * height or glyphs > 1.0:
            found.append(_Shape(x, y, width, height, glyphs))
    return found


def _strokes(shape: NDArray[np.bool_]) -> float:
    """How many strokes a row of pixels crosses, the median over the rows."""
    starts = np.diff(np.pad(shape, ((0, 0), (1, 0))).astype(np.int8), axis=1) == 1
    return float(np.median(starts.sum(axis=1)))


def _longest_line(shapes: list[_Shape]) -> float:
    """The most glyphs that stand in one row, side by side and of one height."""
    ordered = sorted(shapes, key=lambda shape: shape.x)
    glyphs = [shape.glyphs for shape in ordered]
    for place, shape in enumerate(ordered):
        for earlier in range(place - 1, -1, -1):
            before = ordered[earlier]
            if shape.x - before.x > (WIDEST_WORD + 4) * GLYPH_HEIGHT_PX[1]:
                break
            if _are_neighbours(before, shape):
                glyphs[place] = max(glyphs[place], glyphs[earlier] + shape.glyphs)
    return max(glyphs, default=0.0)


def _are_neighbours(before: _Shape, after: _Shape) -> bool:
    taller = max(before.height, after.height)
    gap = after.x - (before.x + before.width)
    return (
        -1 <= gap <= 1.2 * taller
        and abs(before.middle - after.middle) <= 0.35 * taller
        and taller <= 1.7 * min(before.height, after.height)
    )
