"""Measured sizes of a row: columns of their own, and back to what an index keeps."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from index.catalog.measures import LARGEST_BYTES, name_of
from index.parquet.columns import SIZES, ParquetError
from retrieval.measured_size import MEASURES, MeasuredSizes, MeasuredValue

LONGEST_WORDS = 1024
LARGEST_VALUE = 1e9
"""Cubic millimetres of a cubic metre: no lesion is as large."""


def columns_of(measured: MeasuredSizes | None) -> dict[str, Any]:
    """The row's values under the names of the columns, without the mask's bytes."""
    if measured is None:
        return {
            **{name: None for name in SIZES},
            **{f"{name}_interval_{part}": None for name in SIZES for part in (50, 90)},
            **dict.fromkeys(("measured_method", "measured_flags", "measured_network", "mask")),
        }
    values: dict[str, Any] = {}
    for name, measure in zip(SIZES, MEASURES, strict=True):
        found: MeasuredValue | None = getattr(measured, measure)
        values[name] = None if found is None else found.value
        values[f"{name}_interval_50"] = None if found is None else _listed(found.interval_50)
        values[f"{name}_interval_90"] = None if found is None else _listed(found.interval_90)
    return {
        **values,
        "measured_method": measured.method,
        "measured_flags": "; ".join(measured.flags),
        "measured_network": measured.network,
        "mask": measured.mask,
    }


def measured_of(fields: Mapping[str, Any]) -> dict[str, Any] | None:
    """The JSON of a row's measured sizes; None where it was not measured. Raises ParquetError."""
    if fields["measured_method"] is None:
        return None
    found: dict[str, Any] = {}
    for name, measure in zip(SIZES, MEASURES, strict=True):
        value = fields[name]
        if value is None and measure == "volume_mm3":
            continue
        ends = {part: fields[f"{name}_interval_{part}"] for part in (50, 90)}
        _check(name, [value], 1)
        for part, interval in ends.items():
            if interval is not None:
                _check(f"{name}_interval_{part}", interval, 2)
        found[measure] = {"value": value, "interval_50": ends[50], "interval_90": ends[90]}
    words = {name: fields[f"measured_{name}"] or "" for name in ("method", "flags", "network")}
    for name, text in words.items():
        if len(text) > LONGEST_WORDS or not text.isprintable():
            raise ParquetError(f"measured_{name} is {text[:80]!r}: printable words are needed")
    flags = [flag for flag in words["flags"].split("; ") if flag]
    mask = fields["mask"] if fields["packed_mask"] is not None else None
    return {**found, **words, "flags": flags, "mask": mask}


def packed_of(fields: Mapping[str, Any]) -> bytes | None:
    """The row's mask as it was packed; raises ParquetError where its name is not its hash."""
    packed = fields["packed_mask"]
    if packed is None:
        return None
    if len(packed) > LARGEST_BYTES or name_of(packed) != fields["mask"]:
        raise ParquetError(f"the mask {str(fields['mask'])[:40]!r} is not what its name says")
    return bytes(packed)


def _listed(interval: tuple[float, float] | None) -> list[float] | None:
    return None if interval is None else list(interval)


def _check(name: str, values: Sequence[Any], count: int) -> None:
    if len(values) != count or not all(
        isinstance(one, float) and math.isfinite(one) and abs(one) <= LARGEST_VALUE
        for one in values
    ):
        raise ParquetError(f"{name} is {list(values)[:4]}: {count} finite numbers are needed")
