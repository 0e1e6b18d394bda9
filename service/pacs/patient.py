"""One patient in a PACS: studies and CT series, each asked for once, under the answers' names."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date

from service.pacs.client import PacsClient, SeriesEntry, StudyEntry
from service.pacs.series import PacsImageError, PacsSeries, open_series


class PatientInPacs:
    """What the PACS has of a patient; for one query, so that nothing grows old."""

    def __init__(self, pacs: PacsClient, seen: PacsSeries) -> None:
        """The patient of a series that has been found already."""
        self.pacs = pacs
        self.own_id = seen.study.patient_id
        # Without an id nobody's other studies can be told from anybody's.
        self.studies = pacs.studies_of(self.own_id) if self.own_id else []
        if seen.study.study_uid not in {study.study_uid for study in self.studies}:
            self.studies.append(seen.study)
        self._entries: dict[str, list[SeriesEntry]] = {}
        self._opened = {seen.entry.series_uid: seen}

    @property
    def patient_id(self) -> str | None:
        """The patient's name in answers and in the index, None where the PACS has no id."""
        return self.pacs.identities.patient(self.own_id) if self.own_id else None

    def study_id(self, study: StudyEntry) -> str:
        """The study's name in answers and in the index."""
        return self.pacs.identities.uid(study.study_uid)

    def series_id(self, entry: SeriesEntry) -> str:
        """The series' name in answers and in the index."""
        return self.pacs.identities.uid(entry.series_uid)

    def day(self, study: StudyEntry) -> date | None:
        """The study's date in answers and in the index."""
        return None if study.day is None else self.pacs.identities.day(self.own_id, study.day)

    def others(self, study: StudyEntry) -> list[StudyEntry]:
        """The patient's other studies, those nearest in time first, as many as are allowed."""
        others = [one for one in self.studies if one.study_uid != study.study_uid]
        if study.day is not None:
            others.sort(key=lambda one: abs(((one.day or date.min) - (study.day or date.min)).days))
        return others[: self.pacs.settings.max_studies]

    def ct_series(self, study: StudyEntry) -> list[SeriesEntry]:
        """The study's CT series."""
        if study.study_uid not in self._entries:
            self._entries[study.study_uid] = self.pacs.series_of(study.study_uid, "CT")
        return self._entries[study.study_uid]

    def open(self, study: StudyEntry, entry: SeriesEntry) -> PacsSeries:
        """A series with its images in order; raises PacsError."""
        if entry.series_uid not in self._opened:
            self._opened[entry.series_uid] = open_series(self.pacs, study, entry)
        return self._opened[entry.series_uid]

    def by_uids(self, study_uid: str, series_uid: str) -> PacsSeries | None:
        """The series of these UIDs, None if it is not one of this patient's CT series."""
        for study in self.studies:
            if study.study_uid == study_uid:
                return self._first(study, (series_uid,), by_uid=True)
        return None

    def by_ids(self, study_id: str, series_id: str) -> PacsSeries | None:
        """The series that the index calls by these names, None if the PACS does not have it."""
        for study in self.studies:
            if self.study_id(study) == study_id:
                return self._first(study, (series_id,), by_uid=False)
        return None

    def most_alike(self, study: StudyEntry, like: SeriesEntry) -> PacsSeries | None:
        """The CT series to compare with: of the same description, else of the nearest length.

        Series that cannot be read as axial CT are passed over; None where none is left.
        """

        def unlikeness(entry: SeriesEntry) -> tuple[bool, int]:
            length = abs((entry.instances or 0) - (like.instances or 0))
            return entry.description != like.description, length

        for entry in sorted(self.ct_series(study), key=unlikeness):
            try:
                return self.open(study, entry)
            except PacsImageError:
                continue
        return None

    def _first(self, study: StudyEntry, names: Iterable[str], *, by_uid: bool) -> PacsSeries | None:
        for entry in self.ct_series(study):
            name = entry.series_uid if by_uid else self.series_id(entry)
            if name in names:
                return self.open(study, entry)
        return None
