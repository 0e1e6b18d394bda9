"""Real series to learn from: pictures of whole slices with their heights in millimetres.

Read from a folder with ``index.csv`` (path, source, patient, study, slice, slice_interval_mm) and
16-bit PNGs holding HU + 32768. A series is a folder of PNGs; its slice numbers times its interval
are heights in mm, and its anchor, read off from landmarks, brings them to the common scale.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.body import body_region
from retrieval.lesion import LesionSearchError
from retrieval.position.learning.anchors import Anchor
from retrieval.position.picture import PictureSpec, slice_picture
from retrieval.sources.deeplesion.png import read_deeplesion_png
from retrieval.sources.importers.source import read_index, source_file

COLUMNS = ("path", "slice", "spacing_mm_px", "slice_interval_mm")
LEAST_SLICES = 8
"""A shorter series has too few pairs to tell a slope."""


class PositionDataError(LesionSearchError):
    """Series that cannot be learned from."""


@dataclass(frozen=True)
class HeightSeries:
    """One series as pictures.

    Attributes:
        name: the folder's name inside the source.
        pictures: (slices, size_px, size_px), float32 in [0, 1].
        heights_mm: (slices,), rising towards the head, on the common scale.
        half_sizes_mm: (slices, 2), half the width and height of the body's box.
    """

    name: str
    pictures: NDArray[np.float32]
    heights_mm: NDArray[np.float32]
    half_sizes_mm: NDArray[np.float32]

    @property
    def span_mm(self) -> float:
        """From the lowest to the highest slice."""
        return float(np.ptp(self.heights_mm))


def read_series(
    folder: Path,
    spec: PictureSpec,
    *,
    anchors: Mapping[str, Anchor],
    wanted: Callable[[str], bool] = lambda _: True,
) -> list[HeightSeries]:
    """Every wanted series of at least eight slices that has an anchor, by name.

    Args:
        folder: holds ``index.csv`` and the PNGs.
        spec: the pictures' grid.
        anchors: the line from a series' own heights to the common scale, by the series' name; a
            negative slope for one that is numbered from head to feet.
        wanted: says of a series' name whether it is read.

    Raises:
        ImporterError, ArchiveError: the index or a PNG cannot be read.
        PositionDataError: a slice without a body.
    """
    index = read_index(folder, "index.csv", COLUMNS)
    index = index.assign(series=[str(path).rpartition("/")[0] for path in index["path"]])
    found = []
    for name, rows in index.groupby("series", sort=True):
        anchor = anchors.get(str(name))
        if anchor is None or len(rows) < LEAST_SLICES or not wanted(str(name)):
            continue
        ordered = rows.sort_values("slice")
        own_mm = ordered["slice"] * ordered["slice_interval_mm"]
        heights = (anchor.slope * own_mm + anchor.offset_mm).to_numpy(np.float32)
        pictures, halves = [], []
        for path, spacing in zip(ordered["path"], ordered["spacing_mm_px"], strict=True):
            picture, half = _picture(source_file(folder / str(path)), float(spacing), spec)
            pictures.append(picture)
            halves.append(half)
        found.append(
            HeightSeries(str(name), np.stack(pictures), heights, np.array(halves, np.float32))
        )
    return found


def _picture(
    path: Path, mm_px: float, spec: PictureSpec
) -> tuple[NDArray[np.float32], tuple[float, float]]:
    hu = read_deeplesion_png(path)
    region = body_region(hu, (mm_px, mm_px))
    if region is None:
        raise PositionDataError(f"{path} shows no body: leave its row out of the index")
    half = (region.box.width * mm_px / 2, region.box.height * mm_px / 2)
    return slice_picture(hu, (mm_px, mm_px), region, spec), half
