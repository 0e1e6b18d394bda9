"""Marks of DICOM structured reports: TID 1500 with groups 1410, 1411, 1501, and TID 300 alone.

Coordinates of SCOORD count from the corner of the first pixel (PS3.3 C.18.6.1.1): half a pixel is
taken off. Those of SCOORD3D are patient coordinates in mm and stay so.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from retrieval.sources.marks.content.report import GROUP, StructuredReport
from retrieval.sources.marks.content.report_group import GroupReader, is_drawn
from retrieval.sources.marks.content.report_tree import MOST_DEPTH, ContentItem
from retrieval.sources.marks.mark import Mark
from retrieval.sources.marks.verdicts import Refusal, Verdict


def read_report(opened: Any) -> Iterator[Mark | Refusal]:
    """The marks of a report's measurement groups, and a refusal for each that draws nothing."""
    report = StructuredReport(opened)
    count = 0
    for group in _groups(report.root):
        count += 1
        yield from GroupReader(report, group).marks()
    for text in report.texts():
        count += 1
        yield text
    if not count:
        words = "report holds no measurement group, and no words that name an image with a length"
        yield report.refusal((), Verdict.NOT_A_CARRIER, words)


def _groups(item: ContentItem) -> Iterator[ContentItem]:
    """Measurement groups, and the measurements that stand in none."""
    if len(item.place) > MOST_DEPTH:
        return
    for child in item.children():
        if child.name.value == GROUP:
            yield child
        elif child.value_type in {"NUM", "SCOORD", "SCOORD3D"}:
            if is_drawn(child) or any(is_drawn(one) for one in child.below()):
                yield child
        else:
            yield from _groups(child)
