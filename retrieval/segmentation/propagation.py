"""From the key slice up and down: each slice's mask is the prompt of the next, until it stops.

The stop rule follows weakly supervised slice propagation (Cai et al., 2018): the lesion ends where
its area falls under a share of the key slice's or its mean HU leaves that of the key slice.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from retrieval.image import Slab
from retrieval.segmentation.following import follow_prompt
from retrieval.segmentation.segmenter import LesionSegmenter, SlicePrompt

LEAST_AREA_SHARE = 0.02
LARGEST_GROWTH = 1.8
"""A slice whose mask is this many times the one before has leaked."""

LARGEST_AREA_SHARE = 2.5
"""So has one of this many times the key slice's."""

HU_SIGMAS = 4.0
LEAST_SIGMA_HU = 60.0
FURTHEST_SHARE = 0.8
"""No lesion is followed further from its key slice than this share of its long diameter."""

LEAST_REACH_MM = 12.0


class Stop(StrEnum):
    """Why the propagation stopped at one end."""

    ENDED = "the lesion ended"
    LAST_SLICE = "the image ended"
    HU = "its HU left those of the key slice"
    LEAK = "its mask grew as no lesion does"
    TOO_FAR = "it was followed as far as its size allows"


@dataclass(frozen=True)
class LesionProbability:
    """The probability of "lesion" on neighbouring slices.

    Attributes:
        first: position in the slab of the first slice.
        values: (slices, rows, columns) in [0, 1].
        stops: why it ends below and above.
    """

    first: int
    values: NDArray[np.float32]
    stops: tuple[Stop, Stop]

    @property
    def mask(self) -> NDArray[np.bool_]:
        """(slices, rows, columns): more likely lesion than not."""
        return np.asarray(self.values > 0.5, np.bool_)


@dataclass
class _End:
    """One end of the lesion while it is followed."""

    step: int
    position: int
    known: NDArray[np.float32]
    stop: Stop | None = None


def propagate(
    segmenter: LesionSegmenter, slab: Slab, key: NDArray[np.float32], *, long_mm: float
) -> LesionProbability:
    """The lesion on every slice it reaches.

    Args:
        segmenter: the network.
        slab: its key slice is the one that ``key`` belongs to.
        key: (rows, columns): the probability on it, above a half somewhere.
        long_mm: the long diameter there.

    Raises:
        PatchError: the slab holds values that are not numbers.
    """
    judge = _Judge(slab, key, long_mm)
    planes = {slab.key_slice: key}
    ends = [_End(step, slab.key_slice, key) for step in (-1, 1)]
    while active := [end for end in ends if end.stop is None]:
        going = [end for end in active if judge.may_go_on(end)]
        if not going:
            continue
        prompts = [_prompt(end, slab, long_mm) for end in going]
        for end, plane in zip(going, segmenter.predict(slab, prompts), strict=True):
            values = connected(plane.on_image(key.shape), end.known)
            end.stop = judge.verdict(values, end)
            if end.stop is None:
                end.position += end.step
                end.known = planes[end.position] = values
    stacked = np.stack([planes[position] for position in sorted(planes)])
    below, above = (end.stop or Stop.ENDED for end in ends)
    return LesionProbability(min(planes), stacked, (below, above))


def connected(values: NDArray[np.float32], known: NDArray[np.float32]) -> NDArray[np.float32]:
    """The probabilities without the parts that do not touch the neighbouring slice's mask."""
    labels, count = ndimage.label(values > 0.5)
    if count == 0:
        return values
    near = ndimage.binary_dilation(known > 0.5, iterations=1)
    kept = np.unique(labels[near])
    off = (labels > 0) & ~np.isin(labels, kept[kept > 0])
    return np.where(off, 0, values).astype(np.float32)


class _Judge:
    """Whether a lesion goes on, by its key slice."""

    def __init__(self, slab: Slab, key: NDArray[np.float32], long_mm: float) -> None:
        inside = slab.hu[slab.key_slice][key > 0.5]
        self._slab, self._area = slab, float((key > 0.5).sum())
        self._mean = float(inside.mean())
        self._sigma = max(float(inside.std()), LEAST_SIGMA_HU)
        self._reach_mm = max(FURTHEST_SHARE * long_mm, LEAST_REACH_MM)

    def may_go_on(self, end: _End) -> bool:
        """Whether there is a next slice near enough; says so in ``end`` if not."""
        following = end.position + end.step
        away = abs(following - self._slab.key_slice) * self._slab.slice_interval_mm
        if not 0 <= following < len(self._slab.hu):
            end.stop = Stop.LAST_SLICE
        elif away > self._reach_mm:
            end.stop = Stop.TOO_FAR
        return end.stop is None

    def verdict(self, values: NDArray[np.float32], end: _End) -> Stop | None:
        """Why the lesion is not on this slice; None if it is."""
        mask = values > 0.5
        area, before = float(mask.sum()), float((end.known > 0.5).sum())
        if area < max(LEAST_AREA_SHARE * self._area, 1):
            return Stop.ENDED
        if area > LARGEST_GROWTH * before + 8 or area > LARGEST_AREA_SHARE * self._area + 8:
            return Stop.LEAK
        mean = float(self._slab.hu[end.position + end.step][mask].mean())
        return Stop.HU if abs(mean - self._mean) > HU_SIGMAS * self._sigma else None


def _prompt(end: _End, slab: Slab, long_mm: float) -> SlicePrompt:
    prompt = follow_prompt(end.known, slab.spacing_mm_px)
    following = end.position + end.step
    away_mm = abs(following - slab.key_slice) * slab.slice_interval_mm
    return SlicePrompt(following, prompt, end.known, away_mm / long_mm)
