"""Pseudo masks of marks without masks, in rounds: slice-propagated weak supervision.

Round 0 cuts the key slice by GrabCut from the mark's ellipse. Each later round asks the network of
the round before, lets GrabCut decide where it is unsure, and follows the lesion through the slices
(Cai et al., 2018). A pseudo mask is learned from only where its diameters agree with the mark's and
GrabCut with the network; what agrees best comes first, later rounds are more lenient (self-paced).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from retrieval.image import Slab
from retrieval.lesion import Split
from retrieval.segmentation.checks import FALLS_BACK, MeasureError, check_place, mask_flags
from retrieval.segmentation.diameters import EmptyMaskError, diameters_of
from retrieval.segmentation.learning.example import CROP_MM, LEAST_PIXELS, MaskedLesion
from retrieval.segmentation.learning.grabcut import grabcut_from_probability, grabcut_from_prompt
from retrieval.segmentation.masks import about_prompt, filled
from retrieval.segmentation.prompt import Prompt
from retrieval.segmentation.propagation import LesionProbability, Stop, propagate
from retrieval.segmentation.segmenter import LesionSegmenter
from retrieval.sources.archive import Archive

SOURCE = "marked"
DEPTH_MM = 40.0


@dataclass(frozen=True, slots=True)
class WeakConfig:
    """How pseudo masks are made and which of them are learned from.

    Attributes:
        rounds: of making masks and training on them; 0 for none.
        steps: batches of each round.
        axes: largest difference of a pseudo mask's diameters from the mark's, as a share.
        lenient: by how much that share grows each round.
        overlap: least Dice between the network's mask and GrabCut's of a slice.
    """

    rounds: int = 0
    steps: int = 300
    axes: float = 0.2
    lenient: float = 0.05
    overlap: float = 0.75


@dataclass(frozen=True)
class WeakLesion:
    """A lesion of which a reader left two lines and no mask.

    Attributes:
        slab: the CT about it, its key slice the marked one.
        prompt: the mark, in the slab's pixels.
    """

    name: str
    patient: str
    slab: Slab
    prompt: Prompt


class WeakRefusal(StrEnum):
    """Why a lesion is not learned from in a round."""

    PLACE = "the mark lies outside the body"
    EMPTY = "the mask is empty, or runs out of the mark"
    AXES = "the diameters differ from the mark's"
    OVERLAP = "network and GrabCut disagree"
    FEW = "too few pixels"


@dataclass(frozen=True)
class PseudoMasks:
    """The masks of a round, and why the other lesions have none."""

    lesions: Sequence[MaskedLesion]
    refused: Mapping[str, WeakRefusal]


class _RefusedError(Exception):
    def __init__(self, reason: WeakRefusal) -> None:
        super().__init__(reason.value)
        self.reason = reason


def pseudo_masks(
    lesions: Sequence[WeakLesion],
    segmenter: LesionSegmenter | None,
    config: WeakConfig,
    *,
    number: int,
) -> PseudoMasks:
    """The lesions that a round learns from.

    Args:
        lesions: marks without masks.
        segmenter: the network of the round before; None in a first round from nothing.
        config: what is accepted.
        number: of the round, from 0.
    """
    axes = config.axes + number * config.lenient
    accepted: list[MaskedLesion] = []
    refused: dict[str, WeakRefusal] = {}
    for lesion in lesions:
        try:
            check_place(lesion.slab, lesion.prompt)
            if segmenter is None:
                found = _seeded(lesion, axes)
            else:
                found = _followed(lesion, segmenter, axes, config.overlap)
        except MeasureError:
            refused[lesion.name] = WeakRefusal.PLACE
        except _RefusedError as refusal:
            refused[lesion.name] = refusal.reason
        else:
            accepted.append(found)
    return PseudoMasks(accepted, refused)


def weak_lesions(archive: Archive) -> Iterator[WeakLesion]:
    """Every lesion of the archive's train split that has two lines, with the CT about it.

    Raises:
        ArchiveError: an image cannot be read.
        PromptError: a mark of no length.
    """
    for lesion in archive.lesions:
        recist = archive.recist(lesion)
        if recist is None or lesion.split is not Split.TRAIN:
            continue
        slab = archive.slab(lesion, half_depth_mm=DEPTH_MM)
        prompt = Prompt.from_recist(slab.grid.to_display_recist(recist), slab.spacing_mm_px)
        yield WeakLesion(lesion.lesion_id, lesion.patient_id, *_about(slab, prompt))


def _about(slab: Slab, prompt: Prompt) -> tuple[Slab, Prompt]:
    """Only what lies near the mark, so that thousands fit in memory."""
    parts, starts = [], []
    sides = ((slab.rows, 1), (slab.columns, 0))
    for length, axis in sides:
        spacing, middle = slab.spacing_mm_px[axis], prompt.center[axis]
        around = (CROP_MM + 2 * prompt.long_mm) / spacing
        first = min(max(int(middle - around), 0), length - 1)
        parts.append(slice(first, max(min(int(middle + around) + 1, length), first + 1)))
        starts.append(first)
    hu = np.ascontiguousarray(slab.hu[:, parts[0], parts[1]])
    near = Slab(hu, slab.spacing_mm_px, slab.slice_interval_mm, slab.key_slice)
    top, left = starts
    (x, y), (view_x, view_y) = prompt.center, prompt.view_center
    moved = replace(prompt, center=(x - left, y - top), view_center=(view_x - left, view_y - top))
    return near, moved


def _seeded(lesion: WeakLesion, axes: float) -> MaskedLesion:
    """The key slice by GrabCut alone."""
    slab, prompt = lesion.slab, lesion.prompt
    cut = grabcut_from_prompt(slab, prompt).astype(np.float32)
    key = about_prompt(cut, prompt, slab.spacing_mm_px)
    _agrees(key, lesion, axes)
    return _masked(lesion, {slab.key_slice: key > 0.5}, (slab.key_slice, slab.key_slice))


def _followed(
    lesion: WeakLesion, segmenter: LesionSegmenter, axes: float, overlap: float
) -> MaskedLesion:
    """The key slice by network and GrabCut, and the slices beside it as far as both agree."""
    slab, prompt = lesion.slab, lesion.prompt
    plane, prompt = segmenter.key_slice(slab, prompt)
    shape = (slab.rows, slab.columns)
    key = about_prompt(plane.on_image(shape), prompt, slab.spacing_mm_px)
    if FALLS_BACK & set(mask_flags(key, prompt, slab.spacing_mm_px)):
        raise _RefusedError(WeakRefusal.EMPTY)
    masks = {slab.key_slice: _refined(slab, slab.key_slice, key, overlap)}
    _agrees(masks[slab.key_slice].astype(np.float32), lesion, axes)
    long_mm = diameters_of(key, slab.spacing_mm_px).long_mm
    whole = propagate(segmenter, slab, key, long_mm=long_mm)
    known = []
    for step, stop in ((-1, whole.stops[0]), (1, whole.stops[1])):
        last = _walk(masks, whole, slab, (step, overlap))
        beyond = last + step
        ended = stop is Stop.ENDED and not 0 <= beyond - whole.first < len(whole.values)
        # The slice behind an end is known too: nothing of the lesion is on it.
        known.append(beyond if ended and 0 <= beyond < len(slab.hu) else last)
    return _masked(lesion, masks, (known[0], known[1]))


def _walk(
    masks: dict[int, NDArray[np.bool_]],
    whole: LesionProbability,
    slab: Slab,
    how: tuple[int, float],
) -> int:
    """Adds the slices of one direction while both agree; the position of the last of them."""
    step, overlap = how
    position = slab.key_slice
    while 0 <= position + step - whole.first < len(whole.values):
        values = filled(whole.values[position + step - whole.first])
        try:
            masks[position + step] = _refined(slab, position + step, values, overlap)
        except _RefusedError:
            break
        position += step
    return position


def _refined(
    slab: Slab, position: int, values: NDArray[np.float32], overlap: float
) -> NDArray[np.bool_]:
    own = values > 0.5
    cut = grabcut_from_probability(slab.hu[position], values)
    cut = np.asarray(filled(cut.astype(np.float32)) > 0.5, np.bool_)
    total = float(own.sum() + cut.sum())
    if total == 0 or 2 * float((own & cut).sum()) / total < overlap:
        raise _RefusedError(WeakRefusal.OVERLAP)
    return cut


def _agrees(key: NDArray[np.float32], lesion: WeakLesion, axes: float) -> None:
    if (key > 0.5).sum() < LEAST_PIXELS:
        raise _RefusedError(WeakRefusal.FEW)
    try:
        found = diameters_of(key, lesion.slab.spacing_mm_px)
    except EmptyMaskError:
        raise _RefusedError(WeakRefusal.EMPTY) from None
    # Edge to edge a mask measures up to a pixel more than a line between two points.
    pixel = max(lesion.slab.spacing_mm_px)
    for own, marked in (
        (found.long_mm, lesion.prompt.long_mm),
        (found.short_mm, lesion.prompt.short_mm),
    ):
        if abs(own - marked) > axes * marked + pixel:
            raise _RefusedError(WeakRefusal.AXES)


def _masked(
    lesion: WeakLesion, masks: Mapping[int, NDArray[np.bool_]], known: tuple[int, int]
) -> MaskedLesion:
    share = np.zeros(lesion.slab.hu.shape, np.float32)
    for position, mask in masks.items():
        share[position] = mask
    return MaskedLesion(lesion.name, lesion.patient, SOURCE, lesion.slab, share, known)
