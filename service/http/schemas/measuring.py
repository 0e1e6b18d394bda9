"""The JSON of a measured lesion as pydantic models, shown in OpenAPI."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from retrieval.grid import Grid
from retrieval.segmentation.measuring import MarkedSize, Method
from service.http.schemas.answer import Numbers, answer_of
from service.http.schemas.search import MeasuredSizesOut, MeasuredValueOut

Point = tuple[float, float]


class EstimateOut(MeasuredValueOut):
    """A measured value with its unit; intervals are null where the mask is the mark's ellipse."""

    unit: Literal["mm", "mm2", "mm3", "HU"]


class RecistVolumeOut(EstimateOut):
    """The volume that two lines alone speak for, with its factor."""

    factor: float = Field(description="over pi/6 x long x short^2")
    log_sd: float = Field(description="standard deviation of the logarithm of that factor")
    text: str


class LinesOut(BaseModel):
    """Two lines by their end points."""

    long: tuple[Point, Point]
    short: tuple[Point, Point]


@answer_of(MarkedSize, omit=["factor", "log_sd"])
class MarkedSizeOut(BaseModel):
    recist: LinesOut
    who_mm2: float = Field(description="the product of both diameters")
    volume_mm3: RecistVolumeOut


class LongestSliceOut(BaseModel):
    """The slice with the longest diameter."""

    slice_index: int
    long_mm: float


class OutlineOut(BaseModel):
    """The outline on one slice: closed paths of points (x, y)."""

    slice_index: int
    paths: list[list[Point]]


class FlagOut(BaseModel):
    """What a reader should know of the measurement."""

    name: str
    text: str


class MeasureOut(BaseModel):
    """One lesion measured from a mark."""

    notice: str
    grid: Grid = Field(description="what points, boxes and slices are in")
    asked: Literal["recist", "box", "point"]
    method: Method = Field(
        description="what the mask is; the mark's ellipse where the network's was empty or leaked"
    )
    estimated: bool
    in_3d: bool
    key_slice_index: int
    slices: tuple[int, int] = Field(description="first and last slice of the mask")
    box: Numbers = Field(description="of the mask on the key slice")
    recist: LinesOut = Field(description="the measured lines on the key slice")
    convention: str
    measurements: dict[str, EstimateOut] = Field(
        description="long_mm, short_mm, who_mm2, area_mm2, volume_mm3 (in 3D), mean_hu, sd_hu"
    )
    longest_slice: LongestSliceOut
    marked: MarkedSizeOut | None
    contours: list[OutlineOut]
    ends: tuple[str, str] = Field(description="why the mask ends towards the feet and the head")
    flags: list[FlagOut]
    warnings: list[str]
    timing_ms: dict[str, float]


class KeptOutlineOut(BaseModel):
    """The outline on one slice: closed paths of points (x, y)."""

    offset: int = Field(description="slices from the key slice; positive is towards the head")
    paths: list[list[Point]]


class KeptMaskOut(BaseModel):
    """The mask of an indexed lesion, as it was measured."""

    lesion_id: str
    grid: Literal["display"]
    contours: list[KeptOutlineOut]
    measured: MeasuredSizesOut | None


MEASURED_EXAMPLE: dict[str, Any] = {
    "long_mm": {"value": 18.1, "interval_50": [17.4, 19.0], "interval_90": [16.0, 20.9]},
    "short_mm": {"value": 13.8, "interval_50": [13.1, 14.6], "interval_90": [11.9, 16.2]},
    "volume_mm3": {
        "value": 2210.0,
        "interval_50": [1980.0, 2460.0],
        "interval_90": [1630.0, 3010.0],
    },
    "mean_hu": {"value": 61.2, "interval_50": [58.9, 63.8], "interval_90": [54.0, 68.1]},
    "sd_hu": {"value": 18.4, "interval_50": [16.9, 19.9], "interval_90": [13.8, 23.5]},
    "method": "network",
    "flags": ["volume outside the lungs"],
    "mask": "9f86d081884c7d659a2feaa0c55ad015",
    "network": "0f1e2d3c4b5a6978",
}
KEPT_MASK_EXAMPLE: dict[str, Any] = {
    "lesion_id": "000123_02_01_109_x226_y204",
    "grid": "display",
    "contours": [
        {"offset": 0, "paths": [[[214.5, 191.5], [239.5, 204.0], [227.0, 217.5], [214.5, 191.5]]]}
    ],
    "measured": None,
}
MEASURE_EXAMPLE: dict[str, Any] = {
    "notice": "Research use only. Not a medical device; not for diagnosis or treatment.",
    "grid": "file",
    "asked": "recist",
    "method": "network",
    "estimated": True,
    "in_3d": True,
    "key_slice_index": 109,
    "slices": [107, 111],
    "box": [214.5, 191.5, 239.5, 217.5],
    "recist": {
        "long": [[216.1, 194.0], [237.7, 214.9]],
        "short": [[234.0, 195.2], [220.4, 209.3]],
    },
    "convention": "edge to edge: the outline runs half way between the last pixel inside and the "
    "first outside",
    "measurements": {
        "long_mm": {
            "value": 18.1,
            "interval_50": [17.4, 19.0],
            "interval_90": [16.0, 20.9],
            "unit": "mm",
        },
        "volume_mm3": {
            "value": 2210.0,
            "interval_50": [1980.0, 2460.0],
            "interval_90": [1560.0, 3050.0],
            "unit": "mm3",
        },
    },
    "longest_slice": {"slice_index": 109, "long_mm": 18.1},
    "marked": {
        "recist": {
            "long": [[215.0, 193.0], [238.0, 216.0]],
            "short": [[234.0, 195.0], [220.0, 209.0]],
        },
        "long_mm": 18.4,
        "short_mm": 14.1,
        "who_mm2": 259.4,
        "volume_mm3": {
            "value": 3409.0,
            "interval_50": [2259.0, 5144.0],
            "interval_90": [1250.0, 9299.0],
            "unit": "mm3",
            "factor": 1.78,
            "log_sd": 0.61,
            "text": "pi/6 x long x short^2 x 1.78 from the two lines alone; 90 % of lesions lie "
            "between 1250 and 9299 mm3",
        },
    },
    "contours": [{"slice_index": 109, "paths": [[[216.0, 194.0], [238.0, 215.0], [216.0, 194.0]]]}],
    "ends": ["the lesion ended", "the lesion ended"],
    "flags": [],
    "warnings": [],
    "timing_ms": {"read": 6.1, "measure": 84.0},
}
"""Shown in OpenAPI."""
