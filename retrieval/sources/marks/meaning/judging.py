"""judge_marks: all marks of a study or patient -> one verdict for every mark.

In this order: what is no measurement (angles, arrows) or no lesion (anatomy); reports meet the
segments that they measured; every mark finds its image; lines pair; lengths are cross-checked;
words meet the marks that they are written beside.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from retrieval.sources.marks.mark import Carrier, Mark, MarkKind
from retrieval.sources.marks.meaning.findings import Subject, lesion_type_of_mark, subject_of
from retrieval.sources.marks.meaning.options import JudgingOptions
from retrieval.sources.marks.meaning.paired import judged_lines
from retrieval.sources.marks.meaning.placing import Placed, Unplaced, place
from retrieval.sources.marks.meaning.segments import with_segments
from retrieval.sources.marks.meaning.single import judged_alone
from retrieval.sources.marks.meaning.texts import judged_texts
from retrieval.sources.marks.planes import PlaneSource
from retrieval.sources.marks.verdicts import JudgedMark, Verdict

_REFUSED_KINDS = {
    MarkKind.ANGLE: (Verdict.ANGLE, "measures an angle"),
    MarkKind.POLYLINE: (Verdict.OPEN_LINE, "an open line encloses and measures nothing"),
    MarkKind.POINTS: (Verdict.POINT, "points that no line joins measure nothing"),
}


def judge_marks(
    marks: Sequence[Mark], planes: PlaneSource, options: JudgingOptions | None = None
) -> Iterator[JudgedMark]:
    """One verdict for every mark, each in the ``parts`` of exactly one; see ``MarkJudge``.

    A kept mark lies on an axial CT slice with all its points, has an extent there and, but for
    points and squares, its diameters. The order is that of the first parts.
    """
    chosen = options or JudgingOptions()
    order = {mark.mark_id: n for n, mark in enumerate(marks)}
    judged = [*_judged(_once(marks), planes, chosen)]
    yield from sorted(judged, key=lambda one: order.get(one.parts[0], 0))


def _once(marks: Sequence[Mark]) -> list[Mark]:
    """Each id once: the same file read twice is the same marks."""
    return list({mark.mark_id: mark for mark in marks}.values())


def _judged(
    marks: Sequence[Mark], planes: PlaneSource, options: JudgingOptions
) -> Iterator[JudgedMark]:
    joined, parts, lost = with_segments(marks)
    yield from lost
    lines: list[Placed] = []
    texts: list[Placed] = []
    done: list[JudgedMark] = []
    for mark in joined:
        ids = parts[mark.mark_id]
        refused = _refused(mark, options)
        if refused is not None:
            yield _verdict(mark, ids, *refused)
            continue
        placed = place(mark, planes)
        if isinstance(placed, Unplaced):
            yield _verdict(mark, ids, placed.verdict, placed.words, placed)
        elif mark.kind is MarkKind.LINE:
            lines.append(placed)
        elif mark.kind is MarkKind.TEXT:
            texts.append(placed)
        else:
            done.append(judged_alone(placed, ids))
    done.extend(judged_lines(lines, options))
    yield from judged_texts(texts, done)


def _refused(mark: Mark, options: JudgingOptions) -> tuple[Verdict, str] | None:
    """Why a mark is no lesion wherever it lies; None where it may be one."""
    if mark.kind in _REFUSED_KINDS:
        return _REFUSED_KINDS[mark.kind]
    is_pointing = mark.kind in {MarkKind.ARROW, MarkKind.POINT}
    if is_pointing and not options.arrows:
        verdict = Verdict.ARROW if mark.kind is MarkKind.ARROW else Verdict.POINT
        return verdict, f"{mark.kind.value} points, it does not measure (--arrows keeps it)"
    if mark.kind is MarkKind.TEXT and not mark.lengths:
        return Verdict.TEXT, "words without a length"
    return _not_a_lesion(mark, options)


def _not_a_lesion(mark: Mark, options: JudgingOptions) -> tuple[Verdict, str] | None:
    subject, words = subject_of(mark, options.names)
    if subject is Subject.ANATOMY:
        return Verdict.ANATOMY, f"is of {words!r}"
    if subject is Subject.MARGIN:
        return Verdict.NOT_A_LESION, f"{words!r} is a treatment volume, wider than the lesion"
    if subject is Subject.UNSAID and mark.carrier in {Carrier.SEG, Carrier.RTSTRUCT}:
        words = f"nothing says that {words!r} is a lesion (--segments names those that are)"
        return Verdict.NOT_A_LESION, words
    return None


def _verdict(
    mark: Mark, ids: tuple[str, ...], verdict: Verdict, words: str, where: Unplaced | None = None
) -> JudgedMark:
    return JudgedMark(
        mark,
        verdict,
        words,
        plane=None if where is None else where.plane,
        lesion_type=lesion_type_of_mark(mark),
        parts=ids,
    )
