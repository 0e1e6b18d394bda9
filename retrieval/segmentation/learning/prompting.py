"""Marks as readers would draw them: end points jittered, boxes loose, clicks inside."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import BOX_PADDING_PX, Box, Recist
from retrieval.segmentation.prompt import Prompt

POINT_SIDES = (1.6, 5.0)
"""View about a click, as a multiple of the lesion's unknown size."""

SMALLEST_BOX_PX = 1.5


@dataclass(frozen=True, slots=True)
class PromptConfig:
    """How prompts are drawn.

    Attributes:
        kinds: chance of a RECIST mark, a box and a point.
        jitter_mm: end points move by a normal deviate of up to this much.
        jitter_share: and of up to this share of the long diameter.
        shift: a box moves by up to this share of its size.
        usual_padding: chance that a box stands DeepLesion's 5 pixels off its lesion; otherwise
            0 to 6 pixels.
        view_shift, view_scale: the view moves by this share of its side, and grows or shrinks by
            this factor, at most.
    """

    kinds: tuple[float, float, float] = (0.45, 0.4, 0.15)
    jitter_mm: float = 1.2
    jitter_share: float = 0.05
    shift: float = 0.1
    usual_padding: float = 0.7
    view_shift: float = 0.06
    view_scale: float = 0.15


def jittered(
    mark: Recist, sd_mm: float, spacing_mm_px: tuple[float, float], rng: np.random.Generator
) -> Recist:
    """The mark with each end point moved by a normal deviate of ``sd_mm`` along x and y."""
    points = np.asarray(mark.points)
    moved = points + rng.normal(0, 1, points.shape) * sd_mm / np.asarray(spacing_mm_px)
    return Recist(tuple((float(x), float(y)) for x, y in moved))


def extent_box(mark: Recist, padding_px: float) -> Box:
    """The mark's extent with padding, at least a pixel and a half a side."""
    xs, ys = zip(*mark.points, strict=True)
    x, y = (min(xs) + max(xs)) / 2, (min(ys) + max(ys)) / 2
    half_x = max((max(xs) - min(xs)) / 2 + padding_px, SMALLEST_BOX_PX)
    half_y = max((max(ys) - min(ys)) / 2 + padding_px, SMALLEST_BOX_PX)
    return Box(x - half_x, y - half_y, x + half_x, y + half_y)


def draw_prompt(
    mark: Recist,
    mask: NDArray[np.bool_],
    spacing_mm_px: tuple[float, float],
    config: PromptConfig,
    rng: np.random.Generator,
) -> Prompt:
    """A prompt for the lesion of a mask on one slice, whose undisturbed mark is given."""
    kind = int(rng.choice(3, p=np.asarray(config.kinds) / sum(config.kinds)))
    long_mm, _ = mark.diameters_mm(spacing_mm_px)
    sd = rng.uniform(0, config.jitter_mm) + rng.uniform(0, config.jitter_share) * long_mm
    moved = jittered(mark, min(sd, 0.2 * long_mm), spacing_mm_px, rng)
    if kind == 0:
        prompt = Prompt.from_recist(moved, spacing_mm_px)
    elif kind == 1:
        usual = rng.random() < config.usual_padding
        box = extent_box(moved, BOX_PADDING_PX if usual else rng.uniform(0, 6))
        dx, dy = rng.uniform(-config.shift, config.shift, 2)
        prompt = Prompt.from_box(box.shifted(dx * box.width, dy * box.height), spacing_mm_px)
    else:
        low, high = np.log(POINT_SIDES)
        side = max(float(np.exp(rng.uniform(low, high))) * long_mm, 10.0)
        prompt = Prompt.from_point(point_inside(mask, rng), side_mm=side)
    return moved_view(prompt, spacing_mm_px, config, rng)


def moved_view(
    prompt: Prompt,
    spacing_mm_px: tuple[float, float],
    config: PromptConfig,
    rng: np.random.Generator,
) -> Prompt:
    """The prompt in a view a little beside and a little larger or smaller."""
    side = prompt.side_mm * float(np.exp(rng.uniform(-1, 1) * config.view_scale))
    dx, dy = rng.uniform(-config.view_shift, config.view_shift, 2) * side
    x, y = prompt.view_center
    return prompt.seen_in((x + dx / spacing_mm_px[0], y + dy / spacing_mm_px[1]), side)


def point_inside(mask: NDArray[np.bool_], rng: np.random.Generator) -> tuple[float, float]:
    """A click on the lesion, nearer to its middle than to its rim as a rule."""
    rows, columns = np.nonzero(mask)
    middle = np.array([columns.mean(), rows.mean()])
    pick = int(rng.integers(len(rows)))
    drawn = np.array([columns[pick], rows[pick]], float)
    x, y = middle + (drawn - middle) * rng.uniform(0, 1)
    return float(x), float(y)
