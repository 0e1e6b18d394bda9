"""Proposals cut to the image, and none beside the patient: in air, on the couch, on clothes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from retrieval.body import BodyInterior
from retrieval.detection.proposals import Proposal
from retrieval.image import Slab
from retrieval.lesion import BOX_PADDING_PX, Box

LEAST_SHARE_INSIDE = 0.5
"""A lesion of the skin may bulge out of the body, but no more than half of it."""


def on_patient(proposals: Iterable[Proposal], slab: Slab, interior: BodyInterior) -> list[Proposal]:
    """The proposals of which at least half lies in the patient, with boxes within the image.

    Args:
        proposals: on the slab's key slice, boxes in the file grid with DeepLesion's padding.
        slab: tells the size of the image and its file grid.
        interior: what is patient on the key slice, in the display grid.
    """
    kept = []
    for proposal in proposals:
        box = slab.grid.to_display_box(proposal.box)
        clipped = clipped_to(box, slab.columns, slab.rows)
        if clipped is not None and interior.share(unpadded(box)) >= LEAST_SHARE_INSIDE:
            kept.append(replace(proposal, box=slab.grid.to_file_box(clipped)))
    return kept


def clipped_to(box: Box, columns: int, rows: int) -> Box | None:
    """The box between the centres of the image's outermost pixels; None where nothing is left."""
    x1, x2 = max(box.x1, 0.0), min(box.x2, columns - 1.0)
    y1, y2 = max(box.y1, 0.0), min(box.y2, rows - 1.0)
    return Box(x1, y1, x2, y2) if x1 < x2 and y1 < y2 else None


def unpadded(box: Box) -> Box:
    """The extent of the lesion that the box speaks for; at least a pixel."""
    half = (
        max(box.width / 2 - BOX_PADDING_PX, 0.5),
        max(box.height / 2 - BOX_PADDING_PX, 0.5),
    )
    x, y = box.center
    return Box(x - half[0], y - half[1], x + half[0], y + half[1])
