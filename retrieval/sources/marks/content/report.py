"""StructuredReport: what all findings of one report share, and the words outside of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from retrieval.sources.marks.content.report_tree import MOST_DEPTH, ContentItem, evidence_of
from retrieval.sources.marks.content.words import measured_images
from retrieval.sources.marks.mark import (
    Carrier,
    ImageReference,
    Mark,
    MarkKind,
    day_of,
    mark_id_of,
    short_text,
)
from retrieval.sources.marks.verdicts import Refusal, Verdict

GROUP = "125007"
OBSERVER = "121008"


class StructuredReport:
    """One report: its tree, evidence, observer and dates."""

    def __init__(self, opened: Any) -> None:
        dataset = opened.dataset
        self.root = ContentItem(dataset)
        self.uid = opened.uid
        self.source = opened.name
        self.evidence = evidence_of(dataset)
        self.reader = next((one.text for one in self.root.named(OBSERVER)), "")
        self.drawn_on = day_of(dataset.get("ContentDate") or dataset.get("StudyDate"))
        self.patient_id = str(dataset.get("PatientID", "") or "")
        self.predecessors = tuple(
            str(instance.get("ReferencedSOPInstanceUID", ""))
            for study in dataset.get("PredecessorDocumentsSequence") or ()
            for series in study.get("ReferencedSeriesSequence") or ()
            for instance in series.get("ReferencedSOPSequence") or ()
        )

    def texts(self) -> Iterator[Mark]:
        """The measurements that the report's own words tell, outside of all groups."""
        study_uid = str(self.root.dataset.get("StudyInstanceUID", "") or "")
        for item in _outside_groups(self.root):
            text = str(item.dataset.get("TextValue", "") or "")
            for n, (words, lengths, image) in enumerate(measured_images(text)):
                yield replace(
                    self.mark((*item.place, "words", n)),
                    kind=MarkKind.TEXT,
                    image=replace(image, study_uid=study_uid),
                    comment=short_text(words),
                    lengths=lengths,
                )

    def mark(self, place: tuple[object, ...]) -> Mark:
        """A mark of this report under the id of a place in it, of no finding yet."""
        return Mark(
            mark_id=mark_id_of(Carrier.SR, self.uid, place),
            carrier=Carrier.SR,
            kind=MarkKind.POINT,
            image=ImageReference(),
            reader=self.reader,
            drawn_on=self.drawn_on,
            patient_id=self.patient_id,
            source=self.source,
            source_uid=self.uid,
            predecessors=self.predecessors,
        )

    def at(self, place: tuple[int, ...]) -> ContentItem | None:
        """The item of a place among children."""
        item = self.root
        for step in place:
            children = item.children()
            if not 0 <= step < len(children):
                return None
            item = children[step]
        return item

    def refusal(self, place: tuple[object, ...], verdict: Verdict, words: str) -> Refusal:
        """A part of this report from which no mark could be read."""
        mark_id = mark_id_of(Carrier.SR, self.uid, place)
        return Refusal(mark_id, verdict, words, self.source, self.uid, Carrier.SR)


def _outside_groups(item: ContentItem) -> Iterator[ContentItem]:
    """Items with words that stand in no measurement group."""
    for child in item.children():
        if child.value_type == "TEXT":
            yield child
        if child.name.value != GROUP and len(child.place) < MOST_DEPTH:
            yield from _outside_groups(child)
