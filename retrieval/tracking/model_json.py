"""Models of tracking as JSON files: a file that is none is named, and the field that is wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar

from retrieval.tracking.errors import TrackingError

Model = TypeVar("Model")


def finite(fields: Mapping[str, Any], name: str) -> float:
    """The number of a field.

    Raises:
        KeyError: there is no such field.
        TrackingError: it holds no finite number.
    """
    value = fields[name]
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not math.isfinite(value):
        raise TrackingError(f"{name} is {value!r}, which cannot be read as a finite number")
    return float(value)


def finite_by_name(fields: Mapping[str, Any], names: tuple[str, ...]) -> tuple[float, ...]:
    """The numbers of ``names``, in their order.

    Raises:
        KeyError: one is missing.
        TrackingError: there are others, or one is no finite number.
    """
    unknown = sorted(set(fields) - set(names))
    if unknown:
        raise TrackingError(f"unknown terms {unknown}: known are {names}")
    return tuple(finite(fields, name) for name in names)


@contextmanager
def reading_model(noun: str, fields: Mapping[str, Any], known: int) -> Iterator[None]:
    """Reads ``fields`` within; raises TrackingError naming ``noun`` and what is missing or wrong.

    ``known`` is the format that is read.
    """
    found = fields.get("format") if isinstance(fields, Mapping) else None
    if found != known:
        raise TrackingError(
            f"{noun} of format {found!r}: format {known} is read; fit the model again"
        )
    try:
        yield
    except KeyError as missing:
        raise TrackingError(f"{noun}: the field {missing} is missing") from None
    except TrackingError as wrong:
        raise TrackingError(f"{noun}: {wrong}") from None
    except (AttributeError, TypeError, ValueError) as wrong:
        raise TrackingError(f"{noun}: a field cannot be read: {wrong}") from None


def load_model(noun: str, path: Path, from_json: Callable[[Mapping[str, Any]], Model]) -> Model:
    """The model of a file; raises TrackingError naming the file unless it is one."""
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as wrong:
        raise TrackingError(f"{noun} {path.name} cannot be read: {wrong}") from None
    try:
        return from_json(fields)
    except TrackingError as wrong:
        raise TrackingError(f"{path.name}: {wrong}") from None


def bundled_model(name: str, from_json: Callable[[Mapping[str, Any]], Model]) -> Model:
    """The model ``retrieval/weights/NAME.json``, which ships with the package."""
    text = files("retrieval").joinpath("weights", f"{name}.json").read_text(encoding="utf-8")
    return from_json(json.loads(text))
