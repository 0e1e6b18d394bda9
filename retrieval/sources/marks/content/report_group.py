"""One measurement group of a report as marks: what it draws, states, and says of the finding."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from retrieval.sources.marks.content.concepts import is_angle, role_of, stated
from retrieval.sources.marks.content.drawn import Drawn, marks_of_finding
from retrieval.sources.marks.content.graphics import GraphicError, checked_points, kind_of_path
from retrieval.sources.marks.content.report import GROUP, OBSERVER, StructuredReport
from retrieval.sources.marks.content.report_tree import ContentItem, first_whole, image_of
from retrieval.sources.marks.mark import (
    Carrier,
    Concept,
    ImageReference,
    LengthRole,
    Mark,
    MarkKind,
    SegmentReference,
    StatedLength,
    mark_id_of,
    short_text,
)
from retrieval.sources.marks.verdicts import Refusal, Verdict

PIXEL_CENTRE = 0.5
"""The centre of the first pixel in a report's coordinates."""

_TRACKING_ID, _TRACKING_UID = "112039", "112040"
_FINDING, _CATEGORY = "121071", "276214006"
_SITES = ("363698007", "G-C0E3")
_IMAGE_REGION = "111030"
_SEGMENTS = ("121191", "121214")
_SOURCE_SERIES = "121232"
_AREA_WORDS = ("area", "perimeter")
_LABEL_WORDS = ("label", "text", "anchor", "annotation position")
_TOOL = re.compile(r"^cornerstone\w*@?[^:]*:(?P<tool>\w+)", re.IGNORECASE)
_KIND_OF_TOOL = {
    "arrowannotate": MarkKind.ARROW,
    "angle": MarkKind.ANGLE,
    "cobbangle": MarkKind.ANGLE,
    "probe": MarkKind.POINT,
}


def is_drawn(item: ContentItem) -> bool:
    """Whether an item holds coordinates."""
    return item.value_type in {"SCOORD", "SCOORD3D"}


@dataclass(frozen=True)
class _Owner:
    """The direct child of a group that a graphic belongs to, or the graphic itself."""

    item: ContentItem
    lengths: tuple[StatedLength, ...] = ()

    @property
    def is_label(self) -> bool:
        words = self.item.name.meaning.lower()
        return self.item.value_type in {"TEXT", "CODE"} or any(w in words for w in _LABEL_WORDS)


class GroupReader:
    """One measurement group: what it says of the finding, and what it draws."""

    def __init__(self, report: StructuredReport, group: ContentItem) -> None:
        self._report = report
        self._group = group
        is_group = group.name.value == GROUP
        self._children = group.children() if is_group else [group]
        self._context = group if is_group else report.root
        tracked = next((one.text for one in self._context.named(_TRACKING_ID)), "")
        tool = _TOOL.match(tracked)
        self._tool = tool["tool"].lower() if tool else ""
        # A tool's name is the same for all that was drawn with it: it identifies nothing.
        self._tracking_id = "" if tool else tracked

    def marks(self) -> Iterator[Mark | Refusal]:
        """The group's marks; refusals for graphics that are none, or for the empty group."""
        graphics: list[Drawn] = []
        labels: list[Drawn] = []
        free: list[StatedLength] = []
        refusals: list[Refusal] = []
        for child in self._children:
            owner = _Owner(child, self._lengths(child))
            items = [one for one in (child, *self._referenced(child)) if is_drawn(one)]
            for item in items:
                try:
                    drawn = self._drawn(item, owner)
                except GraphicError as wrong:
                    refusals.append(self._report.refusal(item.place, wrong.verdict, str(wrong)))
                    continue
                (labels if owner.is_label else graphics).append(drawn)
            if not items:
                free.extend(owner.lengths)
        yield from refusals
        count = 0
        for mark in marks_of_finding(graphics or labels, free, self._mark):
            count += 1
            yield mark
        if count or refusals:
            return
        segment = self._segment(free)
        words = f"measurement group {self._named()} draws nothing and names no segment"
        yield segment or self._report.refusal(self._group.place, Verdict.NO_COORDINATES, words)

    def _named(self) -> str:
        finding = self._finding()
        return repr(self._tracking_id or finding.meaning or finding.value or "without a name")

    def _referenced(self, item: ContentItem) -> Iterator[ContentItem]:
        """The items below it, those included that it refers to by their place in the tree."""
        for one in item.below():
            place = one.dataset.get("ReferencedContentItemIdentifier")
            if place is None:
                yield one
                continue
            steps = [place] if isinstance(place, int) else list(place)
            # The first number is the root's own, and they count from 1.
            found = self._report.at(tuple(int(step) - 1 for step in steps[1:]))
            if found is not None:
                yield found

    def _lengths(self, item: ContentItem) -> tuple[StatedLength, ...]:
        if item.value_type != "NUM":
            return ()
        length = stated(*item.number, item.name)
        return () if length is None else (length,)

    def _drawn(self, item: ContentItem, owner: _Owner) -> Drawn:
        is_mm = item.value_type == "SCOORD3D"
        shape = str(item.dataset.get("GraphicType", "") or "").upper()
        numbers = item.dataset.get("GraphicData")
        stored = [] if numbers is None else numbers
        points = checked_points(stored, 3 if is_mm else 2, f"{shape or 'graphic'}")
        if not is_mm:
            points = points - PIXEL_CENTRE
        names = (owner.item.name, item.name)
        kind = self._kind(shape, points, names)
        roles = (role_of(name) for name in names)
        role = next((one for one in roles if one in {LengthRole.LONG, LengthRole.SHORT}), None)
        frame_uid = str(item.dataset.get("ReferencedFrameOfReferenceUID", "") or "")
        return Drawn(
            kind,
            points,
            self._image(item, owner.item),
            frame_uid=frame_uid if is_mm else "",
            role=role,
            lengths=owner.lengths,
            place=item.place,
        )

    def _kind(self, shape: str, points: Any, names: tuple[Concept, ...]) -> MarkKind:
        if any(is_angle(name) for name in names):
            return MarkKind.ANGLE
        if self._tool in _KIND_OF_TOOL:
            return _KIND_OF_TOOL[self._tool]
        count = len(points)
        exact = {"CIRCLE": 2, "ELLIPSE": 4}.get(shape)
        if exact is not None and count != exact:
            raise GraphicError(
                Verdict.NO_COORDINATES, f"{shape} has {count} points: {exact} make one"
            )
        if shape in {"CIRCLE", "ELLIPSE", "ELLIPSOID"}:
            return MarkKind(shape.lower())
        if shape == "POINT":
            return MarkKind.POINT if count == 1 else MarkKind.ARROW
        if shape == "MULTIPOINT":
            has_role = any(role_of(name) is not None for name in names)
            return MarkKind.LINE if count == 2 and has_role else MarkKind.POINTS
        if shape not in {"POLYLINE", "POLYGON"}:
            raise GraphicError(
                Verdict.NO_COORDINATES, f"graphic type {short_text(shape)!r} unknown"
            )
        encloses = shape == "POLYGON" or any(
            name.value == _IMAGE_REGION or any(w in name.meaning.lower() for w in _AREA_WORDS)
            for name in names
        )
        return kind_of_path(points, is_area=encloses and count > 3)

    def _image(self, item: ContentItem, owner: ContentItem) -> ImageReference:
        """The image it was selected from, or the only one that stands beside it."""
        for where in (item, owner, self._group):
            children = where.children() if where is not item else [item, *item.children()]
            references = [
                sop
                for child in children
                for sop in child.dataset.get("ReferencedSOPSequence") or ()
                if first_whole(sop, "SegmentNumber") is None
            ]
            images = {image_of(sop, self._report.evidence) for sop in references}
            if len(images) == 1:
                return images.pop()
        series = next((one.text for one in self._group.named(_SOURCE_SERIES)), "")
        return ImageReference(series_uid=series)

    def _segment(self, lengths: list[StatedLength]) -> Mark | None:
        """The segment that a group measures without drawing it."""
        for child in self._children:
            if child.name.value not in _SEGMENTS:
                continue
            for sop in child.dataset.get("ReferencedSOPSequence") or ():
                number = first_whole(sop, "SegmentNumber")
                if number is not None:
                    uid = str(sop.get("ReferencedSOPInstanceUID", "") or "")
                    mark = self._mark(self._group.place)
                    return mark.with_changes(
                        kind=MarkKind.MASK,
                        lengths=tuple(lengths),
                        segment=SegmentReference(uid, number),
                    )
        return None

    def _finding(self) -> Concept:
        found = next((one for one in self._context.named(_FINDING)), None)
        if found is None:
            return Concept()
        return found.code or Concept(meaning=found.text)

    def _mark(self, place: tuple[object, ...]) -> Mark:
        finding = self._finding()
        label = ""
        if "FREETEXT" in finding.value.upper():
            finding, label = Concept(), finding.meaning
        report = self._report
        return replace(
            report.mark(place),
            finding=finding,
            category=next((one.code for one in self._context.named(_CATEGORY)), Concept()),
            site=next((one.code for one in self._context.named(*_SITES)), Concept()),
            label=label,
            tracking_uid=next((one.text for one in self._context.named(_TRACKING_UID)), ""),
            tracking_id=self._tracking_id,
            reader=next((one.text for one in self._context.named(OBSERVER)), report.reader),
            group=mark_id_of(Carrier.SR, report.uid, self._group.place),
        )
