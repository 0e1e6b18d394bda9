"""A label's connected components as lesions: key slice, RECIST mark, box and volume."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from retrieval.lesion import Box, Recist
from retrieval.sources.importers.mask_marks import recist_of_mask

_TOUCHING = np.ones((3, 3, 3), np.bool_)
"""Voxels that share a face, an edge or a corner belong together."""


@dataclass(frozen=True)
class MaskLesion:
    """One component.

    Attributes:
        key_slice: where its area is largest, as a position in the mask; the lowest of equals.
        recist: the longest diameter on that slice and the longest one perpendicular to it.
        box: DeepLesion's: the extent of the mark and 5 px.
        long_mm: length of the longest diameter.
        volume_ml: of all its voxels.
    """

    key_slice: int
    recist: Recist
    box: Box
    long_mm: float
    volume_ml: float


def lesions_of(
    mask: NDArray[np.bool_], spacing_mm_px: tuple[float, float], slice_interval_mm: float
) -> list[MaskLesion]:
    """Every component of a mask (slices, rows, columns), from the lowest slice on."""
    numbered, _ = ndimage.label(mask, structure=_TOUCHING)
    voxel_ml = spacing_mm_px[0] * spacing_mm_px[1] * slice_interval_mm / 1000
    lesions = []
    for number, place in enumerate(ndimage.find_objects(numbered), start=1):
        part = numbered[place] == number
        areas = part.sum(axis=(1, 2))
        position = int(areas.argmax())
        recist = _shifted(
            recist_of_mask(part[position], spacing_mm_px), place[2].start, place[1].start
        )
        long_mm, _ = recist.diameters_mm(spacing_mm_px)
        lesions.append(
            MaskLesion(
                key_slice=place[0].start + position,
                recist=recist,
                box=recist.box(),
                long_mm=long_mm,
                volume_ml=float(areas.sum()) * voxel_ml,
            )
        )
    return lesions


def _shifted(recist: Recist, columns: int, rows: int) -> Recist:
    return Recist(tuple((x + columns, y + rows) for x, y in recist.points))
