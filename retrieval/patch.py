"""extract_patch: the ONE preprocessing path of training, indexing and queries."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from retrieval.image import Slab, slices_at
from retrieval.lesion import Box, LesionSearchError

CANONICAL_PADDING_MM = 4.0
"""What stands around a mark's extent on a grid in millimetres.

DeepLesion pads by 5 pixels of the image, which is 3 to 8 mm by spacing; a network that sees
millimetres cannot know which, so it learns this much, and 5 of the query's pixels are put back.
"""


class PatchError(LesionSearchError):
    """A PatchSpec that cannot be, or a patch that cannot be cut."""


@dataclass(frozen=True, slots=True)
class PatchSpec:
    """What a patch is. Stored in every checkpoint and in every index.

    Attributes:
        size_px: side of the square patch.
        mm_px: millimetres per patch pixel.
        slices: how many planes, odd, the key slice in the middle.
        slice_interval_mm: millimetres between those planes.
        windows: (low, high) HU of each input channel. Patches themselves stay in HU so that
            augmentation can work on physical values; the encoder's first layer applies these.
    """

    size_px: int = 96
    mm_px: float = 1.0
    slices: int = 3
    slice_interval_mm: float = 2.0
    windows: tuple[tuple[float, float], ...] = (
        (-1024.0, 150.0),
        (-160.0, 240.0),
        (-100.0, 1000.0),
    )

    def __post_init__(self) -> None:
        if self.size_px < 8 or self.slices < 1 or self.slices % 2 == 0:
            raise PatchError(
                f"patch of {self.size_px} px and {self.slices} slices: at least 8, odd"
            )
        if not (self.mm_px > 0 and self.slice_interval_mm > 0):
            raise PatchError(f"patch of {self.mm_px} mm/px, {self.slice_interval_mm} mm: not > 0")
        if not self.windows or any(low >= high for low, high in self.windows):
            raise PatchError(f"patch windows {self.windows}: each needs low < high in HU")

    @property
    def half_depth_mm(self) -> float:
        """How far beyond the key slice a slab must reach to fill the patch."""
        return (self.slices // 2) * self.slice_interval_mm

    def to_dict(self) -> dict[str, Any]:
        """Plain JSON values."""
        fields = asdict(self)
        fields["windows"] = [list(window) for window in self.windows]
        return fields

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``to_dict``; raises PatchError for a key it does not know."""
        known = set(cls.__dataclass_fields__)
        if unknown := set(fields) - known:
            raise PatchError(f"patch spec has unknown keys {sorted(unknown)}: {sorted(known)}")
        values = dict(fields)
        if "windows" in values:
            values["windows"] = tuple((float(low), float(high)) for low, high in values["windows"])
        return cls(**values)


@dataclass(frozen=True)
class Patch:
    """A lesion with its surroundings on the spec's grid.

    Attributes:
        hu: (slices, size_px, size_px), float32, HU in [-1024, 3071].
        box: the lesion's box in patch pixels; it may reach over the edge for huge lesions.
        repeated_slices: planes beyond the slab's ends, filled with the nearest slice.
    """

    hu: NDArray[np.float32]
    box: Box
    repeated_slices: int


def extract_patch(slab: Slab, box: Box, spec: PatchSpec) -> Patch:
    """The patch about ``box``, which is in the file grid, on the slab's key slice.

    In-plane: linear interpolation, averaging where the image is finer than the patch, so that the
    same anatomy at another spacing gives the same patch to within interpolation error.
    Between slices: linear. Outside the image: air. Beyond the slab's ends: the nearest slice,
    counted in ``repeated_slices``.

    Raises:
        LesionError: the box's centre lies outside the image.
        PatchError: the slab holds values that are not numbers.
    """
    sampler = _PlaneSampler(slab, slab.display_box(box), spec)
    half = spec.slices // 2
    planes = np.empty((spec.slices, spec.size_px, spec.size_px), np.float32)
    repeated = 0
    for plane in range(spec.slices):
        blend = slices_at(slab, (plane - half) * spec.slice_interval_mm)
        repeated += blend.outside
        pixels = sampler.sample(blend.below)
        if blend.weight_above > 1e-6:
            weight = np.float32(blend.weight_above)
            pixels = pixels * (1 - weight) + sampler.sample(blend.above) * weight
        planes[plane] = pixels
    if not np.isfinite(planes).all():
        raise PatchError(
            "CT holds values that are not finite numbers near the box: repair the file"
        )
    return Patch(planes, sampler.box, repeated)


