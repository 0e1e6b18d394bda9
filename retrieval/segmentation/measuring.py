"""Measures one marked lesion: mask, diameters, volume and HU, each with its interval."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from retrieval.image import Slab
from retrieval.lesion import Recist
from retrieval.measured_size import MeasuredValue
from retrieval.segmentation.checks import (
    FALLS_BACK,
    Flag,
    MeasureError,
    check_place,
    mark_flags,
    mask_flags,
    volume_flags,
)
from retrieval.segmentation.diameters import (
    Diameters,
    EmptyMaskError,
    diameters_of,
    long_mm_of,
)
from retrieval.segmentation.intervals import LEVELS, Least, MeasureCalibration
from retrieval.segmentation.masks import about_prompt, ellipsoid, filled, within_reach
from retrieval.segmentation.prompt import Prompt, PromptKind
from retrieval.segmentation.propagation import LesionProbability, Stop, propagate
from retrieval.segmentation.segmenter import LesionSegmenter

RECIST_VOLUME_FACTOR = 1.78
"""Geometric mean of human masks' volume over pi/6 L S^2 of the line: 273 DeepLesion lesions."""

RECIST_VOLUME_LOG_SD = 0.61
"""Standard deviation of the logarithm of that ratio."""

LONG_SHARE = 0.3
"""In the lungs the long diameter ends where the probability falls to this share of the outline's:
readers follow spurs that a mean outline cuts off. Chosen on the validation split of the nodules; on
DeepLesion's lesions in soft tissue it only made lines too long."""

NORMAL_50, NORMAL_90 = 0.6745, 1.6449
LUNG_AROUND_HU = -500.0
AROUND_MM = 4.0


class Method(StrEnum):
    """What the mask is."""

    NETWORK = "network"
    ELLIPSE = "ellipse"


@dataclass(frozen=True)
class MarkedSize:
    """What the mark alone says; it stands beside the measurement and is never replaced.

    Attributes:
        recist: as drawn, in pixels of the display grid.
        volume_mm3: pi/6 L S^2 times ``factor``, whose spread over lesions is the interval.
    """

    recist: Recist
    long_mm: float
    short_mm: float
    volume_mm3: MeasuredValue
    factor: float = RECIST_VOLUME_FACTOR
    log_sd: float = RECIST_VOLUME_LOG_SD


@dataclass(frozen=True)
class LesionMeasurement:
    """One lesion measured, in the display grid.

    Attributes:
        slab: the image.
        prompt: what the mask was looked for with; of a click, the box that it led to.
        asked: what was given.
        method: whether the mask is the network's or the mark's ellipse.
        lesion: the probabilities; 0 and 1 of an ellipse.
        diameters: on the key slice.
        longest: position of the slice with the longest diameter, and that diameter.
        values: measure -> value with its intervals.
        flags: what a reader should know.
        marked: what a RECIST mark alone says; None for boxes and clicks.
    """

    slab: Slab
    prompt: Prompt
    asked: PromptKind
    method: Method
    lesion: LesionProbability
    diameters: Diameters
    longest: tuple[int, float]
    values: Mapping[str, MeasuredValue]
    flags: tuple[Flag, ...]
    marked: MarkedSize | None

    @property
    def is_3d(self) -> bool:
        """Whether the lesion was looked for on more than the key slice."""
        return "volume_mm3" in self.values

    @property
    def whole_mask(self) -> NDArray[np.bool_]:
        """(slices, rows, columns) of the slab."""
        mask = np.zeros(self.slab.hu.shape, np.bool_)
        mask[self.lesion.first : self.lesion.first + len(self.lesion.values)] = self.lesion.mask
        return mask


@dataclass(frozen=True)
class GivenMark:
    """What a reader gave: a prompt, and the RECIST mark where it was one."""

    prompt: Prompt
    recist: Recist | None = None

    @classmethod
    def of_recist(cls, recist: Recist, spacing_mm_px: tuple[float, float]) -> GivenMark:
        """The mark of two lines; raises PromptError."""
        return cls(Prompt.from_recist(recist, spacing_mm_px), recist)


def measure(
    segmenter: LesionSegmenter,
    calibration: MeasureCalibration,
    slab: Slab,
    mark: GivenMark,
    *,
    in_3d: bool = True,
) -> LesionMeasurement:
    """The lesion of a mark on the slab's key slice.

    An empty or leaking mask is flagged, and the mark's ellipse is measured in its place.

    Args:
        segmenter: the network.
        calibration: of its intervals.
        slab: the image.
        mark: in pixels of the display grid.
        in_3d: whether the lesion is followed through the slices.

    Raises:
        MeasureError: the mark lies outside the image or the body, or nothing is at a click.
        PatchError: the image holds values that are not numbers near the mark.
    """
    asked = mark.prompt
    check_place(slab, asked)
    flags = mark_flags(slab, asked)
    plane, prompt = segmenter.key_slice(slab, asked)
    spacing = slab.spacing_mm_px
    key = about_prompt(plane.on_image((slab.rows, slab.columns)), prompt, spacing)
    flags += mask_flags(key, prompt, spacing)
    in_3d = in_3d and len(slab.hu) > 1
    if FALLS_BACK & set(flags):
        if asked.kind is PromptKind.POINT:
            raise MeasureError(
                "nothing at the click can be told from its surroundings as a lesion: draw a box "
                "or the two lines"
            )
        method, lesion = Method.ELLIPSE, ellipsoid(slab, asked, in_3d=in_3d)
    else:
        method, lesion = Method.NETWORK, _followed(segmenter, slab, key, in_3d=in_3d)
    taken = _Taken(slab, lesion, method, in_3d)
    if in_3d and method is Method.NETWORK and taken.is_outside_lung:
        lesion = within_reach(lesion, slab, prompt)
        taken = _Taken(slab, lesion, method, in_3d)
        flags.append(Flag.SOFT_VOLUME)
    if method is Method.NETWORK:
        flags += volume_flags(lesion, slab.key_slice, slab)
    diameters = taken.lines(0.5)
    least = Least(max(spacing) / diameters.long_mm, taken.is_outside_lung)
    kind = asked.kind.value
    values = {
        name: calibration.estimate(kind, name, three, least)
        if method is Method.NETWORK
        else MeasuredValue(three[1], None, None)
        for name, three in taken.all().items()
    }
    return LesionMeasurement(
        slab=slab,
        prompt=prompt,
        asked=asked.kind,
        method=method,
        lesion=lesion,
        diameters=diameters,
        longest=taken.longest(),
        values=values,
        flags=tuple(dict.fromkeys(flags)),
        marked=None if mark.recist is None else marked_size(mark.recist, spacing),
    )


