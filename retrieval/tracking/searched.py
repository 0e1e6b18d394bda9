"""SearchedStudy: a lesion was looked for in a study, and what was covered: evidence of absence."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Self

from retrieval.tracking.errors import TrackingError

LEAST_SHARE = 0.95
"""A search that covers less of where the lesion may lie is no evidence that it has gone."""

NOT_FOUND = "not found"


@dataclass(frozen=True, slots=True)
class SearchedStudy:
    """What ``lesion-search follow`` said of one lesion in one study.

    Attributes:
        lesion_id: the indexed lesion.
        study_id: of the searched series.
        state: found, uncertain or not found.
        share: how likely it is that the lesion's place lies within what was searched, in [0, 1].
        probability_there: how likely it is that one of the places compared is the lesion.
        slices: first and last slice that was searched, by the file's own numbers.
        boxes: how many places were compared.
        study_date: of the searched series, None where it is not known.
    """

    lesion_id: str
    study_id: str
    state: str
    share: float
    probability_there: float
    slices: tuple[int, int] | None = None
    boxes: int = 0
    study_date: date | None = None

    @property
    def is_evidence(self) -> bool:
        """Whether the lesion was looked for everywhere it may be, and is not there."""
        return self.state == NOT_FOUND and self.share >= LEAST_SHARE and self.slices is not None

    @property
    def words(self) -> str:
        """What was covered, as a reader is told it."""
        first, last = self.slices or (0, 0)
        return (
            f"looked for on slices {first} to {last}, {self.share:.0%} of where it may lie, "
            f"{self.boxes} places compared: not found (chance that it is there "
            f"{self.probability_there:.2f})"
        )

    @classmethod
    def of_document(cls, document: Mapping[str, Any]) -> Self:
        """Of the JSON that ``follow --json`` prints; raises TrackingError for any other."""
        try:
            covered, day = document["covered"], document["study_date"]
            slices = covered["slices"]
            found = cls(
                lesion_id=str(document["lesion_id"]),
                study_id=str(document["study_id"] or ""),
                state=str(document["state"]),
                share=float(covered["share"]),
                probability_there=float(document["probability_there"]),
                slices=None if slices is None else (int(slices[0]), int(slices[1])),
                boxes=int(covered["boxes"]),
                study_date=None if day is None else date.fromisoformat(day),
            )
        except (KeyError, TypeError, ValueError, IndexError) as wrong:
            raise TrackingError(
                f"not an answer of `lesion-search follow --json`: {type(wrong).__name__} {wrong}"
            ) from None
        if not found.study_id:
            raise TrackingError(
                f"the answer for lesion {found.lesion_id} names no study: follow it again with "
                "--study"
            )
        return found
