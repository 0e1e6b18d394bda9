"""Drawn: one graphic of a finding, and a finding's graphics as marks.

Carriers that hold several graphics for one finding (a report's measurement group, an AIM
annotation, a region's contours) put them together here, by one rule:

* a line named long axis and one named short axis on one image are one RECIST mark;
* outlines are one mark, on the slice where it is longest, the other slices beside it;
* what remains are marks one by one, under one ``group``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrieval.sources.marks.content.graphics import corners_of_box, key_first, without_repeats
from retrieval.sources.marks.mark import (
    ImageReference,
    LengthRole,
    Mark,
    MarkKind,
    MarkOutline,
    StatedLength,
)

AREAS = frozenset(
    {MarkKind.POLYGON, MarkKind.BOX, MarkKind.CIRCLE, MarkKind.ELLIPSE, MarkKind.ELLIPSOID}
)
"""Kinds that enclose something."""


@dataclass(frozen=True, eq=False)
class Drawn:
    """One graphic of a finding.

    Attributes:
        kind: what it is.
        points: (n, 2) pixels, or (n, 3) mm of ``frame_uid``.
        image: the image it lies on, as far as it is told.
        frame_uid: frame of reference of points in mm.
        role: of a line that is named a long or short axis.
        lengths: stated with this graphic.
        place: where it stands in its carrier, for the mark's id.
    """

    kind: MarkKind
    points: NDArray[np.float64]
    image: ImageReference
    frame_uid: str = ""
    role: LengthRole | None = None
    lengths: tuple[StatedLength, ...] = ()
    place: tuple[object, ...] = ()

    @property
    def is_mm(self) -> bool:
        """Whether its points are patient coordinates."""
        return bool(self.points.shape[1] == 3)

    def is_same(self, other: Drawn) -> bool:
        """Whether it is the same graphic on the same image, stored again."""
        if self.kind is not other.kind or self.image != other.image:
            return False
        if self.points.shape != other.points.shape:
            return False
        return bool(np.allclose(self.points, other.points, atol=1e-6))


NewMark = Callable[[tuple[object, ...]], Mark]
"""A finding's empty mark (kind POINT, no points) under the id of a place in the carrier."""


def marks_of_finding(
    graphics: Sequence[Drawn], lengths: Sequence[StatedLength], new_mark: NewMark
) -> Iterator[Mark]:
    """The marks of one finding: its graphics put together, each with its stated lengths.

    ``lengths`` are those stated of the finding and of none of its graphics.
    """
    once = _once(graphics)
    pair = _named_pair(once)
    if pair is not None:
        yield _recist(pair, lengths, new_mark)
        return
    areas = [one for one in once if one.kind in AREAS]
    if areas:
        stated = [*(length for one in once for length in one.lengths), *lengths]
        yield from _areas(areas, stated, new_mark)
        return
    for one in once:
        known = (*one.lengths, *lengths) if len(once) == 1 else one.lengths
        yield _filled(new_mark(one.place), one, known)


def _once(graphics: Sequence[Drawn]) -> list[Drawn]:
    """Graphics that are stored again with each of their measurements, once each."""
    kept: list[Drawn] = []
    for one in graphics:
        for n, other in enumerate(kept):
            if one.is_same(other):
                role = other.role or one.role
                kept[n] = replace(other, role=role, lengths=(*other.lengths, *one.lengths))
                break
        else:
            kept.append(one)
    return kept


def _named_pair(graphics: Sequence[Drawn]) -> tuple[Drawn, Drawn] | None:
    lines = [one for one in graphics if one.kind is MarkKind.LINE]
    longs = [one for one in lines if one.role is LengthRole.LONG]
    shorts = [one for one in lines if one.role is LengthRole.SHORT]
    if len(longs) != 1 or len(shorts) != 1:
        return None
    first, second = longs[0], shorts[0]
    same = first.image == second.image and first.frame_uid == second.frame_uid
    return (first, second) if same and first.is_mm == second.is_mm else None


def _recist(pair: tuple[Drawn, Drawn], lengths: Sequence[StatedLength], new_mark: NewMark) -> Mark:
    first, second = pair
    both = replace(first, kind=MarkKind.RECIST, points=np.vstack([first.points, second.points]))
    stated = (*first.lengths, *second.lengths, *lengths)
    return _filled(new_mark(first.place), both, stated)


