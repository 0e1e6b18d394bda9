"""Truth and predicted boxes as JSON: an object from an image's name to its rows of numbers.

    {"000001_03_01_088.png": [[180, 166, 207, 193, 0.97], ...], ...}         boxes on key slices
    {"002666_01_01_001-030": [[120, 229, 1, 155, 266, 6, 0.97], ...], ...}   boxes in sub-volumes

The low corner, the high corner, and of predictions the score last; a bigger score is surer. An
image without boxes has an empty list: one that is not named is an error, for it may have been
forgotten.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.evaluation.stats.metrics import FloatArray
from retrieval.lesion import LesionSearchError


class DetectionFileError(LesionSearchError):
    """A file of boxes that is not in the documented format, or does not fit the truth."""


@dataclass(frozen=True, slots=True)
class BoxRows:
    """The form of one row: ``x1, y1, x2, y2`` with or without a score, or the same in 3D."""

    dimensions: int
    scored: bool

    @property
    def columns(self) -> int:
        """How many numbers a row has."""
        return 2 * self.dimensions + self.scored

    @property
    def names(self) -> str:
        """The numbers by name, for errors."""
        axes = "xyz"[: self.dimensions]
        corners = [f"{axis}{number}" for number in (1, 2) for axis in axes]
        return ", ".join([*corners, *(["score"] if self.scored else [])])


def read_boxes(path: Path, form: BoxRows) -> dict[str, FloatArray]:
    """Image name to (n, columns) rows; raises DetectionFileError naming image, row and value."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError, RecursionError) as wrong:
        raise DetectionFileError(f"{path.name} cannot be read as JSON: {wrong}") from None
    if not isinstance(content, dict) or not content:
        raise DetectionFileError(
            f"{path.name} holds no images: a JSON object from image name to rows "
            f"[{form.names}] is needed"
        )
    return {name: _rows(path.name, name, rows, form) for name, rows in content.items()}


def boxes_of(
    predicted: Mapping[str, FloatArray], names: Iterable[str], file_name: str
) -> list[FloatArray]:
    """The boxes of the named images in their order; raises DetectionFileError for missing ones."""
    wanted = list(names)
    missing = [name for name in wanted if name not in predicted]
    if missing:
        raise DetectionFileError(
            f"{file_name} lacks {len(missing)} of {len(wanted)} images (first: {missing[0]}): "
            "write an empty list where nothing was found"
        )
    return [predicted[name] for name in wanted]


def _rows(file: str, image: str, rows: Any, form: BoxRows) -> FloatArray:
    if not isinstance(rows, list):
        raise DetectionFileError(f"{file}: {image} is {str(rows)[:60]}, a list of rows is needed")
    for number, row in enumerate(rows, start=1):
        problem = _problem_of(row, form)
        if problem:
            raise DetectionFileError(f"{file}: row {number} of {image} {problem}: {str(row)[:90]}")
    return np.array(rows, dtype=np.float64).reshape(-1, form.columns)


def _problem_of(row: Any, form: BoxRows) -> str:
    """What is wrong with one row; empty if nothing is."""
    numbers = isinstance(row, list) and all(
        isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
        for value in row
    )
    if not numbers or len(row) != form.columns:
        return f"is not {form.columns} numbers [{form.names}]"
    axes = form.dimensions
    if any(row[axes + axis] < row[axis] for axis in range(axes)):
        return f"has its corners the wrong way round, [{form.names}]"
    return ""
