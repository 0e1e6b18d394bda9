"""SearchedStudy: a lesion was looked for in a series, and what was covered: evidence of absence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Self, TypeVar

from retrieval.lesion import Box
from retrieval.tracking.errors import TrackingError

LEAST_SHARE = 0.95
"""A search that covers less of where the lesion may lie is no evidence that it has gone."""

NOT_FOUND = "not found"
STATES = ("found", "uncertain", NOT_FOUND)

T = TypeVar("T")

_NOT_READ = (KeyError, TypeError, ValueError, IndexError)


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
        series: which series was searched, by its pixels; empty where that is not known.
        model: fingerprints of the encoder and of the follow weights, as ``encoder/weights``.
        searched_at: when, in UTC.
        score: probability of the best candidate, None where nothing was proposed.
        key_slice_index: its slice, by the file's own number.
        box: its box, in the file grid.
    """

    lesion_id: str
    study_id: str
    state: str
    share: float
    probability_there: float
    slices: tuple[int, int] | None = None
    boxes: int = 0
    study_date: date | None = None
    series: str = ""
    model: str = ""
    searched_at: datetime | None = None
    score: float | None = None
    key_slice_index: int | None = None
    box: Box | None = None

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
                score=_maybe(float, document.get("score")),
                key_slice_index=_maybe(int, document.get("key_slice_index")),
                box=_maybe(_box, document.get("box")),
            )
        except _NOT_READ as wrong:
            raise TrackingError(
                f"not an answer of `lesion-search follow --json`: {type(wrong).__name__} {wrong}"
            ) from None
        if not found.study_id:
            raise TrackingError(
                f"the answer for lesion {found.lesion_id} names no study: follow it again with "
                "--study"
            )
        return found

    def to_json(self) -> dict[str, Any]:
        """The fields under their names."""
        return {
            "lesion_id": self.lesion_id,
            "study_id": self.study_id,
            "state": self.state,
            "share": round(self.share, 4),
            "probability_there": round(self.probability_there, 4),
            "slices": None if self.slices is None else list(self.slices),
            "boxes": self.boxes,
            "study_date": None if self.study_date is None else self.study_date.isoformat(),
            "series": self.series,
            "model": self.model,
            "searched_at": None if self.searched_at is None else self.searched_at.isoformat(),
            "score": self.score,
            "key_slice_index": self.key_slice_index,
            "box": None if self.box is None else self.box.to_list(),
            "is_evidence": self.is_evidence,
        }

    @classmethod
    def from_json(cls, fields: Mapping[str, Any]) -> Self:
        """The inverse of ``to_json``; raises TrackingError naming what is missing or wrong."""
        try:
            ends, day, moment = fields["slices"], fields["study_date"], fields["searched_at"]
            return cls(
                lesion_id=str(fields["lesion_id"]),
                study_id=str(fields["study_id"]),
                state=_state(fields["state"]),
                share=float(fields["share"]),
                probability_there=float(fields["probability_there"]),
                slices=None if ends is None else (int(ends[0]), int(ends[1])),
                boxes=int(fields["boxes"]),
                study_date=None if day is None else date.fromisoformat(day),
                series=str(fields["series"]),
                model=str(fields["model"]),
                searched_at=None if moment is None else datetime.fromisoformat(moment),
                score=_maybe(float, fields["score"]),
                key_slice_index=_maybe(int, fields["key_slice_index"]),
                box=_maybe(_box, fields["box"]),
            )
        except _NOT_READ as wrong:
            raise TrackingError(
                f"not a kept search for a lesion: {type(wrong).__name__} {wrong}"
            ) from None


def _maybe(kind: Callable[[Any], T], value: Any) -> T | None:
    return None if value is None else kind(value)


def _box(edges: Any) -> Box:
    return Box(*(float(edge) for edge in edges))


def _state(value: Any) -> str:
    if value not in STATES:
        raise ValueError(f"state {value!r}: {', '.join(STATES)}")
    return str(value)
