"""What can be wrong with a row of a lesion table, or with the image it names."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from retrieval.sources.errors import ArchiveError


class ProblemReason(StrEnum):
    """Why a row is not used."""

    UNPARSABLE_FIELD = "unparsable_field"
    INVALID_VALUE = "invalid_value"
    BOX_OUTSIDE_IMAGE = "box_outside_image"
    DUPLICATE = "duplicate"
    UNKNOWN_LESION = "unknown_lesion"
    MISSING_FILE = "missing_file"
    UNDECODABLE_IMAGE = "undecodable_image"
    EIGHT_BIT_IMAGE = "eight_bit_image"
    COLOUR_IMAGE = "colour_image"
    WRONG_IMAGE_SIZE = "wrong_image_size"
    NOT_HOUNSFIELD = "not_hounsfield"


@dataclass(frozen=True, slots=True)
class RowProblem:
    """One bad row: its line in the file (the header is line 1), the file it names, and why."""

    line: int
    file_name: str
    reason: ProblemReason
    detail: str

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "line": self.line,
            "file_name": self.file_name,
            "reason": self.reason.value,
            "detail": self.detail,
        }

    def __str__(self) -> str:
        return f"line {self.line}: {self.file_name}: {self.reason.value}: {self.detail}"


class RowError(ArchiveError):
    """A row or image that cannot be used, with the reason under which it is counted."""

    def __init__(self, reason: ProblemReason, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason
