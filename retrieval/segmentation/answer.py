"""A measurement as JSON: coordinates in the grid that was asked for, millimetres, words."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.grid import Grid, GridMap, Point
from retrieval.lesion import Box, Recist
from retrieval.segmentation.checks import WORDS
from retrieval.segmentation.diameters import CONVENTION, contours_of
from retrieval.segmentation.measuring import LesionMeasurement, MarkedSize

NOTICE = "Research use only. Not a medical device; not for diagnosis or treatment."
UNITS = {
    "long_mm": "mm",
    "short_mm": "mm",
    "who_mm2": "mm2",
    "area_mm2": "mm2",
    "volume_mm3": "mm3",
    "mean_hu": "HU",
    "sd_hu": "HU",
}


def measurement_json(found: LesionMeasurement, grid: Grid) -> dict[str, Any]:
    """The measurement with coordinates in the file grid or in the display grid.

    Slices are the file's own numbers, or positions from the feet; points are [x, y] in 0-based
    pixels, (0, 0) being the centre of the top-left pixel.
    """
    there = _Grid(found, grid)
    slab, lesion = found.slab, found.lesion
    last = lesion.first + len(lesion.values) - 1
    position, long_mm = found.longest
    return {
        "notice": NOTICE,
        "grid": grid.value,
        "asked": found.asked.value,
        "method": found.method.value,
        "estimated": True,
        "in_3d": found.is_3d,
        "key_slice_index": there.slice(slab.key_slice),
        "slices": sorted((there.slice(lesion.first), there.slice(last))),
        "box": there.box(_extent(lesion.values[slab.key_slice - lesion.first])),
        "recist": there.recist(found.diameters.recist),
        "convention": CONVENTION,
        "measurements": {
            name: {**estimate.to_json(), "unit": UNITS[name]}
            for name, estimate in found.values.items()
        },
        "longest_slice": {"slice_index": there.slice(position), "long_mm": round(long_mm, 2)},
        "marked": None if found.marked is None else _marked(found.marked, there),
        "contours": [
            {"slice_index": there.slice(lesion.first + k), "paths": there.paths(values)}
            for k, values in enumerate(lesion.values)
        ],
        "ends": [stop.value for stop in lesion.stops],
        "flags": [{"name": flag.value, "text": WORDS[flag]} for flag in found.flags],
    }


def _marked(marked: MarkedSize, there: _Grid) -> dict[str, Any]:
    low, high = marked.volume_mm3.interval_90 or (0.0, 0.0)
    return {
        "recist": there.recist(marked.recist),
        "long_mm": round(marked.long_mm, 2),
        "short_mm": round(marked.short_mm, 2),
        "who_mm2": round(marked.long_mm * marked.short_mm, 2),
        "volume_mm3": {
            **marked.volume_mm3.to_json(),
            "unit": "mm3",
            "factor": marked.factor,
            "log_sd": marked.log_sd,
            "text": f"pi/6 x long x short^2 x {marked.factor} from the two lines alone; 90 % of "
            f"lesions lie between {low:.0f} and {high:.0f} mm3",
        },
    }


class _Grid:
    """Display coordinates of one slab in the grid of the answer."""

    def __init__(self, found: LesionMeasurement, grid: Grid) -> None:
        self._map: GridMap | None = found.slab.grid if grid is Grid.FILE else None

    def slice(self, position: int) -> int:
        return position if self._map is None else self._map.to_file_slice(position)

    def box(self, box: Box) -> list[float]:
        return (box if self._map is None else self._map.to_file_box(box)).to_list()

    def recist(self, mark: Recist) -> dict[str, list[list[float]]]:
        """Both lines as pairs of end points."""
        point = self._point
        points = [[round(value, 3) for value in point(one)] for one in mark.points]
        return {"long": points[:2], "short": points[2:]}

    def paths(self, values: NDArray[np.float32]) -> list[list[list[float]]]:
        """The closed outlines of a slice, each a list of [x, y]."""
        point = self._point
        return [
            [[round(value, 2) for value in point((float(x), float(y)))] for x, y in path]
            for path in contours_of(values)
        ]

    @property
    def _point(self) -> Callable[[Point], Point]:
        return (lambda point: point) if self._map is None else self._map.to_file_point


def _extent(values: NDArray[np.float32]) -> Box:
    rows, columns = np.nonzero(values > 0.5)
    return Box(
        float(columns.min()) - 0.5,
        float(rows.min()) - 0.5,
        float(columns.max()) + 0.5,
        float(rows.max()) + 0.5,
    )
