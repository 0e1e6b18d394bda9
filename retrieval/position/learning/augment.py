"""Pictures of one series made to look like another scan of another body."""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class HeightAugmentConfig:
    """What is drawn once a series, then once a slice. Lengths in mm, 0 for never.

    Attributes:
        scale: standard deviation of the logarithm of the body's size.
        contrast, offset: standard deviations of the window's width (a share) and centre (in
            [0, 1]).
        flip: chance that left and right are exchanged.
        blur: chance of a softer kernel.
        narrow_field: chance that a round or square field of view of ``field_mm`` cuts the body.
        field_mm: least and greatest radius of that field.
        shift_mm, rotation_degrees, noise: standard deviations, of each slice.
        hole: chance that a rectangle of a slice is blank.
    """

    scale: float = 0.1
    contrast: float = 0.15
    offset: float = 0.05
    flip: float = 0.5
    blur: float = 0.3
    narrow_field: float = 0.3
    field_mm: tuple[float, float] = (110.0, 200.0)
    shift_mm: float = 12.0
    rotation_degrees: float = 4.0
    noise: float = 0.03
    hole: float = 0.2


def augment_series(
    pictures: Array,
    half_sizes_mm: Array,
    mm_px: float,
    config: HeightAugmentConfig,
    rng: np.random.Generator,
) -> Array:
    """(slices, size, size) pictures in [0, 1], changed together and then one by one.

    ``half_sizes_mm`` is (slices, 2), half the width and height of each slice's body box, whose
    middle is the picture's: a narrow field moves the middle of what it leaves.
    """
    scale = float(np.exp(rng.normal(0.0, config.scale)))
    flip = rng.random() < config.flip
    gain = 1 + rng.normal(0.0, config.contrast)
    offset = rng.normal(0.0, config.offset)
    sigma = rng.uniform(0.4, 1.0) if rng.random() < config.blur else 0.0
    field = _Field.draw(config, rng)
    changed = np.empty_like(pictures)
    for position, (picture, half_size) in enumerate(zip(pictures, half_sizes_mm, strict=True)):
        current = picture[:, ::-1] if flip else picture
        current, middle_mm = field.cut(current, half_size, mm_px)
        current = _moved(current, middle_mm, scale, mm_px, config, rng)
        if sigma:
            current = np.asarray(cv2.GaussianBlur(current, (0, 0), sigma), np.float32)
        air = current <= 0
        current = (current - 0.5) * gain + 0.5 + offset
        current += rng.normal(0.0, config.noise * rng.random(), current.shape).astype(np.float32)
        current[air] = 0.0
        if rng.random() < config.hole:
            _blank(current, rng)
        changed[position] = current.clip(0.0, 1.0)
    return changed


@dataclass(frozen=True, slots=True)
class _Field:
    """A field of view: ``radius_mm`` about (x, y) from the body's middle; None for the whole."""

    radius_mm: float | None
    middle_mm: tuple[float, float] = (0.0, 0.0)
    is_round: bool = True

    @classmethod
    def draw(cls, config: HeightAugmentConfig, rng: np.random.Generator) -> _Field:
        if rng.random() >= config.narrow_field:
            return cls(None)
        radius = rng.uniform(*config.field_mm)
        x, y = rng.normal(0.0, 25.0, 2)
        return cls(radius, (float(x), float(y)), bool(rng.random() < 0.5))

    def cut(
        self, picture: Array, half_size_mm: Array, mm_px: float
    ) -> tuple[Array, tuple[float, float]]:
        """What the field leaves, and the middle (x, y) of the body's box in it, in mm."""
        if self.radius_mm is None:
            return picture, (0.0, 0.0)
        size = picture.shape[0]
        away = (np.arange(size) - (size - 1) / 2) * mm_px
        x, y = np.abs(away - self.middle_mm[0]), np.abs(away - self.middle_mm[1])
        if self.is_round:
            inside = x[None, :] ** 2 + y[:, None] ** 2 <= self.radius_mm**2
        else:
            inside = np.maximum(x[None, :], y[:, None]) <= self.radius_mm
        middle = []
        for place, half in zip(self.middle_mm, half_size_mm, strict=True):
            low = max(-float(half), place - self.radius_mm)
            high = min(float(half), place + self.radius_mm)
            middle.append((low + high) / 2)
        return np.where(inside, picture, np.float32(0)), (middle[0], middle[1])


def _moved(
    picture: Array,
    middle_mm: tuple[float, float],
    scale: float,
    mm_px: float,
    config: HeightAugmentConfig,
    rng: np.random.Generator,
) -> Array:
    """The picture about ``middle_mm``, scaled, turned and shifted a little."""
    size = picture.shape[0]
    center = (size - 1) / 2
    turn = float(rng.normal(0.0, config.rotation_degrees))
    about = (center + middle_mm[0] / mm_px, center + middle_mm[1] / mm_px)
    matrix = cv2.getRotationMatrix2D(about, turn, scale)
    shift = rng.normal(0.0, config.shift_mm, 2) / mm_px
    matrix[:, 2] += shift + center - np.array(about)
    moved = cv2.warpAffine(np.ascontiguousarray(picture), matrix, (size, size), borderValue=0)
    return np.asarray(moved, np.float32)


def _blank(picture: Array, rng: np.random.Generator) -> None:
    size = picture.shape[0]
    rows, columns = rng.integers(size // 10, size // 3, 2)
    top, left = rng.integers(0, size - rows), rng.integers(0, size - columns)
    picture[top : top + rows, left : left + columns] = 0.0
