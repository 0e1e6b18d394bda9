"""What may be wrong with a mark and with its mask, in words; decided here and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from retrieval.image import Slab
from retrieval.lesion import LesionSearchError
from retrieval.measured_size import IMAGE_ENDS
from retrieval.segmentation.prompt import Prompt, PromptKind
from retrieval.segmentation.propagation import LesionProbability, Stop
from retrieval.tissue import body_mask

AIR_HU = -925.0
LUNG_HU, SOFT_HU = -500.0, -150.0
MIXED_SHARE = 0.25
LEAST_SHARE = {PromptKind.RECIST: 0.2, PromptKind.BOX: 0.08, PromptKind.POINT: 0.0}
LARGEST_SHARE = {PromptKind.RECIST: 2.5, PromptKind.BOX: 4.5, PromptKind.POINT: 1e9}
BORDER_SHARE = 0.2
CERTAIN = 0.55
FEW_PIXELS = 12
LARGE_MM = 200.0
WHOLE_BODY_MM = 200.0
"""An image this wide shows the body, so that what lies outside it can be told."""

GOES_ON_SHARE = 0.25
COARSE = 4


class MeasureError(LesionSearchError):
    """A mark that cannot be measured."""


class Flag(StrEnum):
    """What a reader should know of a measurement."""

    EMPTY = "empty mask"
    LEAK = "leaking mask"
    UNSURE = "unsure outline"
    AIR = "mark on air"
    MIXED = "mark over lung and soft tissue"
    BEYOND = "mark reaches over the image's edge"
    LARGE = "larger than what was learned from"
    SMALL = "few pixels"
    ONE_SLICE = "one slice"
    CUT = IMAGE_ENDS
    STOPPED = "followed no further"
    SOFT_VOLUME = "volume outside the lungs"


WORDS: Mapping[Flag, str] = MappingProxyType(
    {
        Flag.EMPTY: "the network found no lesion at the mark: the mark's ellipse is given instead",
        Flag.LEAK: "the mask ran out of the mark: the mark's ellipse is given instead",
        Flag.UNSURE: "the outline is uncertain over much of its length",
        Flag.AIR: "the mark lies on air: check where it is",
        Flag.MIXED: "the mark holds lung and soft tissue: it may lie over two organs",
        Flag.BEYOND: "the mark reaches over the image's edge: what lies outside is not measured",
        Flag.LARGE: "the mark is longer than 200 mm: the network has learned from smaller lesions",
        Flag.SMALL: "the mask has few pixels: one pixel more or less changes much",
        Flag.ONE_SLICE: "the image has one slice: no volume is measured",
        Flag.CUT: "the image ends inside the lesion: its volume is that of the part that is shown",
        Flag.SOFT_VOLUME: "outside the lungs the mask is held within the mark's ellipsoid, a "
        "quarter larger; on the few real lesions with masks little better than that ellipsoid",
        Flag.STOPPED: "the lesion was followed no further, though it may go on: see its ends",
    }
)

FALLS_BACK = frozenset({Flag.EMPTY, Flag.LEAK})
"""With these the ellipse is given in place of the network's mask."""


