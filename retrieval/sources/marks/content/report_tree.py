"""The content tree of a structured report: items by name, values, geometry, images referred to.

Read tolerantly: writers leave out relationship types, code meanings and whole templates.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from pydicom.dataset import Dataset

from retrieval.sources.marks.mark import Concept, ImageReference, short_text

MOST_DEPTH = 32
"""Content deeper than this is not searched: no template nests so far."""

EVIDENCE = (
    "CurrentRequestedProcedureEvidenceSequence",
    "PertinentOtherEvidenceSequence",
    "StudiesContainingOtherReferencedInstancesSequence",
)


@dataclass(frozen=True, eq=False)
class ContentItem:
    """One item of the tree with its place in it (``(2, 0, 3)``: from the root's children on)."""

    dataset: Dataset
    place: tuple[int, ...] = ()

    @cached_property
    def name(self) -> Concept:
        """What the item is, as a concept."""
        return concept_of(self.dataset.get("ConceptNameCodeSequence"))

    @cached_property
    def value_type(self) -> str:
        """``NUM``, ``SCOORD``, ``IMAGE``, ``CONTAINER``, ..."""
        return str(self.dataset.get("ValueType", "") or "")

    @cached_property
    def code(self) -> Concept:
        """The value of a CODE item."""
        return concept_of(self.dataset.get("ConceptCodeSequence"))

    @property
    def text(self) -> str:
        """The value of a TEXT, UIDREF or PNAME item."""
        for keyword in ("TextValue", "UID", "PersonName"):
            if self.dataset.get(keyword):
                return short_text(self.dataset.get(keyword))
        return ""

    @property
    def number(self) -> tuple[str, str]:
        """The value and unit of a NUM item; empty where it has none."""
        measured = self.dataset.get("MeasuredValueSequence")
        if not measured:
            return "", ""
        unit = concept_of(measured[0].get("MeasurementUnitsCodeSequence"))
        value = measured[0].get("NumericValue", "")
        return str("" if value is None else value), unit.value or unit.meaning

    def children(self) -> list[ContentItem]:
        """The items below it, in order."""
        return self._children

    @cached_property
    def _children(self) -> list[ContentItem]:
        held = self.dataset.get("ContentSequence") or ()
        return [ContentItem(child, (*self.place, n)) for n, child in enumerate(held)]

    def below(self) -> Iterator[ContentItem]:
        """All items below it, depth first."""
        if len(self.place) < MOST_DEPTH:
            for child in self.children():
                yield child
                yield from child.below()

    def named(self, *values: str) -> Iterator[ContentItem]:
        """The children whose name has one of the code values."""
        return (child for child in self.children() if child.name.value in values)


def concept_of(sequence: Any) -> Concept:
    """The first code of a code sequence; an empty concept where there is none."""
    if not sequence:
        return Concept()
    code = sequence[0]
    value = next(
        (code.get(name) for name in ("CodeValue", "LongCodeValue", "URNCodeValue") if name in code),
        "",
    )
    scheme, meaning = code.get("CodingSchemeDesignator", ""), code.get("CodeMeaning", "")
    return Concept(short_text(value), short_text(scheme), short_text(meaning))


def evidence_of(report: Any) -> dict[str, tuple[str, str]]:
    """Instance UID to the UIDs of its study and series, as the report lists them."""
    found = {}
    for name in EVIDENCE:
        for study in report.get(name) or ():
            for series in study.get("ReferencedSeriesSequence") or ():
                place = (
                    str(study.get("StudyInstanceUID", "")),
                    str(series.get("SeriesInstanceUID", "")),
                )
                for instance in series.get("ReferencedSOPSequence") or ():
                    found[str(instance.get("ReferencedSOPInstanceUID", ""))] = place
    return found


def image_of(reference: Any, evidence: dict[str, tuple[str, str]]) -> ImageReference:
    """The image of a referenced SOP instance item."""
    uid = str(reference.get("ReferencedSOPInstanceUID", "") or "")
    study_uid, series_uid = evidence.get(uid, ("", ""))
    return ImageReference(study_uid, series_uid, uid, first_whole(reference, "FrameNumber"))


def first_whole(reference: Any, ending: str) -> int | None:
    """The first number of ``Referenced`` + ending, None where there is none."""
    value = reference.get(f"Referenced{ending}")
    if value is None:
        return None
    numbers = [value] if isinstance(value, int | str) else list(value)
    try:
        return int(numbers[0]) if numbers else None
    except (TypeError, ValueError):
        return None
