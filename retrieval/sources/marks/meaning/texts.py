"""The verdicts of words: those beside a mark belong to it, others wait for the detector."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from retrieval.sources.marks.mark import LengthRole, StatedLength
from retrieval.sources.marks.meaning.findings import lesion_type_of_mark
from retrieval.sources.marks.meaning.placing import Placed
from retrieval.sources.marks.verdicts import JudgedMark, LengthSource, Verdict

SAME_PART, SAME_MM = 0.05, 1.0
"""Words name a mark whose diameters differ by less: they are rounded to a millimetre or two."""


def judged_texts(texts: Sequence[Placed], done: Sequence[JudgedMark]) -> Iterator[JudgedMark]:
    """The judged marks with the words that name their lengths, then the other words.

    Words on an image that has measured marks name one of them, or none that is there: then
    nothing is proposed, because the detector might well find a marked lesion again.
    """
    found = list(done)
    others = []
    for text in texts:
        here = [n for n, one in enumerate(found) if _is_on_image(one, text)]
        named = next((n for n in here if _is_named(found[n], text.mark.lengths)), None)
        if named is not None:
            parts = (*found[named].parts, text.mark.mark_id)
            found[named] = replace(found[named], parts=parts)
        else:
            others.append(_alone(text, any(_is_measured(found[n]) for n in here)))
    yield from found
    yield from others


def _alone(text: Placed, is_beside_marks: bool) -> JudgedMark:
    mark = text.mark
    fields = {
        "plane": text.plane,
        "lesion_type": lesion_type_of_mark(mark),
        "parts": (mark.mark_id,),
    }
    if is_beside_marks:
        words = "names lengths of none of the marks on its image"
        return JudgedMark(mark, Verdict.TEXT, words, **fields)  # type: ignore[arg-type]
    x, y = text.points[0] if len(text.points) else (math.nan, math.nan)
    return JudgedMark(
        mark,
        Verdict.PROPOSAL_NEEDED,
        "words name the image and the lengths, nothing is drawn",
        long_mm=mark.stated_mm(LengthRole.LONG, LengthRole.LENGTH),
        short_mm=mark.stated_mm(LengthRole.SHORT),
        length_source=LengthSource.STATED,
        point=(float(x), float(y)) if len(text.points) else None,
        **fields,  # type: ignore[arg-type]
    )


def _is_on_image(one: JudgedMark, text: Placed) -> bool:
    return one.plane is not None and one.plane.image == text.plane.image


def _is_measured(one: JudgedMark) -> bool:
    return one.verdict is Verdict.KEPT


def _is_named(one: JudgedMark, lengths: Sequence[StatedLength]) -> bool:
    stated = sorted((length.mm for length in lengths if length.mm is not None), reverse=True)
    points = [mm for mm in (one.long_mm, one.short_mm) if mm is not None]
    if not _is_measured(one) or not points or len(stated) > len(points):
        return False
    return all(
        math.isclose(a, b, rel_tol=SAME_PART, abs_tol=SAME_MM)
        for a, b in zip(stated, points, strict=False)
    )
