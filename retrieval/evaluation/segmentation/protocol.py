"""Every lesion of a cohort under every prompt: scores of the network and of its baselines.

Prompts are drawn from the reader's mask, or from the radiologist's mark where there is one: two
lines and a box whose end points are jittered by 0, 0.6 and 1.2 mm, a box that stands a quarter of
its size beside the lesion, and a click inside it.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation.segmentation import baselines
from retrieval.evaluation.segmentation.cohort import SegmentationCase
from retrieval.evaluation.segmentation.scores import boundary_mm, dice, uls23_score
from retrieval.lesion import BOX_PADDING_PX
from retrieval.progress import ReportProgress
from retrieval.segmentation.checks import MeasureError
from retrieval.segmentation.diameters import EmptyMaskError, diameters_of
from retrieval.segmentation.intervals import MeasureCalibration
from retrieval.segmentation.learning.calibrate import true_measures
from retrieval.segmentation.learning.example import MaskedLesion
from retrieval.segmentation.learning.prompting import extent_box, jittered, point_inside
from retrieval.segmentation.measuring import GivenMark, LesionMeasurement, measure
from retrieval.segmentation.prompt import Prompt
from retrieval.segmentation.segmenter import LesionSegmenter

JITTERS_MM = (0.0, 0.6, 1.2)
OFF_CENTRE = 0.25
CLICK_SIDE_MM = 28.0
BASELINE_JITTER = "two lines, 0.6 mm"
NETWORK = "network"
READER = "reader's mask"


@dataclass(frozen=True)
class LesionScore:
    """One lesion under one prompt by one method; NaN where there is no score.

    Attributes:
        prompt: its name, as "box, 0.6 mm".
        method: "network" or a baseline's name.
        values: score -> value.
    """

    lesion: str
    patient: str
    source: str
    long_mm: float
    prompt: str
    method: str
    values: Mapping[str, float]


@dataclass(frozen=True)
class ProtocolOptions:
    """How a cohort is scored.

    Attributes:
        seed: of jitters and clicks.
        in_3d: whether volumes are scored.
        progress: told of every lesion done.
    """

    seed: int = 0
    in_3d: bool = True
    progress: ReportProgress | None = None
    jitters_mm: Sequence[float] = field(default=JITTERS_MM)


def score_cohort(
    cases: Sequence[SegmentationCase],
    segmenter: LesionSegmenter,
    calibration: MeasureCalibration,
    options: ProtocolOptions,
) -> list[LesionScore]:
    """A row for each lesion, prompt and method."""
    rows: list[LesionScore] = []
    for done, case in enumerate(cases, start=1):
        rng = np.random.default_rng([options.seed, done])
        scorer = _Scorer(case, options.in_3d)
        rows += scorer.reader()
        consistent: list[NDArray[np.bool_]] = []
        for name, mark in prompts_of(case, options.jitters_mm, rng):
            found = _measured(segmenter, calibration, case.lesion, mark, options.in_3d)
            rows.append(scorer.network(name, found))
            if found is not None and name.startswith("box"):
                consistent.append(found.whole_mask)
            if name == BASELINE_JITTER:
                rows += scorer.baselines(name, mark.prompt)
        rows.append(scorer.uls23(rows, consistent))
        if options.progress:
            options.progress(done, len(cases))
    return rows


def prompts_of(
    case: SegmentationCase, jitters_mm: Sequence[float], rng: np.random.Generator
) -> Iterator[tuple[str, GivenMark]]:
    """Every prompt of a lesion by its name."""
    lesion, spacing = case.lesion, case.lesion.slab.spacing_mm_px
    for jitter in jitters_mm:
        mark = jittered(case.key_mark, jitter, spacing, rng)
        yield f"two lines, {jitter:g} mm", GivenMark.of_recist(mark, spacing)
        box = extent_box(mark, BOX_PADDING_PX)
        yield f"box, {jitter:g} mm", GivenMark(Prompt.from_box(box, spacing))
    box = extent_box(case.key_mark, BOX_PADDING_PX)
    inner = extent_box(case.key_mark, 0.0)
    angle = rng.uniform(0, 2 * math.pi)
    dx, dy = OFF_CENTRE * inner.width * math.cos(angle), OFF_CENTRE * inner.height * math.sin(angle)
    yield "box, off centre", GivenMark(Prompt.from_box(box.shifted(dx, dy), spacing))
    point = point_inside(lesion.mask[lesion.slab.key_slice], rng)
    yield "click", GivenMark(Prompt.from_point(point, side_mm=CLICK_SIDE_MM))


def _measured(
    segmenter: LesionSegmenter,
    calibration: MeasureCalibration,
    lesion: MaskedLesion,
    mark: GivenMark,
    in_3d: bool,
) -> LesionMeasurement | None:
    """None where the mark is refused: a score of 0."""
    try:
        return measure(segmenter, calibration, lesion.slab, mark, in_3d=in_3d)
    except MeasureError:
        return None


class _Scorer:
    """Scores of masks of one lesion."""

    def __init__(self, case: SegmentationCase, in_3d: bool) -> None:
        lesion, self._mark = case.lesion, case.mark
        self._lesion, self._in_3d = lesion, in_3d and len(lesion.slab.hu) > 1
        self._key = lesion.slab.key_slice
        self._truth = true_measures(lesion)

    def network(self, prompt: str, found: LesionMeasurement | None) -> LesionScore:
        """What the network reached; nothing found is a Dice of 0."""
        if found is None:
            return self._row(prompt, NETWORK, {"dice": 0.0, "volume dice": 0.0, "refused": 1.0})
        whole = found.whole_mask
        values = self._slice_scores(whole[self._key])
        values["long error mm"] = abs(found.diameters.long_mm - self._truth["long_mm"])
        values["short error mm"] = abs(found.diameters.short_mm - self._truth["short_mm"])
        values |= self._from_line(found.diameters.long_mm, found.diameters.short_mm)
        values["ellipse given"] = float(found.method.value == "ellipse")
        values["refused"] = 0.0
        if self._in_3d:
            values |= self._volume_scores(whole)
        for name in ("long_mm", "short_mm", "volume_mm3"):
            estimate = found.values.get(name)
            if estimate is None or estimate.interval_50 is None or estimate.interval_90 is None:
                continue
            truth = self._truth[name]
            for label, (low, high) in (("50", estimate.interval_50), ("90", estimate.interval_90)):
                values[f"{name} within {label} %"] = float(low <= truth <= high)
        return self._row(prompt, NETWORK, values)

    def reader(self) -> Iterator[LesionScore]:
        """How far the reader's own mask is from the radiologist's line, where there is one."""
        if self._mark is not None:
            distances = self._from_line(self._truth["long_mm"], self._truth["short_mm"])
            yield self._row("no prompt", READER, distances)

    def baselines(self, prompt: str, shape: Prompt) -> Iterator[LesionScore]:
        """The methods without a network, from two lines."""
        slab = self._lesion.slab
        for name, method in (
            ("ellipse", baselines.ellipse),
            ("threshold", baselines.threshold),
            ("GrabCut", baselines.grabcut),
        ):
            mask = method(slab, shape)
            yield self._row(prompt, name, self._slice_scores(mask) | self._line_errors(mask))
        if self._in_3d:
            for name, whole in (
                ("ellipsoid", baselines.ellipsoid_mask(slab, shape)),
                ("threshold in ellipsoid", baselines.threshold_in_ellipsoid(slab, shape)),
            ):
                yield self._row(prompt, name, self._volume_scores(whole))

    def uls23(self, rows: Sequence[LesionScore], masks: Sequence[NDArray[np.bool_]]) -> LesionScore:
        """The challenge's score, from the box of least jitter; consistency over all boxes."""
        own = next(
            row
            for row in rows
            if row.lesion == self._lesion.name
            and row.method == NETWORK
            and row.prompt.startswith("box")
        )
        pairs = [dice(a, b) for k, a in enumerate(masks) for b in masks[k + 1 :]]
        consistency = float(np.mean(pairs)) if pairs else 0.0
        shares = []
        for name, error in (("long_mm", "long error mm"), ("short_mm", "short error mm")):
            truth = self._truth[name]
            shares.append((truth + own.values.get(error, truth), truth))
        overlap = own.values.get("volume dice", own.values["dice"])
        score = uls23_score(overlap, shares[0], shares[1], consistency)
        values = {"ULS23 score": score, "consistency": consistency}
        return self._row("boxes", NETWORK, values)

    def _slice_scores(self, mask: NDArray[np.bool_]) -> dict[str, float]:
        truth, spacing = self._lesion.mask[self._key], self._lesion.slab.spacing_mm_px
        return {"dice": dice(mask, truth), "boundary mm": boundary_mm(mask, truth, spacing)}

    def _from_line(self, long_mm: float, short_mm: float) -> dict[str, float]:
        """Distances of both diameters from the radiologist's own; empty without a mark."""
        if self._mark is None:
            return {}
        long, short = self._mark.diameters_mm(self._lesion.slab.spacing_mm_px)
        return {
            "long from line mm": abs(long_mm - long),
            "short from line mm": abs(short_mm - short),
        }

    def _line_errors(self, mask: NDArray[np.bool_]) -> dict[str, float]:
        try:
            lines = diameters_of(mask.astype(np.float64), self._lesion.slab.spacing_mm_px)
        except EmptyMaskError:
            return {}
        return {
            "long error mm": abs(lines.long_mm - self._truth["long_mm"]),
            "short error mm": abs(lines.short_mm - self._truth["short_mm"]),
        }

    def _volume_scores(self, whole: NDArray[np.bool_]) -> dict[str, float]:
        truth = self._lesion.mask
        ratio = math.log(max(float(whole.sum()), 1.0) / float(truth.sum()))
        return {"volume dice": dice(whole, truth), "volume log error": abs(ratio)}

    def _row(self, prompt: str, method: str, values: Mapping[str, float]) -> LesionScore:
        lesion = self._lesion
        return LesionScore(
            lesion=lesion.name,
            patient=lesion.patient,
            source=lesion.source,
            long_mm=self._truth["long_mm"],
            prompt=prompt,
            method=method,
            values=values,
        )
