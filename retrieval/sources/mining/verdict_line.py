"""One line of ``mined.jsonl``: what became of one mark, without its patient."""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import date
from typing import Any, Protocol

from retrieval.lesion import LesionSearchError, LesionType
from retrieval.sources.deeplesion.coding import series_id_of
from retrieval.sources.marks.mark import ImageReference, Mark
from retrieval.sources.marks.meaning.findings import is_vocabulary
from retrieval.sources.marks.verdicts import JudgedMark, Refusal, Verdict
from retrieval.sources.mining.header import ImageHeader

_QUOTED = re.compile(r"'[^']*'|\"[^\"]*\"")
_UID = re.compile(r"\b\d+(?:\.\d+){4,}\b")


class Names(Protocol):
    """How a source's identifiers are called in the archive."""

    def patient(self, patient_id: str) -> str:
        """The name of a patient."""
        ...

    def uid(self, uid: str) -> str:
        """The name of a study, series or instance UID."""
        ...

    def day(self, patient_id: str, day: date) -> date:
        """A date of a patient."""
        ...


@dataclass(frozen=True)
class Naming:
    """The names of one archive.

    Attributes:
        names: of patients, UIDs and days.
        plain: identifiers are the source's own, so that free text may stay as it is.
    """

    names: Names
    plain: bool = False

    def uid(self, uid: str) -> str:
        """A UID's name; empty where it is no UID."""
        if not uid:
            return ""
        try:
            return self.names.uid(uid)
        except LesionSearchError:
            return ""

    def text(self, words: str) -> str:
        """Words about a mark: what they quote may name a patient, and UIDs become names.

        A quoted name of nothing but words of the body and of lesions ("Left kidney 2") stays: who
        chooses ``--segments`` must know it.
        """
        if self.plain:
            return words
        return _UID.sub(lambda found: self.uid(found[0]), _QUOTED.sub(_told, words))


def _told(quoted: re.Match[str]) -> str:
    return quoted[0] if is_vocabulary(quoted[0][1:-1]) else "'...'"


@dataclass(frozen=True)
class MinedLesion:
    """Where a kept mark stands in the archive.

    Attributes:
        lesion_id: the archive's.
        key_slice: DeepLesion's number of it.
        box: in the archive's pixels.
        location, location_error: body position and its standard error, None where not known.
        track_id: of the readers' links, empty for none.
        notes: what is to be known of it.
    """

    lesion_id: str
    key_slice: int
    box: list[float]
    location: tuple[float, float, float] | None = None
    location_error: tuple[float, float, float] | None = None
    track_id: str = ""
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class MinedPoint:
    """Where a point or an arrow's tip lies, as the archive counts.

    Attributes:
        series: numbers of patient, study and series; None where no lesion of the series is kept,
            so that it has no place in the archive.
        slice_index: DeepLesion's number of the slice.
        point: (x, y) in the archive's pixels.
    """

    series: tuple[int, int, int] | None
    slice_index: int
    point: tuple[float, float]


@dataclass(frozen=True)
class MarkSketch:
    """A mark by the source's own identifiers, for pictures and reports; never in the archive.

    Attributes:
        mark_id, verdict: as in the line.
        sop_uid, frame: its image; empty where it has none.
        extent: of what was drawn, in pixels of the image; empty where that is not known.
        recist: eight numbers in pixels of the image; empty unless kept.
        long_mm, short_mm, lesion_type: of a kept mark.
        track: track id in the archive, empty for none.
        tracking_uid: as the readers linked it.
        label: the name of a region, segment or annotation.
    """

    mark_id: str
    verdict: str
    sop_uid: str = ""
    frame: int | None = None
    extent: tuple[float, ...] = ()
    recist: tuple[float, ...] = ()
    long_mm: float | None = None
    short_mm: float | None = None
    lesion_type: str = LesionType.UNKNOWN.value
    track: str = ""
    tracking_uid: str = ""
    label: str = ""

    def pack(self) -> str:
        """The sketch as one line of JSON."""
        return json.dumps(asdict(self))

    @classmethod
    def unpack(cls, text: str) -> MarkSketch:
        """The inverse of ``pack``."""
        told = json.loads(text)
        return cls(**{**told, "extent": tuple(told["extent"]), "recist": tuple(told["recist"])})


