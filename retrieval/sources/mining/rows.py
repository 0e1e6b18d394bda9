"""Kept marks as rows of DeepLesion's table."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from retrieval.lesion import BOX_PADDING_PX, Box, Recist, Split
from retrieval.sources.deeplesion.writer import ArchiveRow
from retrieval.sources.marks.mark import MarkKind
from retrieval.sources.marks.verdicts import JudgedMark
from retrieval.sources.mining.header import ImageHeader
from retrieval.sources.mining.numbers import SeriesPlace
from retrieval.sources.mining.stacks import SliceStack
from retrieval.sources.mining.sub_volume import SubVolume

AIR_HU = -900.0
"""A mark that shows nothing above this is drawn on the air about the patient."""

_DEFAULT_WINDOW = (-175.0, 275.0)


@dataclass(frozen=True)
class KeptMark:
    """A kept mark and the slice that it lies on.

    Attributes:
        judged: of the verdict "kept", with its plane.
        header: of its image.
        stack, position: the volume, and the slice's place in it.
        recist: four ends in pixels of the image, drawn or made of the box.
        box: in pixels of the image.
        is_made: the four ends are those of the box, nobody drew them.
    """

    judged: JudgedMark
    header: ImageHeader
    stack: SliceStack
    position: int
    recist: Recist
    box: Box
    is_made: bool

    @classmethod
    def of(cls, judged: JudgedMark, header: ImageHeader, stack: SliceStack) -> KeptMark | None:
        """The mark on its slice; None where it has no box after all."""
        box = judged.box
        position = stack.positions.get(header.key)
        if box is None or position is None:
            return None
        made = judged.recist is None
        recist = judged.recist or _cross(box, judged.mark.kind)
        return cls(judged, header, stack, position, recist, box, made)


def row_of(
    kept: KeptMark, volume: SubVolume, patient: int, place: SeriesPlace, split: Split
) -> ArchiveRow:
    """The row of a kept mark in a sub-volume that holds its slice; its location is not known."""
    recist, box = volume.displayed(kept.recist, kept.box)
    header = kept.header
    return ArchiveRow(
        patient=patient,
        study=place.study_number,
        series=place.series_number,
        key_slice=kept.stack.number_of(kept.position),
        recist=recist,
        box=box,
        location=None,
        lesion_type=kept.judged.lesion_type,
        split=split,
        spacing_mm_px=volume.spacing_mm_px,
        slice_interval_mm=(
            kept.stack.interval_mm if volume.slab is None else volume.slab.slice_interval_mm
        ),
        slice_range=volume.slice_range,
        image_size=volume.size,
        window=header.window if header.window != (0.0, 0.0) else _DEFAULT_WINDOW,
        gender=header.sex,
        age=None if header.age < 0 else header.age,
        noisy=kept.is_made or kept.judged.is_doubtful,
    )


def shows_air_alone(kept: KeptMark, volume: SubVolume) -> bool:
    """Whether the pixels inside a mark are nothing but air, as outside of a patient."""
    slab = volume.key_slab(kept.position)
    if slab is None:
        return False
    x1, y1, x2, y2 = volume.grid.to_display_box(kept.box).to_list()
    top, left = max(int(y1), 0), max(int(x1), 0)
    inside = slab.hu[slab.key_slice, top : int(y2) + 1, left : int(x2) + 1]
    return bool(inside.size) and float(np.percentile(inside, 99)) < AIR_HU


def _cross(box: Box, kind: MarkKind) -> Recist:
    """The lines through the middle of a box, along its sides, the longer one first.

    They end where the mark did: a drawn box is the lesion's own and keeps its size as far as that
    leaves a length; all others have DeepLesion's padding, which is taken off.
    """
    (x, y) = box.center
    off = BOX_PADDING_PX if kind is not MarkKind.BOX else 0.0
    half_x, half_y = max(box.width / 2 - off, 0.25), max(box.height / 2 - off, 0.25)
    across = ((x - half_x, y), (x + half_x, y))
    down = ((x, y - half_y), (x, y + half_y))
    return Recist((*across, *down) if half_x >= half_y else (*down, *across))
