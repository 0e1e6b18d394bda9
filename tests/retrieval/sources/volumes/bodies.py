"""Synthetic CT for the readers' tests: a body in air with a lesion, written by other libraries."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import permutations, product
from pathlib import Path

import numpy as np
import SimpleITK
from numpy.typing import NDArray

SPACING_MM = (0.8, 0.9, 3.0)
"""Along x, y and z of the display."""


def body(seed: int = 0, *, size: tuple[int, int, int] = (9, 40, 48)) -> NDArray[np.int16]:
    """(slices, rows, columns) in HU: air, fat, soft tissue, noise, one lesion off the middle."""
    slices, rows, columns = size
    rng = np.random.default_rng(seed)
    z, y, x = np.meshgrid(*(np.linspace(-1, 1, n) for n in (slices, rows, columns)), indexing="ij")
    radius = np.hypot(x, y * 1.2)
    hu = np.where(radius < 0.9, -100.0, -1000.0)
    hu = np.where(radius < 0.75, 45.0, hu)
    hu = np.where(np.sqrt((x - 0.3) ** 2 + (y + 0.25) ** 2 + (z - 0.4) ** 2) < 0.2, 140.0, hu)
    return np.rint(hu + rng.normal(0, 9, hu.shape)).clip(-1024, 3071).astype(np.int16)


def orders() -> Iterator[tuple[tuple[int, int, int], tuple[int, int, int]]]:
    """All 48: which display axis (x, y, z) the file's i, j, k run along, and in which direction."""
    for axes in permutations(range(3)):
        for signs in product((1, -1), repeat=3):
            yield axes, signs


def stored_image(
    display: NDArray[np.int16],
    axes: tuple[int, int, int] = (0, 1, 2),
    signs: tuple[int, int, int] = (1, 1, 1),
) -> SimpleITK.Image:
    """The display's volume stored in another order of axes: the same body at the same place."""
    across = display.transpose(2, 1, 0)  # x, y, z
    stored = across.transpose(axes)
    steps = np.zeros((3, 3))
    origin = np.zeros(3)
    for file_axis, (axis, sign) in enumerate(zip(axes, signs, strict=True)):
        steps[axis, file_axis] = sign
        if sign < 0:
            stored = np.flip(stored, file_axis)
            origin[axis] = (display.shape[2 - axis] - 1) * SPACING_MM[axis]
    image = SimpleITK.GetImageFromArray(np.ascontiguousarray(stored.transpose(2, 1, 0)))
    image.SetSpacing([SPACING_MM[axis] for axis in axes])
    image.SetDirection(steps.ravel())
    image.SetOrigin(origin)
    return image


def written(image: SimpleITK.Image, path: Path, *, packed: bool = False) -> Path:
    """The image as SimpleITK writes it."""
    SimpleITK.WriteImage(image, str(path), useCompression=packed)
    return path