def check_place(slab: Slab, prompt: Prompt) -> None:
    """Raises MeasureError where the mark's middle lies outside the image or the body.

    And where values near it are infinite: patches clip them, means of HU would not.
    """
    x, y = prompt.center
    if not (-0.5 <= x <= slab.columns - 0.5 and -0.5 <= y <= slab.rows - 0.5):
        raise MeasureError(
            f"the mark's middle ({x:.1f}, {y:.1f}) lies outside the image of {slab.columns} x "
            f"{slab.rows} pixels: give the mark in 0-based pixels of this image"
        )
    _check_finite(slab, prompt)
    plane = slab.hu[slab.key_slice]
    if slab.columns * slab.spacing_mm_px[0] < WHOLE_BODY_MM:
        return
    body = body_mask(np.nan_to_num(plane[::COARSE, ::COARSE], nan=-1024.0))
    body = ndimage.binary_dilation(body, iterations=2)
    row, column = int(round(y) // COARSE), int(round(x) // COARSE)
    if body.any() and not body[min(row, len(body) - 1), min(column, body.shape[1] - 1)]:
        raise MeasureError(
            f"the mark's middle ({x:.1f}, {y:.1f}) lies outside the body on slice "
            f"{slab.key_slice_index}: check the slice and the order of the numbers"
        )


def _check_finite(slab: Slab, prompt: Prompt) -> None:
    """Raises MeasureError for infinite values within the prompt's view, on any slice."""
    x, y = prompt.view_center
    half_x, half_y = (prompt.side_mm / 2 / spacing for spacing in slab.spacing_mm_px)
    rows = slice(max(int(y - half_y), 0), max(int(y + half_y) + 2, 0))
    columns = slice(max(int(x - half_x), 0), max(int(x + half_x) + 2, 0))
    if np.isinf(slab.hu[:, rows, columns]).any():
        raise MeasureError(
            "CT holds values that are not finite numbers near the mark: repair the file"
        )


def mark_flags(slab: Slab, prompt: Prompt) -> list[Flag]:
    """What is odd about where the mark lies."""
    plane = slab.hu[slab.key_slice]
    held = plane[prompt.mask(plane.shape, slab.spacing_mm_px)]
    flags = []
    if held.size and float(np.median(held)) < AIR_HU:
        flags.append(Flag.AIR)
    elif held.size and prompt.kind is not PromptKind.POINT:
        lung, soft = float((held < LUNG_HU).mean()), float((held > SOFT_HU).mean())
        if min(lung, soft) > MIXED_SHARE:
            flags.append(Flag.MIXED)
    x, y = prompt.center
    reach_x = prompt.long_mm / 2 / slab.spacing_mm_px[0]
    reach_y = prompt.long_mm / 2 / slab.spacing_mm_px[1]
    inside_x = x - reach_x >= -1 and x + reach_x <= slab.columns
    inside_y = y - reach_y >= -1 and y + reach_y <= slab.rows
    if prompt.kind is PromptKind.RECIST and not (inside_x and inside_y):
        flags.append(Flag.BEYOND)
    if prompt.long_mm > LARGE_MM:
        flags.append(Flag.LARGE)
    return flags


def mask_flags(
    values: NDArray[np.float32], prompt: Prompt, spacing_mm_px: tuple[float, float]
) -> list[Flag]:
    """What is odd about the network's mask of the key slice."""
    mask = values > 0.5
    area = float(mask.sum()) * spacing_mm_px[0] * spacing_mm_px[1]
    ellipse = np.pi / 4 * prompt.long_mm * prompt.short_mm
    if area == 0 or area < LEAST_SHARE[prompt.kind] * ellipse:
        return [Flag.EMPTY]
    if area > LARGEST_SHARE[prompt.kind] * ellipse or _at_border(mask, prompt, spacing_mm_px):
        return [Flag.LEAK]
    flags = []
    seen = values > 0.05
    if float(np.abs(2 * values[seen] - 1).mean()) < CERTAIN and mask.sum() > FEW_PIXELS:
        flags.append(Flag.UNSURE)
    if mask.sum() < FEW_PIXELS:
        flags.append(Flag.SMALL)
    return flags


def volume_flags(lesion: LesionProbability, key: int, slab: Slab) -> list[Flag]:
    """What is odd about how the lesion was followed through the slices."""
    if len(slab.hu) == 1:
        return [Flag.ONE_SLICE]
    areas = lesion.mask.sum(axis=(1, 2))
    flags = []
    for stop, area in zip(lesion.stops, (areas[0], areas[-1]), strict=True):
        goes_on = area > GOES_ON_SHARE * areas[key - lesion.first]
        if stop is Stop.LAST_SLICE and goes_on and Flag.CUT not in flags:
            flags.append(Flag.CUT)
        if stop in {Stop.LEAK, Stop.TOO_FAR, Stop.HU} and goes_on and Flag.STOPPED not in flags:
            flags.append(Flag.STOPPED)
    return flags


def _at_border(mask: NDArray[np.bool_], prompt: Prompt, spacing_mm_px: tuple[float, float]) -> bool:
    """Whether the mask runs along the view's border."""
    x, y = prompt.view_center
    half_x, half_y = (prompt.side_mm / 2 / spacing for spacing in spacing_mm_px)
    rows = [round(y - half_y) + 2, round(y + half_y) - 2]
    columns = [round(x - half_x) + 2, round(x + half_x) - 2]
    touched = sum(int(mask[row].sum()) for row in rows if 0 < row < mask.shape[0] - 1) + sum(
        int(mask[:, column].sum()) for column in columns if 0 < column < mask.shape[1] - 1
    )
    return touched > BORDER_SHARE * 2 * (half_x + half_y)
