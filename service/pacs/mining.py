"""PacsSource: a PACS whose marks are mined over DICOMweb.

QIDO-RS lists the series that carry marks, WADO-RS brings them; of an image series that a mark
refers to the attributes are retrieved once, and later only the slices about its key slices.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

from retrieval.lesion import LesionSearchError
from retrieval.progress import ReportProgress
from retrieval.sources.marks.mark import Carrier, ImageReference, Mark, mark_id_of
from retrieval.sources.marks.reading import read_marks
from retrieval.sources.marks.verdicts import Refusal, Verdict
from retrieval.sources.mining.header import ImageHeader, headers_of
from retrieval.sources.mining.planes import SourceUnavailableError
from retrieval.sources.mining.stores import HeaderStore, MarkStore
from service.pacs.client import PacsClient, SeriesEntry
from service.pacs.errors import PacsError, PacsUnavailableError

_CARRIER_OF = {
    "SR": Carrier.SR,
    "PR": Carrier.GSPS,
    "SEG": Carrier.SEG,
    "RTSTRUCT": Carrier.RTSTRUCT,
}
"""Modalities of series that hold marks."""

_READ, _REFUSED = "whole", "refused"


class PacsSource:
    """Images and marks of a PACS; implements ``MarkedSource``."""

    def __init__(self, pacs: PacsClient, *, patient_id: str | None = None) -> None:
        """``patient_id`` (the PACS's own) limits it to one patient."""
        self._pacs = pacs
        self._patient_id = patient_id
        self._index: HeaderStore | None = None
        self._asked: set[str] = set()
        self._patient_of = lru_cache(maxsize=4096)(self._ask_patient)

    def collect(
        self, index: HeaderStore, journal: MarkStore, progress: ReportProgress | None = None
    ) -> None:
        """Retrieves every carrier that was not read yet; a retrieved one is never asked for again.

        Raises SourceUnavailableError where the PACS stops answering.
        """
        self._index = index
        entries = [
            entry
            for modality in _CARRIER_OF
            for entry in self._pacs.all_series(modality, patient_id=self._patient_id)
        ]
        for done, entry in enumerate(entries, start=1):
            try:
                for uid in self._pacs.instance_uids(entry):
                    self._read_carrier(entry, uid, journal)
            except PacsUnavailableError as gone:
                raise SourceUnavailableError(str(gone)) from None
            if progress is not None:
                progress(done, len(entries))

    def find(self, image: ImageReference) -> None:
        """Puts the headers of the image's series, or of its study's CT series, into the index.

        Raises SourceUnavailableError where the PACS stops answering.
        """
        try:
            if image.series_uid:
                self._list(image.series_uid, image.study_uid)
            elif image.sop_uid:
                self._list_instance(image.sop_uid)
            elif image.study_uid:
                self._list_study(image.study_uid)
        except PacsUnavailableError as gone:
            raise SourceUnavailableError(str(gone)) from None

    def read(self, header: ImageHeader) -> Any:
        """An image with its pixels; raises PacsError, SourceUnavailableError."""
        image = header.image
        series = SeriesEntry(image.study_uid, image.series_uid, "CT", "", None)
        try:
            return self._pacs.retrieve(series, image.sop_uid, patient_id=header.plane.patient_id)
        except PacsUnavailableError as gone:
            raise SourceUnavailableError(str(gone)) from None

    def attributes(self, header: ImageHeader) -> Any:
        """All attributes of an image but its pixels; errors are those of ``read``."""
        image = header.image
        series = SeriesEntry(image.study_uid, image.series_uid, "CT", "", None)
        try:
            return self._pacs.header(series, image.sop_uid, patient_id=header.plane.patient_id)
        except PacsUnavailableError as gone:
            raise SourceUnavailableError(str(gone)) from None

    def _read_carrier(self, entry: SeriesEntry, uid: str, journal: MarkStore) -> None:
        name = f"pacs:{uid}"
        if journal.has_read(name, _READ):
            return
        try:
            patient = self._patient_of(entry.study_uid)
            dataset = self._pacs.retrieve(entry, uid, patient_id=patient)
        except PacsUnavailableError:
            raise
        except PacsError as refused:
            # Told as a verdict, and asked for again by the next run.
            mark_id = mark_id_of(_CARRIER_OF[entry.modality], uid, ("file",))
            words = f"it could not be retrieved: {refused}"
            self._keep(journal, name, _REFUSED, [Refusal(mark_id, Verdict.UNREADABLE, words, "")])
            return
        self._keep(journal, name, _READ, read_marks(dataset, name=entry.modality))

    def _keep(
        self, journal: MarkStore, name: str, stamp: str, found: Iterable[Mark | Refusal]
    ) -> None:
        marks = list(found)
        if self._index is not None and not journal.has_read(name, stamp):
            with self._index.batch():
                journal.add_carrier(name, stamp, marks)

    def _ask_patient(self, study_uid: str) -> str:
        return self._pacs.study(study_uid).patient_id

    def _list(self, series_uid: str, study_uid: str = "") -> None:
        index = self._index
        if index is None or series_uid in self._asked or index.listing(series_uid) == "":
            return
        self._asked.add(series_uid)
        try:
            entry = self._pacs.series(series_uid, study_uid or None)
            headers = [one for told in self._pacs.headers(entry) for one in headers_of(told)]
        except PacsUnavailableError:
            raise
        except LesionSearchError:
            # It is asked for again in the next run: a mark's images may come later than the mark.
            return
        with index.batch():
            index.add_images(headers)
            index.set_listing(series_uid, "")

    def _list_instance(self, sop_uid: str) -> None:
        if self._index is None or sop_uid in self._asked or self._index.image(sop_uid) is not None:
            return
        self._asked.add(sop_uid)
        try:
            entry = self._pacs.series_of_instance(sop_uid)
        except PacsUnavailableError:
            raise
        except PacsError:
            return
        if entry is not None:
            self._list(entry.series_uid, entry.study_uid)

    def _list_study(self, study_uid: str) -> None:
        if study_uid in self._asked:
            return
        self._asked.add(study_uid)
        for entry in self._pacs.series_of(study_uid, "CT"):
            self._list(entry.series_uid, study_uid)
