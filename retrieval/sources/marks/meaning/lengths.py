"""Stated lengths against points times spacing: whether they agree, and which one wins.

Points win where they are known, and what was stated is said: viewers have stored centimetres as
millimetres, and ePAD stores centimetres under the unit "linear". A mask's pixels tell no length
better than their own size: there a stated length of the same measurement wins. Lengths that no unit
explains contradict the points: then one of the two is wrong, and nobody can tell which.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from retrieval.sources.marks.mark import LengthRole, StatedLength
from retrieval.sources.marks.verdicts import LengthSource

SAME_PART, SAME_MM = 0.02, 0.5
"""Lengths that differ by less (of their size, or mm) are equal: writers round."""

NEAR_PART, NEAR_MM = 0.2, 2.0
"""Lengths that differ by less are the same measurement, told otherwise; the points win."""

_UNITS: Mapping[str, float] = {"cm": 10.0, "mm": 1.0, "um": 0.001}
"""Units that stated numbers are tried in where the stated one does not fit."""


@dataclass(frozen=True)
class LengthComparison:
    """How stated lengths and points compare.

    Attributes:
        long_mm, short_mm: the winners; None where neither is known.
        source: who won; None where there is no length at all.
        words: what was stated and who won; empty where both say the same or one is missing.
        is_contradiction: no unit explains the stated lengths.
    """

    long_mm: float | None
    short_mm: float | None
    source: LengthSource | None
    words: str = ""
    is_contradiction: bool = False


def compared(
    lengths: Sequence[StatedLength],
    points_mm: Sequence[float],
    points_px: Sequence[float],
    *,
    is_outline: bool = False,
    is_mask: bool = False,
) -> LengthComparison:
    """Compares stated lengths with those of the points.

    Args:
        lengths: as stated, of long, short and unnamed diameters.
        points_mm: (long, short) or (long,) from the points; empty where the spacing is unknown.
        points_px: the same in pixels; empty where nothing was drawn.
        is_outline: the points are an outline, whose diameters are ours and not a reader's: a
            stated length may then be any of its diameters up to the longest.
        is_mask: the outline is that of a mask's pixels: near it, the stated lengths win.
    """
    stated = _diameters(lengths)
    if not points_mm:
        return _stated_only(stated, "the image has no spacing" if points_px else "it has no axes")
    ours = LengthComparison(points_mm[0], _second(points_mm), LengthSource.POINTS)
    if not stated:
        return ours
    pairs = list(zip(stated, points_mm, strict=False))
    if is_mask and _names_mask(pairs):
        return _of_mask(stated, points_mm)
    if all(_is_same(one.mm, mm) for one, mm in pairs):
        return ours
    words = _explained(pairs, points_px)
    if words is None and is_outline and _is_inside(stated, points_mm[0]):
        shown = _shown(stated)
        words = f"stated {shown} is not the outline's longest diameter of {points_mm[0]:.1f} mm"
    if words is None:
        text = f"stated {_shown(stated)}, points give {_mm(points_mm)}: no unit explains both"
        return LengthComparison(None, None, None, text, is_contradiction=True)
    return LengthComparison(ours.long_mm, ours.short_mm, ours.source, f"{words}; points win")


def _diameters(lengths: Sequence[StatedLength]) -> list[StatedLength]:
    """Long and short as stated, the longer one first whatever it is called."""
    order = (LengthRole.LONG, LengthRole.DIAMETER, LengthRole.LENGTH)
    first = next((one for role in order for one in lengths if one.role is role), None)
    second = next((one for one in lengths if one.role is LengthRole.SHORT), None)
    found = [one for one in (first, second) if one is not None]
    return sorted(found, key=lambda one: -(one.mm or one.value))


def _stated_only(stated: Sequence[StatedLength], why: str) -> LengthComparison:
    known = [one.mm for one in stated if one.mm is not None]
    if not known:
        words = f"stated {_shown(stated)}: its unit tells no millimetres" if stated else ""
        return LengthComparison(None, None, None, words)
    words = f"stated {_shown(stated)}: {why}, stated lengths win"
    return LengthComparison(known[0], _second(known), LengthSource.STATED, words)


def _names_mask(pairs: Sequence[tuple[StatedLength, float]]) -> bool:
    """Whether stated lengths are a mask's own: its longest diameter, and one across it.

    The longest chord across depends on single pixels; a reader's short axis is another one.
    """
    if not all(one.mm is not None for one, _ in pairs):
        return False
    (first, longest), *others = pairs
    is_long = first.mm is not None and _is_near(first.mm, longest)
    return is_long and all(
        _is_inside([one], longest) or _is_near(one.mm or 0, mm) for one, mm in others
    )


def _of_mask(stated: Sequence[StatedLength], points_mm: Sequence[float]) -> LengthComparison:
    """The stated lengths, the mask's where none is stated; the longer one first."""
    known = [one.mm for one in stated if one.mm is not None]
    both = sorted([*known, *points_mm[len(known) :]], reverse=True)
    words = f"stated {_shown(stated)}, the mask's pixels give {_mm(points_mm)}; stated lengths win"
    return LengthComparison(both[0], _second(both), LengthSource.STATED, words)


def _explained(
    pairs: Sequence[tuple[StatedLength, float]], points_px: Sequence[float]
) -> str | None:
    """Why stated lengths and points differ; None where nothing explains it."""
    shown = _shown([one for one, _ in pairs])
    told = f"points give {_mm([mm for _, mm in pairs])}"
    for unit, factor in _UNITS.items():
        if all(_is_same(one.value * factor, mm) for one, mm in pairs):
            return f"stated {shown} is {unit}: {told}"
    if len(points_px) >= len(pairs) and all(
        _is_same(one.value, px) for (one, _), px in zip(pairs, points_px, strict=False)
    ):
        return f"stated {shown} is pixels: {told}"
    if all(one.mm is not None and _is_near(one.mm, mm) for one, mm in pairs):
        return f"stated {shown}, {told}"
    for unit, factor in _UNITS.items():
        if all(_is_near(one.value * factor, mm) for one, mm in pairs):
            return f"stated {shown} is about {unit}: {told}"
    return None


def _is_inside(stated: Sequence[StatedLength], longest_mm: float) -> bool:
    return all(
        one.mm is not None and 0.3 * longest_mm <= one.mm <= 1.2 * longest_mm for one in stated
    )


def _is_same(one: float | None, other: float) -> bool:
    return one is not None and math.isclose(one, other, rel_tol=SAME_PART, abs_tol=SAME_MM)


def _is_near(one: float, other: float) -> bool:
    return math.isclose(one, other, rel_tol=NEAR_PART, abs_tol=NEAR_MM)


def _second(values: Sequence[float]) -> float | None:
    return values[1] if len(values) > 1 else None


def _shown(stated: Sequence[StatedLength]) -> str:
    numbers = " x ".join(f"{one.value:.4g}" for one in stated)
    return f"{numbers} {stated[0].unit or 'without a unit'}"


def _mm(values: Sequence[float]) -> str:
    return " x ".join(f"{value:.1f}" for value in values) + " mm"
