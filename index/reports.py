"""What an index answers, as named values that turn into JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Any

from retrieval.lesion import Lesion


@dataclass(frozen=True, slots=True)
class Neighbour:
    """A lesion and its cosine to the query, in [-1, 1]; bigger is more alike."""

    lesion: Lesion
    similarity: float


@dataclass(frozen=True, slots=True)
class AddReport:
    """How many lesions were new, replaced, or already there just so."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0

    def __add__(self, other: AddReport) -> AddReport:
        return AddReport(
            self.added + other.added,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
        )

    def to_json(self) -> dict[str, int]:
        """Plain values."""
        return asdict(self)


class ApproximateKind(StrEnum):
    """The approximate forms there are."""

    HNSW = "hnsw"
    IVF = "ivf"


class ReaderDecision(StrEnum):
    """What a reader said of a pair of lesions."""

    CONFIRMED = "confirmed"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Match:
    """A reader's decision on two lesions; ``lesion_a`` sorts before ``lesion_b``."""

    lesion_a: str
    lesion_b: str
    verdict: ReaderDecision

    def to_json(self) -> dict[str, str]:
        """Plain values."""
        return {"lesion_a": self.lesion_a, "lesion_b": self.lesion_b, "verdict": self.verdict.value}


@dataclass(frozen=True, slots=True)
class IndexedPatient:
    """A patient of the index, and how much of theirs is indexed."""

    patient_id: str
    studies: int
    lesions: int

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True)
class IndexInfo:
    """What an index is and how it stands."""

    path: str
    lesions: int
    patients: int
    studies: int
    lesion_types: Mapping[str, int]
    splits: Mapping[str, int]
    matches: int
    generation: int
    schema_version: int
    encoder_fingerprint: str
    encoder_name: str
    dimension: int
    patch_spec: Mapping[str, Any]
    store: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class IndexProblem:
    """Something wrong with an index, and what to do about it."""

    what: str
    remedy: str


@dataclass(frozen=True, slots=True)
class VectorCheck:
    """How many vectors are searched, and where they are not the catalog's."""

    vectors: int
    problems: tuple[IndexProblem, ...] = ()


@dataclass(frozen=True)
class VerifyReport:
    """What ``verify`` looked at and found."""

    lesions: int
    vectors: int
    generation: int
    problems: tuple[IndexProblem, ...] = ()

    @property
    def sound(self) -> bool:
        """Whether nothing is wrong."""
        return not self.problems

    def to_json(self) -> dict[str, Any]:
        """Plain values."""
        return {**asdict(self), "sound": self.sound}
