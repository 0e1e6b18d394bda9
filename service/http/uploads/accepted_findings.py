"""A reader's acceptance: a place that following a lesion proposed becomes a lesion with a link.

The lesion is added as any other mark is, with its pixels, and the link is a confirmed match.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date

from retrieval.image import Slab
from retrieval.lesion import Lesion, LesionSearchError
from retrieval.tracking.following.findings import Finding, Following
from service.engine.patient_tracks import Decision, decide
from service.engine.query import LesionQuery
from service.engine.recognition import recognise
from service.engine.search_engine import SearchEngine
from service.http.uploads.added_lesions import AddedLesions, LesionFields, PreparedLesion

STUDY_ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


class AcceptError(LesionSearchError):
    """A proposal that cannot be accepted."""


@dataclass(frozen=True, slots=True)
class NewStudy:
    """The study that the searched series belongs to."""

    study_id: str | None
    study_date: date | None = None

    def fields(self, prior: Lesion) -> LesionFields:
        """What is known of the lesion there; raises AcceptError without a usable study."""
        study = self.study_id
        if study is None or not STUDY_ID.fullmatch(study):
            raise AcceptError(
                f"the series is of study {study!r}: name the study it is accepted in, 1 to 64 "
                "letters, digits, dots, dashes or underscores"
            )
        if study == prior.study_id:
            raise AcceptError(
                f"study {study} is the one in which lesion {prior.lesion_id} is marked: name the "
                "study of the series"
            )
        return LesionFields(
            prior.patient_id, study, f"{study}_added", prior.lesion_type, self.study_date
        )


@dataclass(frozen=True)
class AcceptedFinding:
    """A proposal about to be accepted: ``known`` is the lesion that is indexed there already.

    Where there is none, ``prepared`` is the lesion to add.
    """

    prior_id: str
    known: Lesion | None
    prepared: PreparedLesion | None


def chosen_finding(found: Following, rank: int) -> Finding:
    """The candidate of a rank, from 1; raises AcceptError where there is none."""
    count = len(found.candidates)
    if not 1 <= rank <= count:
        raise AcceptError(
            f"candidate {rank} cannot be accepted: {count} were found, numbered from 1"
        )
    return found.candidates[rank - 1]


class FindingAcceptance:
    """Accepts proposals into one engine's index."""

    def __init__(self, engine: SearchEngine, added: AddedLesions) -> None:
        self._engine = engine
        self._added = added

    def prepare(
        self, finding: Finding, slab: Slab, prior_id: str, study: NewStudy
    ) -> AcceptedFinding:
        """The lesion of a proposal with its vector: all but the writing.

        Raises:
            AcceptError: no study, or the prior's own.
            LesionSearchError: those of ``AddedLesions.prepare``.
        """
        prior = self._engine.index.get(prior_id).lesion
        fields = study.fields(prior)
        keyed = slab.on_file_slice(finding.key_slice_index)
        query = LesionQuery(box=finding.box, patient_id=prior.patient_id)
        record = recognise(self._engine.index, keyed, finding.box, query).record
        if record is not None:
            return AcceptedFinding(prior_id, record.lesion, None)
        return AcceptedFinding(prior_id, None, self._added.prepare(keyed, query, fields))

    def store(self, accepted: AcceptedFinding) -> Lesion:
        """Adds the lesion and confirms the link; the lesion is taken back where that contradicts.

        Raises:
            MatchConflictError: another decision contradicts the link; nothing is stored.
            LesionSearchError: those of ``AddedLesions.store``.
        """
        if accepted.prepared is None:
            assert accepted.known is not None
            decide(
                self._engine.index,
                (accepted.prior_id, accepted.known.lesion_id),
                Decision.CONFIRM,
            )
            return accepted.known
        lesion = self._added.store(accepted.prepared)
        try:
            decide(self._engine.index, (accepted.prior_id, lesion.lesion_id), Decision.CONFIRM)
        except BaseException:
            self._added.remove(lesion.lesion_id)
            raise
        return lesion
