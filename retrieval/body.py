"""Where the body lies on an axial slice: its mask on a coarse grid, its box, and what is inside it.

The threshold lies above the low end of the usual soft-tissue windows (-160 and -175 HU), so that
a slice and its 8-bit soft-tissue picture have the same mask: lungs count as outside at first and
are filled, as are all holes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import Box

BODY_HU = -150.0
"""Between the low end of a soft-tissue window and fat."""

MASK_MM = 2.0
"""Side of a mask pixel: fine enough for a frame, and a hundredth of the work of a full slice."""

OPENING_MM = 6.0
"""Couches, blankets and tubes are thinner than this, arms and legs are not."""

LEAST_BODY_MM2 = 2_000.0
"""A slice with less than this is empty; a newborn's neck has more."""

AIR_HU = -960.0
"""Averaged over 6 mm, air outside the body is below this, lung with emphysema above it."""

LEAST_HALF_THICKNESS_MM = 11.0
"""The innermost point of a limb lies deeper than this; that of a couch's shell does not."""

BLACK_HU = -250.0
"""A picture that holds nothing below this was cut off at a soft-tissue window."""

CUTOUT_BORDER_SHARE = 0.5
"""An image with less air than this along its border is cut out of the body."""


THIN_HU = -500.0
"""Air, lung and cloth are below it."""

OUTER_AIR_MM2 = 200.0
"""Air at the border that is larger than this, and thinner than lung, lies outside the body."""

WIDER_THAN_A_TRACHEA_MM = 30.0
"""Air that a shorter piece of the border cuts is an airway or bowel gas."""

FLAT = 3.0
"""A couch is as many times as wide as it is high, or more; an arm or a leg is not."""

CUTOUT_SHARE, CUTOUT_MM2 = 0.25, 1_500.0
"""More of an image, and smaller: that may be the lung about a nodule that is cut out of it."""

HAZY_AIR_HU = -950.0
"""A quarter of a part is below this where it is air beside a couch or under a blanket."""

FRAMING_AIR_HU = -925.0
"""The same of a part that runs along the border as lung does not."""

FRAMING = 10.0
"""A part runs along the border if its square length there is this many times its area."""

LOOSE_AIR_MM2 = 1_000.0
"""A cut-out with as much empty air at its border shows what lies loose in it."""


@dataclass(frozen=True)
class BodyRegion:
    """The body on one slice.

    Attributes:
        mask: (rows, columns) of the coarse grid, True inside the body.
        box: the mask's extent in pixels of the slice, as a ``Box`` through pixel edges.
        touches_edge: whether the field of view cuts the body off, at (left, top, right, bottom).
    """

    mask: NDArray[np.bool_]
    box: Box
    touches_edge: tuple[bool, bool, bool, bool]


@dataclass(frozen=True)
class BodyInterior:
    """What is patient on one slice: trunk, limbs and head with all they enclose, without couch.

    Attributes:
        mask: (rows, columns) of the coarse grid, True where the patient is.
        scale: coarse pixels per pixel of the slice along (x, y).
    """

    mask: NDArray[np.bool_]
    scale: tuple[float, float]

    def share(self, box: Box) -> float:
        """The share of a box, in pixels of the slice, that lies in the patient, in [0, 1].

        What of the box lies outside the image is outside the patient.
        """
        edges = [
            ((edge + 0.5) * scale, limit)
            for edge, scale, limit in (
                (box.x1, self.scale[0], self.mask.shape[1]),
                (box.x2, self.scale[0], self.mask.shape[1]),
                (box.y1, self.scale[1], self.mask.shape[0]),
                (box.y2, self.scale[1], self.mask.shape[0]),
            )
        ]
        (x1, columns), (x2, _), (y1, rows), (y2, _) = edges
        across = _coverage(x1, x2, columns)
        down = _coverage(y1, y2, rows)
        area = (x2 - x1) * (y2 - y1)
        return float(down @ self.mask.astype(np.float64) @ across / area)

    def extent(self) -> Box | None:
        """The box, in pixels of the slice, that holds the patient; None on a slice of air."""
        down, across = np.flatnonzero(self.mask.any(axis=1)), np.flatnonzero(self.mask.any(axis=0))
        if len(down) == 0:
            return None
        return Box(
            float(across[0] / self.scale[0] - 0.5),
            float(down[0] / self.scale[1] - 0.5),
            float((across[-1] + 1) / self.scale[0] - 0.5),
            float((down[-1] + 1) / self.scale[1] - 0.5),
        )


