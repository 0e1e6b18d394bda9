"""What the PACS is answered with beside a search: other studies, stored reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import date
from enum import StrEnum
from typing import Any


class MarkSource(StrEnum):
    """Where the lesions of a study come from."""

    INDEX = "index"
    REPORT = "report"
    DETECTOR = "detector"
    NONE = "none"


class Identifiers(StrEnum):
    """Whose ids an answer has: the PACS's own, or pseudonyms of them."""

    OWN = "own"
    PSEUDONYMS = "pseudonyms"


@dataclass(frozen=True)
class StudyInPacs:
    """Another study of the patient in the PACS.

    Attributes:
        source: where its lesions come from
        note: why there is nothing where there is nothing
    """

    study_id: str
    study_date: date | None
    source: MarkSource
    lesions: int
    note: str | None = None

    def to_json(self) -> dict[str, Any]:
        """The fields under their names."""
        day = None if self.study_date is None else self.study_date.isoformat()
        return {**asdict(self), "study_date": day, "source": self.source.value}


@dataclass(frozen=True)
class FoundInPacs:
    """What was found in the PACS."""

    identifiers: Identifiers
    studies: tuple[StudyInPacs, ...]

    def to_json(self) -> dict[str, Any]:
        """The fields under their names."""
        studies = [study.to_json() for study in self.studies]
        return {"identifiers": self.identifiers.value, "studies": studies}


@dataclass(frozen=True)
class StoredReport:
    """A report in the PACS, under the PACS's own UIDs."""

    study_instance_uid: str
    series_instance_uid: str
    sop_instance_uid: str


@dataclass(frozen=True)
class ReportsAnswer:
    """The reports that were made, and whether they were stored.

    Attributes:
        left_out: lesions whose image is not in the PACS
    """

    reports: tuple[StoredReport, ...]
    measurements: int
    left_out: int
    stored: bool

    def to_json(self) -> dict[str, Any]:
        """The fields under their names."""
        return {**asdict(self), "reports": [asdict(report) for report in self.reports]}
