"""The mask of a DICOM structure set (RTSTRUCT) with one region, on the grid of its CT series."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError

from retrieval.sources.dicom.series import DicomGrid
from retrieval.sources.importers.source import ImporterError

SUBPIXELS = 8
"""Contours are filled on a grid this much finer; a pixel counts when half of it is inside."""


def structure_mask(path: Path, grid: DicomGrid) -> NDArray[np.bool_]:
    """(slices, rows, columns), True inside the region; contours within one another cut holes.

    Raises:
        ImporterError: not a structure set, several regions, or a contour off the slices.
    """
    try:
        dataset = pydicom.dcmread(path)
        regions = list(dataset.ROIContourSequence)
    except (InvalidDicomError, AttributeError, OSError) as wrong:
        raise ImporterError(f"{path} is not a DICOM structure set: {wrong}") from None
    if len(regions) != 1:
        raise ImporterError(f"{path} holds {len(regions)} regions: one is read")
    mask = np.zeros(grid.hu.shape, np.bool_)
    for contour in regions[0].ContourSequence:
        points = np.asarray([float(v) for v in contour.ContourData]).reshape(-1, 3)
        position, pixels = _on_slice(path, points, grid)
        # Exclusive or: the second contour inside a first one is a hole.
        mask[position] ^= _filled(pixels, grid.hu.shape[1:])
    return mask


def _on_slice(
    path: Path, points: NDArray[np.float64], grid: DicomGrid
) -> tuple[int, NDArray[np.float64]]:
    """The slice a planar contour lies on, and its points (x, y) in pixels."""
    across, down = grid.orientation[:3], grid.orientation[3:]
    normal = np.cross(across, down)
    distances = np.abs(grid.positions @ normal - float(points[0] @ normal))
    position = int(distances.argmin())
    if distances[position] > grid.slice_interval_mm / 2:
        raise ImporterError(f"{path}: a contour lies {distances[position]:.1f} mm off the slices")
    offsets = points - grid.positions[position]
    x_mm, y_mm = grid.spacing_mm_px
    return position, np.stack([offsets @ across / x_mm, offsets @ down / y_mm], axis=1)


def _filled(pixels: NDArray[np.float64], shape: tuple[int, ...]) -> NDArray[np.bool_]:
    rows, columns = shape
    fine = np.zeros((rows * SUBPIXELS, columns * SUBPIXELS), np.uint8)
    corners = np.rint((pixels + 0.5) * SUBPIXELS - 0.5).astype(np.int32)
    cv2.fillPoly(fine, [corners], 1)
    share = fine.reshape(rows, SUBPIXELS, columns, SUBPIXELS).mean(axis=(1, 3))
    return np.asarray(share >= 0.5, np.bool_)
