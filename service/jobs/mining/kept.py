"""The kept marks of a mining run by the source's own identifiers, patient by patient."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from retrieval.sources.mining.header import ImageHeader
from retrieval.sources.mining.verdict_line import MarkSketch
from service.jobs.mining.header_index import HeaderIndex, open_work_file
from service.jobs.mining.journal import MiningJournal
from service.jobs.mining.run import WORK_NAME


@dataclass(frozen=True)
class PatientMarks:
    """One patient's kept marks.

    Attributes:
        patient: the source's own id.
        number: in the archive.
        marks: each with the header of its key image.
    """

    patient: str
    number: int
    marks: tuple[tuple[MarkSketch, ImageHeader], ...]


def kept_marks(work: Path) -> Iterator[PatientMarks]:
    """Every patient with a lesion in the archive of a work folder."""
    with closing(open_work_file(work / WORK_NAME)) as connection:
        index, journal = HeaderIndex(connection), MiningJournal(connection)
        for patient in journal.patients_with_marks():
            number = journal.state_of(patient).number
            marks = [
                (sketch, header)
                for sketch in journal.sketches_of(patient)
                if sketch.recist
                and (header := index.image(sketch.sop_uid, sketch.frame)) is not None
            ]
            if number is not None and marks:
                yield PatientMarks(patient, number, tuple(marks))
