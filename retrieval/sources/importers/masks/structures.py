"""DICOM structure sets (RTSTRUCT): each region's contours, filled on the slices of a series."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError

from retrieval.sources.importers.masks.placed import LabelMask, PlacedImage
from retrieval.sources.importers.source import ImporterError

SUBPIXELS = 8
"""Contours are filled on a grid this much finer; a pixel counts when half of it is inside."""

_MIN_POINTS = 3
"""Fewer enclose nothing: a point or a line that marks something."""


def structure_masks(path: Path, image: PlacedImage) -> list[LabelMask]:
    """Each region on the voxels of the image, by its name, or number where names repeat.

    A pixel counts when half of it is inside; contours within one another cut holes. Contours off
    the image's slices are left out, and counted in the label's note.

    Raises ImporterError for what is no structure set.
    """
    dataset = _read(path)
    names = _names(dataset)
    labels = []
    for region in dataset.ROIContourSequence:
        number = str(region.get("ReferencedROINumber", ""))
        contours = [_points(contour) for contour in region.get("ContourSequence") or []]
        closed = [points for points in contours if len(points) >= _MIN_POINTS]
        labels.append(_region(names.get(number, number), closed, image))
    return labels


def _points(contour: Any) -> NDArray[np.float64]:
    numbers = np.asarray([float(v) for v in contour.ContourData], np.float64)
    return numbers[: len(numbers) // 3 * 3].reshape(-1, 3)


def _region(label: str, contours: list[NDArray[np.float64]], image: PlacedImage) -> LabelMask:
    mask = np.zeros(image.shape, np.bool_)
    off = 0
    for points in contours:
        k, pixels = _on_slice(points, image)
        if k is None:
            off += 1
        else:
            # Exclusive or: the second contour inside a first one is a hole.
            _fill(mask[k], pixels)
    note = f"{off} of its {len(contours)} contours lie off the slices of {image.name}"
    return LabelMask(label, mask, note if off else "")


def _read(path: Path) -> Any:
    try:
        dataset = pydicom.dcmread(path)
        regions = list(dataset.ROIContourSequence)
    except (InvalidDicomError, AttributeError, OSError, ValueError) as wrong:
        raise ImporterError(f"{path.name} is not a DICOM structure set: {wrong}") from None
    if not regions:
        raise ImporterError(f"{path.name} holds no region")
    return dataset


def _names(dataset: Any) -> dict[str, str]:
    names: dict[str, str] = {}
    for region in dataset.get("StructureSetROISequence") or []:
        number, name = str(region.get("ROINumber", "")), str(region.get("ROIName", "")).strip()
        names[number] = name if name and name not in names.values() else number
    return names


def _on_slice(
    points: NDArray[np.float64], image: PlacedImage
) -> tuple[int | None, NDArray[np.float64]]:
    """The slice a planar contour lies on, None off all of them; its points (x, y) in pixels."""
    across, down = image.steps_mm[:2]
    normal = np.cross(across, down)
    normal /= np.linalg.norm(normal)
    distances = np.abs((image.origins_mm - points.mean(axis=0)) @ normal)
    k = int(distances.argmin())
    is_on = distances[k] <= abs(float(image.steps_mm[2] @ normal)) / 2
    offsets = points - image.origins_mm[k]
    pixels = np.stack([offsets @ across / (across @ across), offsets @ down / (down @ down)], 1)
    return k if is_on else None, pixels


def _fill(mask: NDArray[np.bool_], pixels: NDArray[np.float64]) -> None:
    """Inverts the pixels of a slice that lie inside a contour, worked out about it alone."""
    height, width = mask.shape
    x1, y1 = np.maximum(np.floor(pixels.min(axis=0)).astype(int) - 1, 0)
    x2, y2 = np.minimum(np.ceil(pixels.max(axis=0)).astype(int) + 2, (width, height))
    if x2 <= x1 or y2 <= y1:
        return
    fine = np.zeros(((y2 - y1) * SUBPIXELS, (x2 - x1) * SUBPIXELS), np.uint8)
    corners = np.rint((pixels - (x1, y1) + 0.5) * SUBPIXELS - 0.5).astype(np.int32)
    cv2.fillPoly(fine, [corners], 1)
    share = fine.reshape(y2 - y1, SUBPIXELS, x2 - x1, SUBPIXELS).mean(axis=(1, 3))
    mask[y1:y2, x1:x2] ^= share >= 0.5
