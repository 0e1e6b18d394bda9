"""Marks and refusals as one line of JSON and back, so that no carrier is read twice."""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date
from enum import Enum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.sources.marks.mark import (
    Carrier,
    Concept,
    ImageReference,
    LengthRole,
    Mark,
    MarkKind,
    MarkOutline,
    SegmentReference,
    StatedLength,
)
from retrieval.sources.marks.verdicts import Refusal, Verdict


def packed(what: Mark | Refusal) -> str:
    """A mark or refusal as JSON."""
    kind = "mark" if isinstance(what, Mark) else "refusal"
    return json.dumps({"is": kind, **_plain(what)}, separators=(",", ":"))


def unpacked(text: str) -> Mark | Refusal:
    """The inverse of ``packed``."""
    told = json.loads(text)
    if told.pop("is") == "mark":
        return _mark(told)
    carrier = told["carrier"]
    told["verdict"] = Verdict(told["verdict"])
    told["carrier"] = None if carrier is None else Carrier(carrier)
    return Refusal(**told)


def _plain(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: _plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, np.ndarray):
        coded = base64.b64encode(np.ascontiguousarray(value, "<f8").tobytes()).decode()
        return {"shape": list(value.shape), "f8": coded}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value


def _mark(told: dict[str, Any]) -> Mark:
    drawn_on = told["drawn_on"]
    segment = told["segment"]
    return Mark(
        **{
            **told,
            "carrier": Carrier(told["carrier"]),
            "kind": MarkKind(told["kind"]),
            "image": ImageReference(**told["image"]),
            "points": _points(told["points"]),
            "points_mm": _points(told["points_mm"]),
            "ring_sizes": tuple(told["ring_sizes"]),
            "others": tuple(_outline(one) for one in told["others"]),
            "lengths": tuple(_length(one) for one in told["lengths"]),
            "finding": Concept(**told["finding"]),
            "category": Concept(**told["category"]),
            "site": Concept(**told["site"]),
            "drawn_on": None if drawn_on is None else date.fromisoformat(drawn_on),
            "predecessors": tuple(told["predecessors"]),
            "segment": None if segment is None else SegmentReference(**segment),
        }
    )


def _outline(told: Mapping[str, Any]) -> MarkOutline:
    return MarkOutline(
        ImageReference(**told["image"]),
        _points(told["points"]),
        _points(told["points_mm"]),
        tuple(told["ring_sizes"]),
    )


def _length(told: Mapping[str, Any]) -> StatedLength:
    return StatedLength(**{**told, "role": LengthRole(told["role"])})


def _points(told: Mapping[str, Any] | None) -> NDArray[np.float64] | None:
    if told is None:
        return None
    numbers = np.frombuffer(base64.b64decode(told["f8"]), "<f8")
    return np.array(numbers.reshape(told["shape"]), np.float64)
