"""Anchors that fit the boxes there are: sizes and shapes chosen by differential evolution.

After Zlocha, Dou and Glocker (MICCAI 2019, arXiv 1906.02283): the anchors of an object detector
for photographs are too large and too elongated for lesions. Scales and ratios shared by all maps
of the pyramid are chosen so that boxes overlap their best anchor most; the stride is ignored, an
anchor stands at its box's own centre.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, differential_evolution

from retrieval.lesion import LesionSearchError

Sides = NDArray[np.float64]

FITS = 0.5
"""A box whose best anchor overlaps it less is learnt badly: torchvision's line for a positive."""

MOST_BOXES = 1500
"""Of more boxes the search looks at a random part, which tells anchors apart as well."""


class AnchorError(LesionSearchError):
    """Boxes or bounds that no anchors can be fitted to."""


@dataclass(frozen=True, slots=True)
class AnchorShapes:
    """Anchors of every map of a pyramid.

    Attributes:
        base_px: side of the square anchor of scale 1 on each map.
        scales: factors of that side, the same on every map.
        ratios: heights over widths; an anchor keeps its area whatever its ratio.
    """

    base_px: tuple[float, ...]
    scales: tuple[float, ...] = (1.0,)
    ratios: tuple[float, ...] = (1.0,)

    def sides(self) -> Sides:
        """(anchors, 2): width and height of each."""
        sizes = np.outer(self.base_px, self.scales).reshape(-1, 1)
        root = np.sqrt(np.array(self.ratios))
        return np.stack([(sizes / root).ravel(), (sizes * root).ravel()], axis=1)


TORCHVISION = AnchorShapes(
    (32.0, 64.0, 128.0, 256.0, 512.0), (1.0, 2 ** (1 / 3), 2 ** (2 / 3)), (0.5, 1.0, 2.0)
)
"""What torchvision's RetinaNet has by default, for photographs."""


@dataclass(frozen=True, slots=True)
class AnchorFit:
    """How well anchors fit boxes.

    Attributes:
        mean_iou: of each box with its best anchor.
        unfit_share: of the boxes whose best anchor overlaps them less than ``FITS``.
        boxes: how many.
    """

    mean_iou: float
    unfit_share: float
    boxes: int


def best_overlaps(boxes: Sides, anchors: Sides) -> Sides:
    """(boxes,): the IoU of each box with its best anchor about the same centre.

    Args:
        boxes: (n, 2), width and height.
        anchors: (m, 2), likewise.
    """
    common = np.minimum(boxes[:, None], anchors[None]).prod(axis=2)
    union = boxes.prod(axis=1)[:, None] + anchors.prod(axis=1)[None] - common
    return np.asarray((common / union).max(axis=1))


def anchor_fit(boxes: Sides, shapes: AnchorShapes) -> AnchorFit:
    """How well the anchors fit (n, 2) widths and heights; raises AnchorError for no boxes."""
    overlaps = best_overlaps(_checked(boxes), shapes.sides())
    return AnchorFit(float(overlaps.mean()), float((overlaps < FITS).mean()), len(boxes))


@dataclass(frozen=True, slots=True)
class AnchorSearch:
    """What is searched.

    Attributes:
        base_px: as in ``AnchorShapes``; kept.
        scales: how many factors of the side.
        ratio_pairs: how many ratios r, each with 1 / r; the square is always there.
        scale_bounds, ratio_bounds: of each factor, and of r.
        rounds: generations at most.
    """

    base_px: tuple[float, ...] = (16.0, 32.0, 64.0, 128.0, 256.0)
    scales: int = 3
    ratio_pairs: int = 2
    scale_bounds: tuple[float, float] = (0.4, 2.0)
    ratio_bounds: tuple[float, float] = (1.0, 4.0)
    rounds: int = 80

    def __post_init__(self) -> None:
        if self.scales < 1 or self.ratio_pairs < 0 or self.rounds < 1 or not self.base_px:
            raise AnchorError(
                f"anchors of {self.scales} scales, {self.ratio_pairs} pairs of ratios on maps "
                f"{self.base_px} in {self.rounds} rounds: 1 scale, 0 pairs, 1 map and 1 round or "
                "more are needed"
            )

    def shapes(self, genes: NDArray[np.float64]) -> AnchorShapes:
        """The anchors of a candidate: its scales, then its ratios."""
        scales = sorted(float(gene) for gene in genes[: self.scales])
        ratios = {1.0}
        for ratio in genes[self.scales :]:
            ratios |= {float(ratio), 1 / float(ratio)}
        return AnchorShapes(self.base_px, tuple(scales), tuple(sorted(ratios)))


def fitted_anchors(
    boxes: Sides, search: AnchorSearch, generator: np.random.Generator
) -> AnchorShapes:
    """The anchors of greatest mean IoU with (n, 2) widths and heights.

    Raises:
        AnchorError: no boxes, or one without an area.
    """
    checked = _checked(boxes)
    if len(checked) > MOST_BOXES:
        checked = checked[generator.choice(len(checked), MOST_BOXES, replace=False)]

    def loss(genes: NDArray[np.float64]) -> float:
        return -float(best_overlaps(checked, search.shapes(genes).sides()).mean())

    each = [search.scale_bounds] * search.scales + [search.ratio_bounds] * search.ratio_pairs
    bounds = Bounds(*np.array(each).T)
    found = differential_evolution(
        loss, bounds, rng=generator, maxiter=search.rounds, popsize=8, tol=1e-6, polish=False
    )
    return search.shapes(found.x)


def _checked(boxes: Sides) -> Sides:
    boxes = np.asarray(boxes, np.float64)
    if boxes.ndim != 2 or boxes.shape[1:] != (2,) or len(boxes) == 0:
        raise AnchorError(f"boxes of shape {boxes.shape}: (n, 2) widths and heights are needed")
    if not (boxes > 0).all():
        raise AnchorError(f"a box has the sides {boxes[(boxes <= 0).any(axis=1)][0].tolist()}")
    return boxes
