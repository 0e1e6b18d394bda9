"""Whether the PACS brought what it was asked for: the same study, series, instance and patient.

A PACS behind a broken proxy or cache, or one that lies, answers with another image than the one
that was asked for. Its pixels would be shown, measured and reported for this patient's. Whatever
it brings is therefore held against the question, attribute by attribute, before it is used.
"""

from __future__ import annotations

from dataclasses import dataclass

from pydicom.dataset import Dataset

from service.pacs.errors import PacsError


class OtherInstanceError(PacsError):
    """A PACS that brings something else than what it was asked for."""


@dataclass(frozen=True, slots=True)
class Asked:
    """What was asked for; None where the question leaves it open."""

    study_uid: str | None = None
    series_uid: str | None = None
    sop_uid: str | None = None
    patient_id: str | None = None

    def check(self, answer: Dataset, *, listed: bool = False) -> None:
        """Raises OtherInstanceError if the answer is of another study, series or instance.

        Args:
            answer: attributes that the PACS tells of one entity.
            listed: it is an entry of a list (QIDO-RS), which may leave attributes out; an
                instance itself (WADO-RS) must tell all of them.
        """
        for keyword, wanted, what in (
            ("StudyInstanceUID", self.study_uid, "study"),
            ("SeriesInstanceUID", self.series_uid, "series"),
            ("SOPInstanceUID", self.sop_uid, "instance"),
            ("PatientID", self.patient_id, "patient"),
        ):
            if wanted is None or (listed and keyword not in answer):
                continue
            if str(answer.get(keyword) or "").strip() != wanted:
                raise OtherInstanceError(
                    f"the PACS answered with another {what} than it was asked for: nothing of it "
                    "is used; check the PACS and what lies between"
                )
