"""Marks of a table (CSV) whose columns a user declares (``CsvColumns``)."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from typing import Any

from retrieval.sources.marks.content.concepts import MM_OF_UNIT
from retrieval.sources.marks.content.graphics import GraphicError, checked_points
from retrieval.sources.marks.content.words import image_of_words, lengths_of_words
from retrieval.sources.marks.mark import (
    Carrier,
    Concept,
    ImageReference,
    LengthRole,
    Mark,
    MarkKind,
    StatedLength,
    day_of,
    mark_id_of,
    short_text,
)
from retrieval.sources.marks.verdicts import Refusal, Verdict

_POINTS_OF: Mapping[MarkKind, int] = {
    MarkKind.LINE: 2,
    MarkKind.RECIST: 4,
    MarkKind.ELLIPSE: 4,
    MarkKind.CIRCLE: 2,
    MarkKind.BOX: 2,
    MarkKind.POINT: 1,
}
_ROLES = (("long", LengthRole.LONG), ("short", LengthRole.SHORT), ("length", LengthRole.LENGTH))
MOST_CELL = 5_000_000
"""Characters of one cell; more is refused."""


def read_table(opened: Any) -> Iterator[Mark | Refusal]:
    """The marks of a table's rows, and a refusal for each row that holds none."""
    columns = opened.options.columns
    try:
        text = opened.content.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        yield _refusal(opened, "file", Verdict.UNREADABLE, f"table is not UTF-8: {wrong.reason}")
        return
    csv.field_size_limit(MOST_CELL)
    first = text.split("\n", 1)[0]
    separator = ";" if first.count(";") > first.count(",") else ","
    rows = csv.DictReader(io.StringIO(text), delimiter=separator)
    missing = [name for name in columns.names.values() if name not in (rows.fieldnames or ())]
    if missing:
        words = (
            f"table has no column {', '.join(missing)}: {', '.join(rows.fieldnames or ())[:200]}"
        )
        yield _refusal(opened, "file", Verdict.UNREADABLE, words)
        return
    try:
        for number, row in enumerate(rows, start=2):
            cells = {field: (row.get(name) or "").strip() for field, name in columns.names.items()}
            yield _row(opened, number, cells)
    except csv.Error as wrong:
        yield _refusal(opened, "file", Verdict.UNREADABLE, f"table stops being one: {wrong}")


def _row(opened: Any, number: int, cells: dict[str, str]) -> Mark | Refusal:
    columns = opened.options.columns
    place = f"row {number}"
    try:
        kind = MarkKind((cells.get("kind") or columns.kind).lower())
    except ValueError:
        words = f"{place} has the kind {short_text(cells.get('kind'))!r}: no mark is so called"
        return _refusal(opened, place, Verdict.UNREADABLE, words)
    mark = _base(opened, place, kind, cells)
    if kind is MarkKind.TEXT:
        return mark
    try:
        points = checked_points(_numbers(cells), 2, place) - columns.origin
        needed = _POINTS_OF.get(kind)
        if needed is not None and len(points) != needed:
            words = f"{place} has {len(points)} points: a {kind.value} has {needed}"
            raise GraphicError(Verdict.NO_COORDINATES, words)
    except GraphicError as wrong:
        return _refusal(opened, place, wrong.verdict, str(wrong))
    return mark.with_changes(points=points)


def _base(opened: Any, place: str, kind: MarkKind, cells: dict[str, str]) -> Mark:
    frame = cells.get("frame", "")
    image = ImageReference(
        study_uid=cells.get("study_uid", ""),
        series_uid=cells.get("series_uid", ""),
        sop_uid=cells.get("sop_uid", ""),
        frame=int(frame) if frame.isdecimal() and len(frame) < 9 else None,
    )
    words = cells.get("text", "")
    lengths = _lengths(cells, opened.options.columns.unit)
    if kind is MarkKind.TEXT:
        named = image_of_words(words)
        if not image.sop_uid and named is not None:
            image = ImageReference(
                image.study_uid,
                image.series_uid,
                series_number=named.series_number,
                instance_number=named.instance_number,
            )
        lengths = lengths or lengths_of_words(words)
    return Mark(
        mark_id=mark_id_of(Carrier.CSV, opened.uid, (place,)),
        carrier=Carrier.CSV,
        kind=kind,
        image=image,
        lengths=lengths,
        finding=Concept(meaning=short_text(cells.get("finding"))),
        site=Concept(meaning=short_text(cells.get("site"))),
        label=short_text(cells.get("label")),
        comment=short_text(words),
        tracking_uid=short_text(cells.get("tracking_uid")),
        tracking_id=short_text(cells.get("tracking_id")),
        reader=short_text(cells.get("reader")),
        drawn_on=day_of(cells.get("date")),
        patient_id=short_text(cells.get("patient_id")),
        source=opened.name,
        source_uid=opened.uid,
    )


def _numbers(cells: dict[str, str]) -> list[str]:
    if cells.get("points"):
        text = cells["points"].replace(";", " ").replace(",", " ").strip("[]() ")
        return text.split()
    numbers: list[str] = []
    count = 1
    while f"x{count}" in cells and f"y{count}" in cells:
        if cells[f"x{count}"] or cells[f"y{count}"]:
            numbers += [cells[f"x{count}"], cells[f"y{count}"]]
        count += 1
    return numbers


def _lengths(cells: dict[str, str], unit: str) -> tuple[StatedLength, ...]:
    unit = cells.get("unit") or unit
    factor = MM_OF_UNIT.get(unit.lower())
    lengths = []
    for field, role in _ROLES:
        try:
            value = float(cells.get(field, "") or "nan")
        except ValueError:
            continue
        if 0 < value < float("inf"):
            mm = None if factor is None else value * factor
            lengths.append(StatedLength(value, short_text(unit), mm, role, field))
    return tuple(lengths)


def _refusal(opened: Any, place: str, verdict: Verdict, words: str) -> Refusal:
    mark_id = mark_id_of(Carrier.CSV, opened.uid, (place,))
    return Refusal(mark_id, verdict, words, opened.name, opened.uid, Carrier.CSV)
