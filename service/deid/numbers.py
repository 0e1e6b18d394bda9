"""Which numbers an allowed attribute may hold, and how exactly they are written.

A number can carry a date of birth (series number 19500102) or an id of a patient, in its digits
or behind the decimals that a scanner can mean. Every value is therefore held against the range
that its attribute has on CT, and written anew with no more decimals than geometry needs.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

LONGEST_TEXT = 64
"""Characters of one number: PS3.5 allows 16 to a decimal string."""

ORTHONORMAL = 1e-3
"""How far the two directions of an image may be from unit length and a right angle."""


@dataclass(frozen=True, slots=True)
class AllowedNumbers:
    """What an attribute may hold.

    Attributes:
        low, high: the range of each value.
        decimals: that are kept; 0 is whole numbers.
        count: values, at most.
    """

    low: float
    high: float
    decimals: int = 0
    count: int = 1


RANGES: Mapping[str, AllowedNumbers] = {
    "SeriesNumber": AllowedNumbers(0, 9999),
    "AcquisitionNumber": AllowedNumbers(0, 9999),
    "InstanceNumber": AllowedNumbers(0, 9999),
    "SliceThickness": AllowedNumbers(0, 100, 3),
    "SpacingBetweenSlices": AllowedNumbers(-100, 100, 4),
    "SliceLocation": AllowedNumbers(-5000, 5000, 4),
    "ImagePositionPatient": AllowedNumbers(-5000, 5000, 4, 3),
    "ImageOrientationPatient": AllowedNumbers(-1, 1, 6, 6),
    "PixelSpacing": AllowedNumbers(0.01, 10, 7, 2),
    "KVP": AllowedNumbers(20, 300),
    "SamplesPerPixel": AllowedNumbers(1, 1),
    "Rows": AllowedNumbers(1, 8192),
    "Columns": AllowedNumbers(1, 8192),
    "BitsAllocated": AllowedNumbers(8, 16),
    "BitsStored": AllowedNumbers(1, 16),
    "HighBit": AllowedNumbers(0, 15),
    "PixelRepresentation": AllowedNumbers(0, 1),
    "PixelPaddingValue": AllowedNumbers(-32768, 65535),
    "PixelPaddingRangeLimit": AllowedNumbers(-32768, 65535),
    "RescaleIntercept": AllowedNumbers(-32768, 32767, 4),
    "RescaleSlope": AllowedNumbers(1e-6, 1000, 6),
    "WindowCenter": AllowedNumbers(-32768, 32767, 1, 4),
    "WindowWidth": AllowedNumbers(0, 65535, 1, 4),
}
"""By keyword. Decimals beyond these are below a micrometre, or a tenth of a Hounsfield unit."""


def plain_numbers(keyword: str, texts: Sequence[str]) -> list[str] | None:
    """The values of an attribute written anew, None if they are none that it may hold.

    Args:
        keyword: one of ``RANGES``.
        texts: its values as the file writes them.
    """
    allowed = RANGES[keyword]
    if not 0 < len(texts) <= allowed.count:
        return None
    values = [_number(text) for text in texts]
    if not all(allowed.low <= value <= allowed.high for value in values):
        return None
    if keyword == "ImageOrientationPatient" and not _is_orthonormal(values):
        return None
    return [_written(value, allowed.decimals) for value in values]


def _number(text: str) -> float:
    """The number that a text is; not a number, which lies in no range, if it is none."""
    if len(text) > LONGEST_TEXT or not text.isascii() or "_" in text:
        return math.nan
    try:
        return float(text)
    except ValueError:
        return math.nan


def _written(value: float, decimals: int) -> str:
    text = f"{value:.{decimals}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def _is_orthonormal(values: Sequence[float]) -> bool:
    if len(values) != 6:
        return False
    rows = np.reshape(values, (2, 3))
    return bool(np.allclose(rows @ rows.T, np.eye(2), atol=ORTHONORMAL))
