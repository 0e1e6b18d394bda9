"""require_hu: the one call by which every reader makes sure that an image holds HU."""

from __future__ import annotations

from dataclasses import replace

from retrieval.image import CTError, Slab
from retrieval.sources.intensity.declared import UNDECLARED, DeclaredIntensity, judge_declared
from retrieval.sources.intensity.histogram import IntensityKind, IntensityVerdict, judge_values

WAY_OUT = (
    "CT in Hounsfield units is searched: convert the values, or say assume_hu (--assume-hu) if "
    "they are HU all the same"
)


class NotHounsfieldError(CTError):
    """An image whose values are not Hounsfield units."""


def require_hu(
    slab: Slab,
    name: str,
    *,
    declared: DeclaredIntensity = UNDECLARED,
    assume_hu: bool = False,
) -> Slab:
    """The slab, with what is doubtful of its values among its notes.

    Args:
        slab: the values as they would be searched.
        name: what the error and the notes call the file.
        declared: what the file says of its values.
        assume_hu: the user's word that they are HU: nothing is refused, and a note says so.

    Raises:
        NotHounsfieldError: header or values say that they are something else.
    """
    verdict = judge(slab, declared)
    if verdict.kind is IntensityKind.HOUNSFIELD:
        return slab
    if verdict.kind is IntensityKind.UNSURE:
        return _noted(slab, f"{name} may not hold HU: its values {verdict.seen}")
    if not assume_hu:
        raise NotHounsfieldError(f"{name} does not hold HU: its values {verdict.seen}. {WAY_OUT}")
    return _noted(
        slab, f"{name} is taken for HU because assume_hu says so, yet its values {verdict.seen}"
    )


def judge(slab: Slab, declared: DeclaredIntensity) -> IntensityVerdict:
    """The header's verdict, and where that is none against HU, the histogram's."""
    by_header = judge_declared(declared)
    if by_header.kind is IntensityKind.OTHER:
        return by_header
    x_mm, y_mm = slab.spacing_mm_px
    by_values = judge_values(slab.hu, extent_mm=(slab.columns * x_mm, slab.rows * y_mm))
    return by_header if by_values.kind is IntensityKind.HOUNSFIELD else by_values


def _noted(slab: Slab, note: str) -> Slab:
    return replace(slab, notes=(*slab.notes, note))
