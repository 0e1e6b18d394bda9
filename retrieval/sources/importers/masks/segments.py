"""DICOM segmentation objects (SEG) on the slices of a CT series (PS3.3, A.51)."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from numpy.typing import NDArray
from pydicom.errors import InvalidDicomError

from retrieval.sources.importers.masks.placed import (
    TOLERANCE_STEPS,
    TOLERANCE_VOXELS,
    LabelMask,
    PlacedImage,
)
from retrieval.sources.importers.source import ImporterError


def segment_masks(path: Path, image: PlacedImage) -> list[LabelMask]:
    """Each segment on the voxels of the image, by its label, or number where labels repeat.

    Fractional segments count from half of their maximum on.

    Raises:
        ImporterError: no SEG, frames that do not lie on the image's slices and pixels, or pixels
            that cannot be decoded.
    """
    dataset = _read(path)
    names = _names(path, dataset)
    masks = {number: np.zeros(image.shape, np.bool_) for number in names}
    frames = _frames(path, dataset)
    for frame, pixels in zip(dataset.PerFrameFunctionalGroupsSequence, frames, strict=True):
        place = _Place.of(path, dataset, frame, image)
        for number, inside in _segments_of(dataset, frame, pixels):
            if number in masks and inside.any():
                place.paint(masks[number], inside)
    return [LabelMask(names[number], mask) for number, mask in masks.items()]


@dataclass(frozen=True)
class _Place:
    """Where a frame's pixels go: a slice, and the row and column of its first pixel."""

    path: Path
    k: int
    row: int
    column: int

    @classmethod
    def of(cls, path: Path, dataset: Any, frame: Any, image: PlacedImage) -> _Place:
        orientation = _group(path, dataset, frame, "PlaneOrientation").ImageOrientationPatient
        measures = _group(path, dataset, frame, "PixelMeasures")
        position = _group(path, dataset, frame, "PlanePosition").ImagePositionPatient
        across, down = np.asarray(orientation, np.float64).reshape(2, 3)
        y_mm, x_mm = (float(length) for length in measures.PixelSpacing)
        steps = np.stack([across * x_mm, down * y_mm])
        largest = np.abs(image.steps_mm[:2]).max()
        if np.abs(steps - image.steps_mm[:2]).max() > TOLERANCE_STEPS * largest:
            raise ImporterError(
                f"{path.name} has pixels of {x_mm:g} x {y_mm:g} mm in other directions or of "
                f"another size than {image.name}: resample it onto the image"
            )
        place = image.voxels(np.asarray([position], np.float64))[0]
        distances = np.linalg.norm(
            _along_normal(image, np.asarray(position, np.float64) - image.origins_mm), axis=1
        )
        k = int(distances.argmin())
        column, row = (int(value) for value in np.rint(place[:2]))
        thick = float(np.linalg.norm(image.steps_mm[2]))
        off = max(float(np.abs(place[:2] - (column, row)).max()), distances[k] / thick)
        if off > TOLERANCE_VOXELS:
            raise ImporterError(
                f"{path.name} has a frame {off:.2f} voxels beside the voxels of {image.name}: is "
                "it the segmentation of another series?"
            )
        return cls(path, k, row, column)

    def paint(self, mask: NDArray[np.bool_], inside: NDArray[np.bool_]) -> None:
        rows, columns = np.nonzero(inside)
        rows, columns = rows + self.row, columns + self.column
        _, height, width = mask.shape
        if rows.min() < 0 or columns.min() < 0 or rows.max() >= height or columns.max() >= width:
            raise ImporterError(
                f"{self.path.name} has a segment that reaches over its image's edge"
            )
        mask[self.k, rows, columns] = True


def _along_normal(image: PlacedImage, offsets: NDArray[np.float64]) -> NDArray[np.float64]:
    normal = np.cross(image.steps_mm[0], image.steps_mm[1])
    normal /= np.linalg.norm(normal)
    return np.asarray((offsets @ normal)[:, None] * normal)


def _read(path: Path) -> Any:
    try:
        dataset = pydicom.dcmread(path)
        sequences = (dataset.SegmentSequence, dataset.PerFrameFunctionalGroupsSequence)
    except (InvalidDicomError, AttributeError, OSError, ValueError) as wrong:
        raise ImporterError(f"{path.name} is not a readable DICOM SEG: {wrong}") from None
    if not all(sequences):
        raise ImporterError(f"{path.name} holds no segment or no frame")
    return dataset


def _names(path: Path, dataset: Any) -> dict[int, str]:
    names: dict[int, str] = {}
    for segment in dataset.SegmentSequence:
        number = int(segment.SegmentNumber)
        label = str(segment.get("SegmentLabel", "")).strip()
        is_new = bool(label) and label not in names.values()
        if number != 0:
            names[number] = label if is_new else str(number)
    if not names:
        raise ImporterError(f"{path.name} holds only a background")
    return names


def _frames(path: Path, dataset: Any) -> NDArray[Any]:
    try:
        pixels = np.asarray(dataset.pixel_array)
    except (RuntimeError, ValueError, AttributeError, NotImplementedError, KeyError) as wrong:
        reason = str(wrong).splitlines()[0] if str(wrong) else type(wrong).__name__
        raise ImporterError(f"{path.name} has pixels that cannot be decoded: {reason}") from None
    frames = pixels[None] if pixels.ndim == 2 else pixels
    if len(frames) != len(dataset.PerFrameFunctionalGroupsSequence):
        raise ImporterError(
            f"{path.name} has {len(frames)} frames and says where "
            f"{len(dataset.PerFrameFunctionalGroupsSequence)} lie"
        )
    return frames


def _segments_of(
    dataset: Any, frame: Any, pixels: NDArray[Any]
) -> list[tuple[int, NDArray[np.bool_]]]:
    kind = str(dataset.get("SegmentationType", "BINARY"))
    if kind == "LABELMAP":
        return [(int(number), pixels == number) for number in np.unique(pixels) if number]
    identified = frame.get("SegmentIdentificationSequence") or (
        dataset.SharedFunctionalGroupsSequence[0].SegmentIdentificationSequence
    )
    number = int(identified[0].ReferencedSegmentNumber)
    if kind == "FRACTIONAL":
        return [(number, pixels * 2 >= int(dataset.get("MaximumFractionalValue", 255)))]
    return [(number, pixels != 0)]


def _group(path: Path, dataset: Any, frame: Any, name: str) -> Any:
    keyword = f"{name}Sequence"
    for groups in (frame, (dataset.get("SharedFunctionalGroupsSequence") or [{}])[0]):
        if groups.get(keyword):
            return groups[keyword].value[0] if hasattr(groups, "keys") else groups[keyword][0]
    raise ImporterError(f"{path.name} says nothing of its {name}: its frames cannot be placed")
