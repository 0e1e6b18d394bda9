"""Reports and presentation states changed item by item."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from retrieval.lesion import Recist
from tests.service.jobs.mining.carriers import lines_of
from tests.service.jobs.mining.drawn import Drawn


def items(dataset: Dataset) -> Iterator[Dataset]:
    for child in dataset.get("ContentSequence") or ():
        yield child
        yield from items(child)


def graphics(report: Dataset) -> list[Dataset]:
    return [item for item in items(report) if "GraphicData" in item]


def numbers(report: Dataset) -> list[Dataset]:
    return [item for item in items(report) if item.get("ValueType") == "NUM"]


def only_first_line(report: Dataset) -> Dataset:
    """The report without its short axes."""
    for item in [report, *items(report)]:
        if "ContentSequence" in item:
            item.ContentSequence = [
                child
                for child in item.ContentSequence
                if not (
                    child.get("ValueType") == "NUM"
                    and child.ConceptNameCodeSequence[0].CodeMeaning.lower() == "short axis"
                )
            ]
    return report


def two_lines(drawn: Drawn, first: Any, second: Any) -> list[Dataset]:
    """A presentation state of two lines, drawn one by one, that are no RECIST mark."""
    (state,) = lines_of([Drawn(drawn.header, Recist((*first, *second)), drawn.name)])
    state.SOPInstanceUID = state.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    annotation = state.GraphicAnnotationSequence[0]
    other = copy.deepcopy(annotation)
    lines = list(annotation.GraphicObjectSequence)
    annotation.GraphicObjectSequence, other.GraphicObjectSequence = lines[:1], lines[1:]
    for one in lines:
        del one.TrackingID
        del one.TrackingUID
    state.GraphicAnnotationSequence = [annotation, other]
    return [state]