class _PlaneSampler:
    """Samples slices of one slab on one patch grid; a slice is resampled at most once."""

    def __init__(self, slab: Slab, box: Box, spec: PatchSpec) -> None:
        self._slab = slab
        self._done: dict[int, NDArray[np.float32]] = {}
        x, y = box.center
        self._columns = _AxisSampler(x, spec.mm_px / slab.spacing_mm_px[0], spec.size_px)
        self._rows = _AxisSampler(y, spec.mm_px / slab.spacing_mm_px[1], spec.size_px)
        x1, x2 = self._columns.to_patch(box.x1), self._columns.to_patch(box.x2)
        y1, y2 = self._rows.to_patch(box.y1), self._rows.to_patch(box.y2)
        self.box = Box(x1, y1, x2, y2)
        # Alike on every slice, and slower to make than to use.
        self._row_weights = self._rows.weights(slab.rows)
        self._column_weights = self._columns.weights(slab.columns)

    def sample(self, position: int) -> NDArray[np.float32]:
        if position not in self._done:
            self._done[position] = self._resample(self._slab.hu[position])
        return self._done[position]

    def _resample(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        intensity = self._slab.intensity
        padding = np.float32(intensity.padding)
        shown = pixels[self._row_weights.sources, self._column_weights.sources]
        above_air = np.clip(shown, intensity.low, intensity.high) - padding
        down = self._row_weights.applied(above_air)
        sampled = self._column_weights.applied(np.ascontiguousarray(down.T)).T + padding
        return np.ascontiguousarray(sampled, dtype=np.float32)


@dataclass(frozen=True)
class _AxisWeights:
    """What of one axis of the image each patch pixel is the sum of.

    Attributes:
        sources: the pixels of the image that take part.
        places: (taps, size): a place among ``sources`` for each patch pixel.
        weights: (taps, size): its weight; 0 where fewer take part.
    """

    sources: slice
    places: NDArray[np.intp]
    weights: NDArray[np.float32]

    def applied(self, pixels: NDArray[np.float32]) -> NDArray[np.float32]:
        """(sources, n) -> (size, n)."""
        total = np.zeros((self.places.shape[1], pixels.shape[1]), np.float32)
        for places, weights in zip(self.places, self.weights, strict=True):
            total += weights[:, None] * pixels[places]
        return total


class _AxisSampler:
    """Linear interpolation along one axis, widened to a triangle of ``scale`` when shrinking.

    Image resampling is separable, so a patch is two weighted sums of a few pixels each. They are
    no matrix products, which would wake BLAS's threads: those fight the ones that cut patches
    side by side. Where the triangle reaches over the image's edge its weight falls on air.
    """

    def __init__(self, center: float, scale: float, size: int) -> None:
        self._scale = scale
        self._targets = center + (np.arange(size) - (size - 1) / 2) * scale

    def to_patch(self, coordinate: float) -> float:
        return float((coordinate - self._targets[0]) / self._scale)

    def weights(self, length: int) -> _AxisWeights:
        """The source pixels that lie on the image, and each one's weight in each patch pixel."""
        reach = max(self._scale, 1.0)
        first = math.floor(self._targets[0] - reach)
        last = math.ceil(self._targets[-1] + reach)
        sources = np.arange(first, last + 1)
        weights = 1 - np.abs(sources[None, :] - self._targets[:, None]) / reach
        np.clip(weights, 0, None, out=weights)
        weights /= weights.sum(axis=1, keepdims=True)
        start, stop = max(first, 0), min(last + 1, length)
        on_image = weights[:, start - first : stop - first].astype(np.float32)
        # The weighted pixels of a row follow on each other: from its first one, as many as any has.
        taps = int(np.count_nonzero(on_image, axis=1).max(initial=1))
        begins = np.minimum((on_image > 0).argmax(axis=1), max(stop - start - taps, 0))
        places = begins[None, :] + np.arange(taps)[:, None]
        return _AxisWeights(
            slice(start, stop), places, np.take_along_axis(on_image, places.T, axis=1).T
        )
