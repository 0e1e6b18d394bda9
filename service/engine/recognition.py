"""An image that is indexed already: its lesion is the indexed one, whatever its file is called.

A query's key slice is looked up by the hash of its pixels (``retrieval.pixel_hash``). Equal pixels
are the same slice of the same scan, so they tell whose it is better than any name does. What is
decided here, with the patient that the query gives beside the patients of the indexed slice:

* The patient given is one of them, or none is given and there is only one: the indexed lesion
  under an overlapping box is the query. Its record is used: patient, study, location, size, type.
* Another patient is given, or none and the slice is indexed under several: nobody can say whose
  follow-ups these would be. The answer says so, and shows none.

A slice of the index that was turned or mirrored has lost its sides, and with them where its lesion
lies: the answer says so, and shows no follow-ups.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.catalog.reader import LesionRecord
from index.lesion_index import LesionIndex
from retrieval.grid import GridMap
from retrieval.image import Slab
from retrieval.lesion import Box
from retrieval.pixel_hash import is_identifying, pixel_hash, turned_hashes
from retrieval.tracking.tracks import SAME_MARK_IOU
from service.engine.query import LesionQuery

PACS_ARCHIVE = "dicomweb"
"""The archive of lesions whose pixels lie in the PACS: no path; their boxes are in its file grid.

Boxes of every other archive are in the display grid, which is the grid of its files.
"""


@dataclass(frozen=True, slots=True)
class RecognisedMark:
    """The indexed lesion that a query is: its id, and how far the two boxes overlap."""

    lesion_id: str
    iou: float

    def to_json(self) -> dict[str, Any]:
        """``lesion_id`` and ``iou``, to four decimals."""
        return {"lesion_id": self.lesion_id, "iou": round(self.iou, 4)}


@dataclass(frozen=True)
class Recognition:
    """What the index knows of a query's key slice.

    Attributes:
        mark: the indexed lesion under the query's box, None where there is none.
        record: the same as the index holds it.
        patients: everybody under whom the slice is indexed.
        whose: patient and study that the slice belongs to, None where that is not certain.
        is_contradicted: the query gives another patient, or the index several, or the slice is
            turned: then follow-ups may be another patient's or lesion's, and are not shown.
        warnings: what a reader should know, a sentence each.
    """

    mark: RecognisedMark | None = None
    record: LesionRecord | None = None
    patients: frozenset[str] = frozenset()
    whose: tuple[str, str] | None = None
    is_contradicted: bool = False
    warnings: tuple[str, ...] = ()


UNKNOWN_SLICE = Recognition()
"""The slice is not in the index."""


def recognise(index: LesionIndex, slab: Slab, box: Box, query: LesionQuery) -> Recognition:
    """What the index knows of a slab's key slice and of a box on it, in the file grid."""
    plane = slab.hu[slab.key_slice]
    found = index.with_pixels(pixel_hash(plane))
    if not is_identifying(plane):
        return UNKNOWN_SLICE
    if not found:
        return _turned(index, plane)
    patients = frozenset(record.lesion.patient_id for record in found)
    given = query.patient_id
    if given is not None:
        found = [record for record in found if record.lesion.patient_id == given] or found
    mark, record = _best(found, box, slab.grid)
    if given not in patients and (given is not None or len(patients) > 1):
        return Recognition(mark, record, patients, None, True, (_contradiction(given, patients),))
    if given is None and record is None:
        return Recognition(patients=patients, warnings=(_new_mark(patients),))
    study = _study(found, record, query.study_id)
    whose = None if study is None else (found[0].lesion.patient_id, study)
    return Recognition(mark, record, patients, whose, False, _told(query, record, study))


def _turned(index: LesionIndex, plane: NDArray[np.float32]) -> Recognition:
    found = [one for pixels in turned_hashes(plane) for one in index.with_pixels(pixels)]
    if not found:
        return UNKNOWN_SLICE
    patients = frozenset(record.lesion.patient_id for record in found)
    names = ", ".join(sorted(patients))
    told = (
        f"this image is a slice that is already indexed, of patient {names}, but turned or "
        "mirrored: its sides are not the patient's, so no follow-ups are shown; turn it as it was "
        "and ask again"
    )
    return Recognition(patients=patients, is_contradicted=True, warnings=(told,))


def _best(
    found: Sequence[LesionRecord], box: Box, grid: GridMap
) -> tuple[RecognisedMark | None, LesionRecord | None]:
    """The lesion whose box overlaps most, if it overlaps enough to be the same mark."""
    shown = grid.to_display_box(box)
    overlaps = [
        one.lesion.box.iou(box if one.source.archive == PACS_ARCHIVE else shown) for one in found
    ]
    iou = max(overlaps)
    record = found[overlaps.index(iou)]
    if iou < SAME_MARK_IOU:
        return None, None
    return RecognisedMark(record.lesion.lesion_id, iou), record


def _study(
    found: Sequence[LesionRecord], record: LesionRecord | None, given: str | None
) -> str | None:
    """The study of the slice; None where it is indexed in several and none of them was meant."""
    if record is not None:
        return record.lesion.study_id
    studies = {one.lesion.study_id for one in found}
    if given in studies:
        return given
    return studies.pop() if len(studies) == 1 else None


def _told(query: LesionQuery, record: LesionRecord | None, study: str | None) -> tuple[str, ...]:
    told = []
    if query.patient_id is None and record is not None:
        told.append(
            f"this image is already indexed, as lesion {record.lesion.lesion_id} of patient "
            f"{record.lesion.patient_id}: no patient was given, so the answer is that lesion's"
        )
    if query.study_id is not None and study is not None and query.study_id != study:
        told.append(
            f"this image is already indexed in study {study}, not in study {query.study_id}: the "
            "answer counts it to the study it is indexed in"
        )
    return tuple(told)


def _contradiction(given: str | None, patients: frozenset[str]) -> str:
    names = ", ".join(sorted(patients))
    if given is None:
        return (
            f"this image is indexed under several patients ({names}): whose it is is not certain, "
            "so no follow-ups are shown; give the patient"
        )
    return (
        f"this image is already indexed as patient {names}, not as patient {given}: whose it is "
        "is not certain, so no follow-ups are shown; check the patient"
    )


def _new_mark(patients: frozenset[str]) -> str:
    (name,) = patients
    return (
        f"this slice is already indexed, as patient {name}, whose lesions are left out of the "
        "hits; no lesion is marked in this box: give the patient to see follow-ups"
    )