def sketch_of(judged: JudgedMark, lesion: MinedLesion | None) -> MarkSketch:
    """The sketch of a judged mark."""
    mark, plane = judged.mark, judged.plane
    image = mark.image if plane is None else plane.image
    extent = () if judged.extent is None else tuple(judged.extent.to_list())
    if not extent and mark.points is not None and len(mark.points):
        extent = (*mark.points.min(axis=0).tolist(), *mark.points.max(axis=0).tolist())
    # A proposal's lines were drawn by nobody: no picture and no report shows them as a reader's.
    is_drawn = judged.verdict is Verdict.KEPT and judged.recist is not None
    is_recist = lesion is not None and is_drawn
    ends = judged.recist.points if is_recist and judged.recist is not None else ()
    return MarkSketch(
        mark.mark_id,
        judged.verdict.value,
        image.sop_uid,
        image.frame,
        extent,
        tuple(value for point in ends for value in point),
        judged.long_mm,
        judged.short_mm,
        judged.lesion_type.value,
        "" if lesion is None else lesion.track_id,
        mark.tracking_uid,
        mark.label,
    )


def line_of(
    judged: JudgedMark,
    naming: Naming,
    header: ImageHeader | None,
    lesion: MinedLesion | None,
    point: MinedPoint | None = None,
) -> str:
    """The line of a judged mark; ``lesion`` or ``point`` where one is kept."""
    mark = judged.mark
    image = mark.image if judged.plane is None else judged.plane.image
    patient = mark.patient_id if judged.plane is None else judged.plane.patient_id
    told: dict[str, Any] = {
        "mark_id": mark.mark_id,
        "verdict": judged.verdict.value,
        "reason": naming.text(judged.words),
        "carrier": mark.carrier.value,
        "kind": mark.kind.value,
        "parts": list(judged.parts or (mark.mark_id,)),
        "duplicate_of": judged.duplicate_of,
        "patient": naming.names.patient(patient) if patient.strip() else "",
        **_image(image, naming),
        "lesion_id": None if lesion is None else lesion.lesion_id,
        "long_mm": _rounded(judged.long_mm),
        "short_mm": _rounded(judged.short_mm),
        "length_source": None if judged.length_source is None else judged.length_source.value,
        "lengths": naming.text(judged.length_words),
        "lesion_type": judged.lesion_type.value,
        "finding": mark.finding.meaning if naming.plain else mark.finding.value,
        "drawn_on": _day(mark, naming, patient),
        "study_date": None,
    }
    if header is not None and (day := header.study_day) is not None:
        told["study_date"] = naming.names.day(patient, day).isoformat()
    if point is not None:
        numbers = point.series
        told["series_id"] = None if numbers is None else series_id_of(*numbers)
        told |= {"key_slice_index": point.slice_index, "point": list(point.point)}
    if judged.proposal_score is not None:
        told["proposal_score"] = round(judged.proposal_score, 4)
    if lesion is not None:
        told |= {
            "key_slice_index": lesion.key_slice,
            "box": lesion.box,
            "location": None if lesion.location is None else list(lesion.location),
            "location_error": (
                None if lesion.location_error is None else list(lesion.location_error)
            ),
            "track_id": lesion.track_id or None,
            "notes": [naming.text(note) for note in lesion.notes],
        }
    if naming.plain:
        told |= {"source": mark.source, "label": mark.label, "reader": mark.reader}
    return json.dumps(told)


def refusal_line(refusal: Refusal, naming: Naming) -> str:
    """The line of a file, or a part of one, from which no mark was read."""
    told: dict[str, Any] = {
        "mark_id": refusal.mark_id,
        "verdict": refusal.verdict.value,
        "reason": naming.text(refusal.words),
        "carrier": None if refusal.carrier is None else refusal.carrier.value,
        "lesion_id": None,
    }
    if naming.plain:
        told["source"] = refusal.source
    return json.dumps(told)


def _image(image: ImageReference, naming: Naming) -> dict[str, Any]:
    return {
        "study_uid": naming.uid(image.study_uid),
        "series_uid": naming.uid(image.series_uid),
        "sop_uid": naming.uid(image.sop_uid),
        "frame": image.frame,
    }


def _day(mark: Mark, naming: Naming, patient: str) -> str | None:
    if mark.drawn_on is None:
        return None
    return naming.names.day(patient, mark.drawn_on).isoformat()


def _rounded(length_mm: float | None) -> float | None:
    return None if length_mm is None else round(length_mm, 4)
