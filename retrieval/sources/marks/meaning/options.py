"""What a user decides about marks whose meaning a rule cannot tell."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from retrieval.sources.marks.mark import Mark
from retrieval.sources.marks.planes import PlaneSource
from retrieval.sources.marks.verdicts import JudgedMark


class SinglesPolicy(StrEnum):
    """What a line without a perpendicular partner is taken for."""

    REJECT = "reject"
    """Refused as ``single line``."""
    SQUARE = "square"
    """The square about the line's middle with its length as side; no short diameter."""
    ELLIPSE = "ellipse"
    """An ellipse with the line as long axis and the median short / long ratio of DeepLesion."""


@dataclass(frozen=True)
class JudgingOptions:
    """The user's decisions.

    Attributes:
        singles: what single lines are taken for.
        arrows: keep arrows and points (``kept as point``) for the detector.
        names: labels of segments and regions (SEG, RTSTRUCT) that are lesions although nothing in
            the file says so; compared without case, ``*`` stands for anything.
    """

    singles: SinglesPolicy = SinglesPolicy.REJECT
    arrows: bool = False
    names: tuple[str, ...] = ()


class MarkJudge(Protocol):
    """The signature of ``judge_marks`` in ``meaning.judging``.

    ``marks`` are all marks of one study or patient, of all its carriers: lines pair over files,
    and reports meet the segments that they measured. Each mark stands in the ``parts`` of exactly
    one JudgedMark. Duplicates over carriers are not told here: that is for whoever has them all.
    """

    def __call__(
        self, marks: Sequence[Mark], planes: PlaneSource, options: JudgingOptions = ...
    ) -> Iterator[JudgedMark]:
        """One verdict for every mark, in the order of their first parts."""
        ...