def body_interior(hu: NDArray[Any], spacing_mm_px: tuple[float, float]) -> BodyInterior:
    """What is patient on a slice of (rows, columns) HU; nothing on a slice of air.

    On a whole slice, every part that is dense enough for a body (as ``body_region`` finds it) and
    too thick for a couch, filled. An image cut out of the body has no outline to fill: there,
    everything that is denser than air, but for leads and blankets where outer air is in view.
    """
    rows, columns = hu.shape
    size = _coarse_size(hu.shape, spacing_mm_px)
    scale = (size[0] / columns, size[1] / rows)
    resized = cv2.resize(np.asarray(hu, np.float32), size, interpolation=cv2.INTER_AREA)
    coarse = np.asarray(resized, np.float32)
    outer = _outer_air(coarse)
    is_filled = cv2.blur(coarse, (3, 3), borderType=cv2.BORDER_REPLICATE) > AIR_HU
    # A picture whose window ends above air has no air to tell a cut by.
    if _border(is_filled).mean() >= CUTOUT_BORDER_SHARE and float(hu.min()) < BLACK_HU:
        filled = np.asarray(is_filled, np.bool_) & ~outer
        return BodyInterior(_without_loose_things(filled, coarse), scale)
    opened = _opened(_dense(hu, size), OPENING_MM)
    count, labels = cv2.connectedComponents(np.ascontiguousarray(opened), connectivity=4)
    # The field of view may cut the body: beyond its edge the body goes on.
    padded = np.pad(opened, 1, mode="edge")
    depth = cv2.distanceTransform(padded, cv2.DIST_L2, 3)[1:-1, 1:-1]
    thick = [
        label
        for label in range(1, count)
        if depth[labels == label].max() >= LEAST_HALF_THICKNESS_MM / MASK_MM
    ]
    inside = _filled(np.isin(labels, thick)) & ~outer
    return BodyInterior(_joined(_pieces(inside), inside.shape), scale)


def _coverage(start: float, end: float, count: int) -> NDArray[np.float64]:
    """How much of each of ``count`` unit cells lies between two coordinates."""
    cells = np.arange(count, dtype=np.float64)
    covered = np.minimum(cells + 1, end) - np.maximum(cells, start)
    return np.asarray(covered.clip(0), np.float64)


def body_region(hu: NDArray[Any], spacing_mm_px: tuple[float, float]) -> BodyRegion | None:
    """The body on a slice of (rows, columns) HU; None where the slice shows no body.

    Squares of 2 mm of which half is above -150 HU are opened by 6 mm, and the largest connected
    part is kept with all that it encloses.
    """
    rows, columns = hu.shape
    size = _coarse_size(hu.shape, spacing_mm_px)
    mask = _largest_part(_dense(hu, size))
    if mask.sum() * MASK_MM**2 < LEAST_BODY_MM2:
        return None
    down, across = np.flatnonzero(mask.any(axis=1)), np.flatnonzero(mask.any(axis=0))
    x_scale, y_scale = columns / size[0], rows / size[1]
    box = Box(
        float(across[0] * x_scale - 0.5),
        float(down[0] * y_scale - 0.5),
        float((across[-1] + 1) * x_scale - 0.5),
        float((down[-1] + 1) * y_scale - 0.5),
    )
    touches = (
        bool(across[0] == 0),
        bool(down[0] == 0),
        bool(across[-1] == size[0] - 1),
        bool(down[-1] == size[1] - 1),
    )
    return BodyRegion(mask, box, touches)


def _coarse_size(shape: tuple[int, ...], spacing_mm_px: tuple[float, float]) -> tuple[int, int]:
    """(columns, rows) of the coarse grid."""
    rows, columns = shape
    return (
        max(round(columns * spacing_mm_px[0] / MASK_MM), 1),
        max(round(rows * spacing_mm_px[1] / MASK_MM), 1),
    )


def _dense(hu: NDArray[Any], size: tuple[int, int]) -> NDArray[np.bool_]:
    """The coarse pixels of which half is as dense as a body."""
    dense = np.asarray(hu > BODY_HU, np.uint8) * 255
    return np.asarray(cv2.resize(dense, size, interpolation=cv2.INTER_AREA)) > 127


def _without_loose_things(
    filled: NDArray[np.bool_], coarse: NDArray[np.float32]
) -> NDArray[np.bool_]:
    """Of a cut-out: without what is thinner than a limb, if it shows air of the outside.

    A slice cropped to the body has little air along its border, and yet leads, tubes and blankets
    lie in that air, and corners of the couch, which are small and mostly foam. A nodule cut out of
    the lung has no such air, and bullae are smaller: it stays whole.
    """
    if not _reaching_border(~filled, LOOSE_AIR_MM2):
        return filled
    pieces = _pieces(_opened(filled, 2 * LEAST_HALF_THICKNESS_MM) > 0)
    kept = [
        x
        for x in pieces
        if x.sum() * MASK_MM**2 >= LEAST_BODY_MM2 or np.median(coarse[x]) > BODY_HU
    ]
    return _joined(kept, filled.shape)


