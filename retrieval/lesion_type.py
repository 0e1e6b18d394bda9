"""DeepLesion's coarse types and its splits, with their numbers."""

from __future__ import annotations

from enum import StrEnum

from retrieval.errors import LesionError


class LesionType(StrEnum):
    """DeepLesion's coarse lesion types (body regions)."""

    BONE = "bone"
    ABDOMEN = "abdomen"
    MEDIASTINUM = "mediastinum"
    LIVER = "liver"
    LUNG = "lung"
    KIDNEY = "kidney"
    SOFT_TISSUE = "soft tissue"
    PELVIS = "pelvis"
    UNKNOWN = "unknown"

    @property
    def code(self) -> int:
        """DeepLesion's number: 1 to 8, or -1 for unknown."""
        order = list(LesionType)
        return -1 if self is LesionType.UNKNOWN else order.index(self) + 1

    @classmethod
    def from_code(cls, code: int) -> LesionType:
        """The type of DeepLesion's number; raises LesionError unless it is 1 to 8 or -1."""
        if code == -1:
            return cls.UNKNOWN
        if not 1 <= code <= 8:
            raise LesionError(f"lesion type {code} is unknown: 1 to 8, or -1 for unknown")
        return list(cls)[code - 1]

    @classmethod
    def parse(cls, text: str) -> LesionType:
        """A type from its name or its number, as a user would write either."""
        cleaned = text.strip().lower().replace("_", " ").replace("-", " ")
        if cleaned in {"-1", " 1"}:
            return cls.UNKNOWN
        if cleaned.isdecimal() and len(cleaned) == 1:
            return cls.from_code(int(cleaned))
        try:
            return cls(cleaned)
        except ValueError:
            names = ", ".join(kind.value for kind in cls)
            raise LesionError(
                f"lesion type {text[:40]!r} is unknown: one of {names}, or 1 to 8"
            ) from None


class Split(StrEnum):
    """The part of an archive a patient belongs to. A patient never stands in two."""

    TRAIN = "train"
    VALIDATION = "val"
    TEST = "test"
    UNKNOWN = "unknown"

    @property
    def code(self) -> int:
        """DeepLesion's Train_Val_Test number: 1, 2 or 3; -1 where there is no split."""
        return {Split.TRAIN: 1, Split.VALIDATION: 2, Split.TEST: 3, Split.UNKNOWN: -1}[self]

    @classmethod
    def from_code(cls, code: int) -> Split:
        """The split of DeepLesion's number; raises LesionError for any other."""
        for split in cls:
            if split.code == code:
                return split
        raise LesionError(f"split {code} is unknown: 1 train, 2 val, 3 test, -1 none")
