"""What following a lesion answers, with its JSON."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Any

from retrieval.lesion import Box
from retrieval.tracking.edges import MatchTerms
from retrieval.tracking.following.expected import ExpectedPlace
from retrieval.tracking.track_types import RESEARCH_USE


class FollowState(StrEnum):
    """What is known of a lesion in a series that nobody has marked."""

    FOUND = "found"
    UNCERTAIN = "uncertain"
    NOT_FOUND = "not found"


@dataclass(frozen=True, slots=True)
class Finding:
    """A place that may be the lesion.

    Attributes:
        box: in pixels of the file grid.
        key_slice_index: the file's own number of its slice.
        score: probability that it is the lesion while all candidates compete.
        similarity: cosine with the lesion's vector.
        long_mm: the long diameter that the box speaks for; None where the box has the lesion's
            own size, since nothing was measured.
        detector_score: None where the detector did not propose it.
        terms: what speaks for and against it.
    """

    box: Box
    key_slice_index: int
    score: float
    similarity: float
    long_mm: float | None
    detector_score: float | None
    terms: MatchTerms

    def to_json(self) -> dict[str, Any]:
        """The fields under their names."""
        return {
            "box": self.box.to_list(),
            "key_slice_index": self.key_slice_index,
            "score": round(self.score, 4),
            "similarity": round(self.similarity, 4),
            "long_mm": self.long_mm,
            "detector_score": self.detector_score,
            "terms": self.terms.to_json(),
        }


@dataclass(frozen=True, slots=True)
class Coverage:
    """What was looked at.

    Attributes:
        slices: first and last slice that was searched, by the file's own numbers; None where the
            series does not reach the place.
        z: least and greatest body height of them, as ``Lesion.location`` has it.
        series_z: of the whole series.
        share: how likely it is that the expected place lies within them, in [0, 1].
        boxes: how many boxes were compared.
    """

    slices: tuple[int, int] | None
    z: tuple[float, float] | None
    series_z: tuple[float, float]
    share: float
    boxes: int

    def to_json(self) -> dict[str, Any]:
        """The fields under their names."""
        return {
            "slices": None if self.slices is None else list(self.slices),
            "z": None if self.z is None else [round(one, 4) for one in self.z],
            "series_z": [round(one, 4) for one in self.series_z],
            "share": round(self.share, 4),
            "boxes": self.boxes,
        }


@dataclass(frozen=True)
class Following:
    """What became of a lesion in one series: a proposal, until a reader accepts it.

    Attributes:
        lesion_id: the indexed lesion.
        state: by the best candidate's score and the thresholds of the follow model.
        candidates: likeliest first; the first is the one that ``state`` speaks of.
        probability_there: how likely it is that one of the candidates is the lesion.
        expected: where it was looked for.
        covered: what was looked at.
        warnings: what a reader should know, a sentence each.
        study_id: of the series, None where it is not known.
        study_date: the same for its date.
    """

    lesion_id: str
    state: FollowState
    candidates: Sequence[Finding]
    probability_there: float
    expected: ExpectedPlace
    covered: Coverage
    warnings: tuple[str, ...] = ()
    study_id: str | None = None
    study_date: date | None = None

    @property
    def best(self) -> Finding | None:
        """The proposal; None where the lesion was not found."""
        if self.state is FollowState.NOT_FOUND or not self.candidates:
            return None
        return self.candidates[0]

    def to_json(self) -> dict[str, Any]:
        """The document of ``lesion-search follow`` and of ``POST /v1/follow``."""
        best = self.best
        return {
            "notice": RESEARCH_USE,
            "lesion_id": self.lesion_id,
            "study_id": self.study_id,
            "study_date": None if self.study_date is None else self.study_date.isoformat(),
            "state": self.state.value,
            "grid": "file",
            "box": None if best is None else best.box.to_list(),
            "key_slice_index": None if best is None else best.key_slice_index,
            "score": None if best is None else round(best.score, 4),
            "probability_there": round(self.probability_there, 4),
            "similarity": None if best is None else round(best.similarity, 4),
            "candidates": [one.to_json() for one in self.candidates],
            "expected": {
                "location": [round(one, 4) for one in self.expected.location],
                "error": [round(one, 4) for one in self.expected.error],
                "source": self.expected.source.value,
            },
            "covered": self.covered.to_json(),
            "warnings": list(self.warnings),
        }

    def dls_center(self) -> list[float] | None:
        """The centre as the Deep Longitudinal Study writes predictions: voxels x, y, z."""
        best = self.best
        return None if best is None else [*best.box.center, float(best.key_slice_index)]