def _areas(
    areas: Sequence[Drawn], lengths: Sequence[StatedLength], new_mark: NewMark
) -> Iterator[Mark]:
    """One mark for the outlines of each kind; circles and ellipses of one image one by one."""
    polygons = [one for one in areas if one.kind in {MarkKind.POLYGON, MarkKind.BOX}]
    if polygons:
        yield outlined(polygons, lengths, new_mark(polygons[0].place))
    for kind in (MarkKind.CIRCLE, MarkKind.ELLIPSE, MarkKind.ELLIPSOID):
        alike = [one for one in areas if one.kind is kind]
        if len({one.image for one in alike}) == len(alike) > 1:
            ordered = key_first([_outline(one.image, [one]) for one in alike])
            key = next(one for one in alike if one.image == ordered[0].image)
            mark = _filled(new_mark(alike[0].place), key, lengths)
            yield mark.with_changes(others=tuple(ordered[1:]))
        else:
            for one in alike:
                yield _filled(new_mark(one.place), one, lengths if len(areas) == 1 else one.lengths)


def outlined(rings: Sequence[Drawn], lengths: Sequence[StatedLength], empty: Mark) -> Mark:
    """Closed outlines on one or several slices as one mark on its longest slice."""
    slices: dict[tuple[object, ...], list[Drawn]] = {}
    for one in rings:
        slices.setdefault(_slice_of(one), []).append(one)
    ordered = key_first([_outline(held[0].image, held) for held in slices.values()])
    key = ordered[0]
    single = rings[0] if len(rings) == 1 else None
    is_box = single is not None and single.kind is MarkKind.BOX
    points = corners_of_box(single.points) if single is not None and is_box else key.points
    return empty.with_changes(
        kind=MarkKind.BOX if is_box else MarkKind.POLYGON,
        image=key.image,
        points=points,
        points_mm=key.points_mm,
        frame_of_reference_uid=rings[0].frame_uid,
        ring_sizes=() if is_box else key.ring_sizes,
        others=tuple(ordered[1:]),
        lengths=tuple(lengths),
    )


def _slice_of(one: Drawn) -> tuple[object, ...]:
    """Contours of one slice: one image; where none is named, one depth in mm."""
    if not one.is_mm or one.image.sop_uid:
        return (one.image,)
    normal = plane_normal(one.points)
    depth = round(float(one.points.mean(axis=0) @ normal), 1)
    return (one.image, depth, *(round(float(part), 2) for part in normal))


def plane_normal(points_mm: NDArray[np.float64]) -> NDArray[np.float64]:
    """(3,) unit normal of the plane that points lie in, towards the head; the body's axis for
    points that span no plane."""
    axis = np.array([0.0, 0.0, 1.0])
    if len(points_mm) < 3:
        return axis
    centred = points_mm - points_mm.mean(axis=0)
    values, axes = np.linalg.svd(centred, full_matrices=False)[1:]
    if values[1] < 1e-3:
        return axis
    normal = axes[2] if len(axes) > 2 else axis
    return np.asarray(-normal if normal[np.abs(normal).argmax()] < 0 else normal)


def _outline(image: ImageReference, rings: Sequence[Drawn]) -> MarkOutline:
    kept = without_repeats([one.points for one in rings])
    points = np.vstack(kept)
    sizes = tuple(len(ring) for ring in kept) if len(kept) > 1 else ()
    is_mm = points.shape[1] == 3
    return MarkOutline(
        image,
        points=None if is_mm else points,
        points_mm=points if is_mm else None,
        ring_sizes=sizes,
    )


def _filled(mark: Mark, drawn: Drawn, lengths: Sequence[StatedLength]) -> Mark:
    points = corners_of_box(drawn.points) if drawn.kind is MarkKind.BOX else drawn.points
    return mark.with_changes(
        kind=drawn.kind,
        image=drawn.image,
        points=None if drawn.is_mm else points,
        points_mm=drawn.points if drawn.is_mm else None,
        frame_of_reference_uid=drawn.frame_uid,
        lengths=tuple(lengths),
    )