def marked_size(recist: Recist, spacing_mm_px: tuple[float, float]) -> MarkedSize:
    """The diameters of a mark, and the volume they speak for, with its factor's interval."""
    long_mm, short_mm = recist.diameters_mm(spacing_mm_px)
    value = RECIST_VOLUME_FACTOR * math.pi / 6 * long_mm * short_mm**2
    half, wide = (
        (value * math.exp(-z * RECIST_VOLUME_LOG_SD), value * math.exp(z * RECIST_VOLUME_LOG_SD))
        for z in (NORMAL_50, NORMAL_90)
    )
    return MarkedSize(recist, long_mm, short_mm, MeasuredValue(value, half, wide))


def _followed(
    segmenter: LesionSegmenter, slab: Slab, key: NDArray[np.float32], *, in_3d: bool
) -> LesionProbability:
    if not in_3d:
        return LesionProbability(slab.key_slice, key[None], (Stop.ENDED, Stop.ENDED))
    long_mm = diameters_of(key, slab.spacing_mm_px).long_mm
    lesion = propagate(segmenter, slab, key, long_mm=long_mm)
    whole = np.stack([filled(values) for values in lesion.values])
    return LesionProbability(lesion.first, whole, lesion.stops)


class _Taken:
    """The measures of a mask at the three levels of its probability."""

    def __init__(self, slab: Slab, lesion: LesionProbability, method: Method, in_3d: bool) -> None:
        self._slab, self._lesion, self._in_3d = slab, lesion, in_3d
        self._levels = LEVELS if method is Method.NETWORK else (0.5, 0.5, 0.5)
        self._key = lesion.values[slab.key_slice - lesion.first]
        self._hu = slab.hu[lesion.first : lesion.first + len(lesion.values)]
        in_lung = method is Method.NETWORK and not self.is_outside_lung
        self._long_share = LONG_SHARE if in_lung else 1.0

    def lines(self, level: float) -> Diameters:
        """The diameters of the key slice at a level; raises EmptyMaskError."""
        return self._lines(self._key, level)

    def _lines(self, values: NDArray[np.float32], level: float) -> Diameters:
        outer = level * self._long_share
        return diameters_of(values, self._slab.spacing_mm_px, level=level, long_level=outer)

    def all(self) -> dict[str, tuple[float, float, float]]:
        """Measure -> its value at each level."""
        rows = [self._at(level) for level in self._levels]
        return {name: (rows[0][name], rows[1][name], rows[2][name]) for name in rows[1]}

    def longest(self) -> tuple[int, float]:
        """The slice with the longest diameter, and that diameter."""
        found = [
            (long_mm_of(values, self._slab.spacing_mm_px, level=0.5 * self._long_share), -k)
            for k, values in enumerate(self._lesion.values)
            if (values > 0.5).any()
        ]
        long_mm, negative = max(found)
        return self._lesion.first - negative, long_mm

    @property
    def is_outside_lung(self) -> bool:
        """Whether the ring about the key slice's mask is mostly denser than lung."""
        mask = self._key > 0.5
        steps = max(1, round(AROUND_MM / max(self._slab.spacing_mm_px)))
        ring = ndimage.binary_dilation(mask, iterations=steps) & ~mask
        around = self._slab.hu[self._slab.key_slice][ring]
        return bool(around.size and float(np.median(around)) > LUNG_AROUND_HU)

    def _at(self, level: float) -> dict[str, float]:
        spacing = self._slab.spacing_mm_px
        pixel = spacing[0] * spacing[1]
        try:
            lines = self.lines(level)
            sizes = (lines.long_mm, lines.short_mm, lines.who_mm2)
        except EmptyMaskError:
            sizes = (0.0, 0.0, 0.0)
        values = dict(zip(("long_mm", "short_mm", "who_mm2"), sizes, strict=True))
        values["area_mm2"] = float((self._key > level).sum()) * pixel
        inside = self._lesion.values > level
        if self._in_3d:
            values["volume_mm3"] = float(inside.sum()) * pixel * self._slab.slice_interval_mm
        held = self._hu[inside]
        values["mean_hu"] = float(held.mean()) if held.size else 0.0
        values["sd_hu"] = float(held.std()) if held.size else 0.0
        return values