def _joined(pieces: list[NDArray[np.bool_]], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    """The pieces of a patient as one mask, without a couch or head holder.

    That is a piece beside the largest one that the image's lower edge cuts, flat and wide.
    """
    largest = max((int(x.sum()) for x in pieces), default=0)
    kept = [x for x in pieces if x.sum() == largest or not _is_flat_at_bottom(x)]
    return np.asarray(np.any([np.zeros(shape, np.bool_), *kept], axis=0))


def _is_flat_at_bottom(piece: NDArray[np.bool_]) -> bool:
    down, across = np.flatnonzero(piece.any(axis=1)), np.flatnonzero(piece.any(axis=0))
    height, width = down[-1] - down[0] + 1, across[-1] - across[0] + 1
    return bool(down[-1] == len(piece) - 1 and width >= FLAT * height)


def _pieces(mask: NDArray[np.bool_]) -> list[NDArray[np.bool_]]:
    count, labels = cv2.connectedComponents(np.ascontiguousarray(mask, np.uint8), connectivity=4)
    return [np.asarray(labels == x) for x in range(1, count)]


def _outer_air(coarse: NDArray[np.float32]) -> NDArray[np.bool_]:
    """What a coarse slice shows of the air outside: thin parts at the border, not lung cut by it.

    With it go blankets and tubes that are thinner than water by half. Air is emptier than lung;
    where couch and cloth make it hazy, its size and its place along the border tell it.
    """
    parts = [
        x for x in _reaching_border(coarse < THIN_HU, OUTER_AIR_MM2) if _is_outer_air(x, coarse)
    ]
    return np.asarray(np.any([np.zeros(coarse.shape, np.bool_), *parts], axis=0))


def _is_outer_air(part: NDArray[np.bool_], coarse: NDArray[np.float32]) -> bool:
    along_mm = _border(part).sum() * MASK_MM
    if along_mm < WIDER_THAN_A_TRACHEA_MM:
        return False
    emptiest, median = np.percentile(coarse[part], (25, 50))
    if median < AIR_HU:
        return True
    area_mm2, is_large = part.sum() * MASK_MM**2, part.mean() > CUTOUT_SHARE
    if is_large and area_mm2 < CUTOUT_MM2:
        return False
    frames = not is_large and along_mm**2 >= FRAMING * area_mm2
    return bool(emptiest < (FRAMING_AIR_HU if frames else HAZY_AIR_HU))


def _border(mask: NDArray[Any]) -> NDArray[Any]:
    """The outermost pixels, corners twice."""
    return np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])


def _reaching_border(mask: NDArray[np.bool_], least_mm2: float) -> list[NDArray[np.bool_]]:
    """The connected parts of a coarse mask that reach its border and are as large as that."""
    _, labels, statistics, _ = cv2.connectedComponentsWithStats(
        np.ascontiguousarray(mask, np.uint8), connectivity=4
    )
    border = _border(labels)
    large = statistics[:, cv2.CC_STAT_AREA] * MASK_MM**2 >= least_mm2
    return [np.asarray(labels == x) for x in np.unique(border[border > 0]) if large[x]]


def _opened(dense: NDArray[np.bool_], width_mm: float) -> NDArray[np.uint8]:
    width = round(width_mm / MASK_MM)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (width, width))
    # Outside the field of view nothing is known: a body that it cuts is not opened away there.
    padded = np.pad(dense.astype(np.uint8), width, mode="edge")
    opened = cv2.morphologyEx(padded, cv2.MORPH_OPEN, kernel)[width:-width, width:-width]
    return np.ascontiguousarray(opened, np.uint8)


def _largest_part(dense: NDArray[np.bool_]) -> NDArray[np.bool_]:
    opened = _opened(dense, OPENING_MM)
    count, labels, statistics, _ = cv2.connectedComponentsWithStats(opened, connectivity=4)
    if count < 2:
        return np.zeros(dense.shape, np.bool_)
    largest = 1 + int(statistics[1:, cv2.CC_STAT_AREA].argmax())
    return _filled(np.asarray(labels) == largest)


def _filled(mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """The mask with all that it encloses: what the outside does not reach."""
    outside = np.pad(mask, 1).astype(np.uint8)
    cv2.floodFill(outside, None, (0, 0), 2)
    return np.asarray(outside[1:-1, 1:-1] != 2)
