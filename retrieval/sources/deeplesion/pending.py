"""What a writer was given of the patient in progress, and the rows of its tracks."""

from __future__ import annotations

from retrieval.sources.deeplesion import coding


class PendingPatient:
    """Rows, studies, tracks and attributes of one patient, until it is finished."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.rows: list[list[str]] = []
        self.lesion_ids: list[str] = []
        self.studies: set[int] = set()
        self.tracks: dict[str, list[tuple[int, str]]] = {}
        self.attributes: dict[str, dict[str, float]] = {}

    def track_rows(self, *, marks_complete: bool) -> list[list[str]]:
        """The rows of ``tracks.csv``: each track's state in each study since it was first seen.

        Where marks are not complete nothing is said of studies without one.
        """
        rows: list[list[str]] = []
        studies = sorted(self.studies)
        for track_id, seen in self.tracks.items():
            first = min(study for study, _ in seen)
            for study in (s for s in studies if s >= first):
                lesion_ids = [lesion_id for s, lesion_id in seen if s == study]
                if not lesion_ids:
                    if not marks_complete:
                        continue
                    state = "vanished"
                elif study > first:
                    state = "persistent"
                else:
                    is_first = study == studies[0] or not marks_complete
                    state = "baseline" if is_first else "new"
                study_id = coding.study_id_of(self.number, study)
                start = [coding.patient_id_of(self.number), track_id, study_id]
                rows.extend([*start, lesion_id, state] for lesion_id in lesion_ids or [""])
        return rows
