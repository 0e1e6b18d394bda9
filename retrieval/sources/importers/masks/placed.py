"""PlacedImage: a CT with the place of each of its voxels, so that masks can be laid on it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.image import Slab
from retrieval.sources.axes import on_display
from retrieval.sources.dicom.file import read_dataset
from retrieval.sources.dicom.header import planes_of
from retrieval.sources.dicom.parts import chosen_part
from retrieval.sources.dicom.series import grid_of, slab_of
from retrieval.sources.importers.masks.found import FoundImage
from retrieval.sources.importers.source import ImporterError
from retrieval.sources.volumes.reading import read_volume
from retrieval.sources.volumes.stored import StoredVolume

TOLERANCE_VOXELS = 0.1
"""A mask's voxels may stand this far from the image's."""

TOLERANCE_STEPS = 0.01
"""Its voxel size and directions may differ by this part."""


@dataclass(frozen=True)
class PlacedImage:
    """A CT on the display grid, and where the voxels of its file lie.

    Attributes:
        slab: the CT in HU, judged.
        shape: (k, j, i) of the file.
        steps_mm: (3, 3), rows: the steps along i, j, k in patient coordinates (L, P, S).
        origins_mm: (k, 3): the centre of voxel (0, 0) of each slice.
    """

    name: str
    slab: Slab
    shape: tuple[int, int, int]
    steps_mm: NDArray[np.float64]
    origins_mm: NDArray[np.float64]

    def on_display(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask of the file's voxels (k, j, i) as (slices, rows, columns) of the slab."""
        return np.ascontiguousarray(on_display(mask, self.slab.grid))

    def voxels(self, points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
        """Points (n, 3) in patient coordinates as positions (n, 3) along i, j, k."""
        offsets = points_mm - self.origins_mm[0]
        return np.asarray(np.linalg.solve(self.steps_mm.T, offsets.T).T)


@dataclass(frozen=True)
class LabelMask:
    """What one label covers: (k, j, i) of the image's file, and what to know of it."""

    label: str
    mask: NDArray[np.bool_]
    note: str = ""


def place_image(found: FoundImage, *, assume_hu: bool = False) -> PlacedImage:
    """Reads an image; raises CTError as its format's reader does."""
    if found.series_uid:
        return place_series(str(found.name), found.files, assume_hu=assume_hu)
    stored = read_volume(found.files[0])
    slices, rows, columns = stored.values.shape
    origins = stored.origin_mm + np.arange(slices)[:, None] * stored.steps_mm[2]
    slab = stored.slab(assume_hu=assume_hu)
    return PlacedImage(str(found.name), slab, (slices, rows, columns), stored.steps_mm, origins)


def place_series(name: str, files: Sequence[Path], *, assume_hu: bool = False) -> PlacedImage:
    """The files of one DICOM series; raises CTError."""
    planes = [plane for file in files for plane in planes_of(file.name, read_dataset(file))]
    grid = grid_of(chosen_part(planes, None))
    slab = slab_of(grid, name, assume_hu=assume_hu)
    steps = np.array(grid.steps_mm)
    if len(grid.positions) > 1:
        # A tilted gantry moves each slice a little down the body's front.
        steps[2] = (grid.positions[-1] - grid.positions[0]) / (len(grid.positions) - 1)
    slices, rows, columns = grid.hu.shape
    return PlacedImage(name, slab, (slices, rows, columns), steps, np.asarray(grid.positions))


def laid_on(image: PlacedImage, mask: StoredVolume) -> NDArray[np.generic]:
    """A mask's values on the voxels of its image, (k, j, i); 0 where the mask does not reach.

    The mask may store its axes in another order or direction, and may cover a part of the image
    or reach beyond it: voxels are moved, never mixed.

    Raises:
        ImporterError: its voxels are not the image's: another size, turned, or between them.
    """
    values, steps, origin = _same_axes(image, mask)
    difference = np.abs(steps - image.steps_mm).max() / np.abs(image.steps_mm).max()
    if difference > TOLERANCE_STEPS:
        raise ImporterError(
            f"{mask.name} has voxels of {_rounded(mask.spacing_mm)} mm in other directions or of "
            f"another size than {image.name}, {_rounded(np.linalg.norm(image.steps_mm, axis=1))} "
            "mm: resample it onto the image, with nearest neighbours"
        )
    place = image.voxels(origin[None])[0]
    start = np.rint(place).astype(int)
    off = float(np.abs(place - start).max())
    if off > TOLERANCE_VOXELS:
        raise ImporterError(
            f"{mask.name} lies {off:.2f} voxels beside the voxels of {image.name}: resample it "
            "onto the image, with nearest neighbours"
        )
    laid = np.zeros(image.shape, values.dtype)
    target, source = [], []
    for axis in range(3):
        first, length = int(start[2 - axis]), values.shape[axis]
        low, high = max(first, 0), min(first + length, image.shape[axis])
        target.append(slice(low, max(high, low)))
        source.append(slice(low - first, max(high, low) - first))
    laid[tuple(target)] = values[tuple(source)]
    if values.any() and not laid.any():
        raise ImporterError(
            f"{mask.name} lies beside {image.name}: their positions have nothing in common; is it "
            "the mask of another image?"
        )
    return laid


def _same_axes(
    image: PlacedImage, mask: StoredVolume
) -> tuple[NDArray[np.generic], NDArray[np.float64], NDArray[np.float64]]:
    """The mask's values, steps and origin with its axes in the image's order and directions."""
    values, steps, origin = mask.values, mask.steps_mm, mask.origin_mm
    unit = image.steps_mm / np.linalg.norm(image.steps_mm, axis=1, keepdims=True)
    cosines = unit @ (steps / np.linalg.norm(steps, axis=1, keepdims=True)).T
    order = [int(np.abs(row).argmax()) for row in cosines]
    if sorted(order) != [0, 1, 2]:
        raise ImporterError(
            f"{mask.name} is turned against {image.name}: resample it onto the image"
        )
    values = values.transpose([2 - order[2 - axis] for axis in range(3)])
    steps = steps[order]
    for axis in range(3):
        if cosines[axis, order[axis]] < 0:
            values = np.flip(values, 2 - axis)
            origin = origin + (values.shape[2 - axis] - 1) * steps[axis]
            steps = np.where(np.arange(3)[:, None] == axis, -steps, steps)
    return values, steps, origin


def _rounded(lengths: object) -> list[float]:
    return [round(float(length), 3) for length in np.asarray(lengths).ravel()]
