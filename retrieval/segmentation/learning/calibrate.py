"""Quantiles of the errors of measures on left-out patients, for their intervals."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.lesion import BOX_PADDING_PX
from retrieval.measured_size import MeasuredValue
from retrieval.progress import ReportProgress
from retrieval.segmentation.checks import MeasureError
from retrieval.segmentation.diameters import diameters_of
from retrieval.segmentation.intervals import (
    LOGARITHMIC,
    QUANTILES,
    Least,
    MeasureCalibration,
    scale_of,
)
from retrieval.segmentation.learning.example import MaskedLesion
from retrieval.segmentation.learning.prompting import extent_box, jittered, point_inside
from retrieval.segmentation.measuring import GivenMark, LesionMeasurement, Method, measure
from retrieval.segmentation.prompt import Prompt, PromptKind
from retrieval.segmentation.segmenter import LesionSegmenter

JITTERS_MM = (0.0, 0.6, 1.2)
READER_LONG = (0.089, 0.28)
"""Half widths (50 %, 90 %) of log(mask / line): 273 human masks of DeepLesion against the
radiologist's long line differ by 0.134 of it on average."""


class _Raw(MeasureCalibration):
    """Gives the scale of errors in place of an interval."""

    def estimate(
        self,
        kind: str,  # noqa: ARG002
        measure: str,
        values: tuple[float, float, float],
        least: Least,
    ) -> MeasuredValue:
        """The value, with its scale for an interval."""
        scale = scale_of(measure, values, least.length_share)
        return MeasuredValue(values[1], (scale, scale), None)


def calibrate(
    segmenter: LesionSegmenter,
    lesions: Sequence[MaskedLesion],
    *,
    seed: int = 0,
    report: ReportProgress | None = None,
) -> dict[str, Any]:
    """The document of ``segmentation.json``.

    Each lesion is marked once a kind of prompt; by how much its end points are jittered is drawn.
    """
    errors: dict[str, dict[str, list[float]]] = {}
    raw = _Raw({}, (0.0, 0.0), {})
    for done, lesion in enumerate(lesions, start=1):
        truth = true_measures(lesion)
        rng = np.random.default_rng([seed, done])
        for kind, mark in marks_of(lesion, float(rng.choice(JITTERS_MM)), rng):
            try:
                found = measure(segmenter, raw, lesion.slab, mark)
            except MeasureError:
                continue
            if found.method is Method.NETWORK:
                _add(errors.setdefault(kind.value, {}), found, truth)
        if report:
            report(done, len(lesions))
    return {
        "network": segmenter.fingerprint,
        "quantiles": {
            kind: {name: _quantiles(values) for name, values in measures.items()}
            for kind, measures in errors.items()
        },
        "reader_long": list(READER_LONG),
        "fitted_on": {
            "patients": len({lesion.patient for lesion in lesions}),
            "lesions": len(lesions),
            "jitters_mm": list(JITTERS_MM),
        },
    }


def marks_of(
    lesion: MaskedLesion, jitter_mm: float, rng: np.random.Generator
) -> Iterator[tuple[PromptKind, GivenMark]]:
    """A RECIST mark, a box and a click on the lesion's key slice."""
    key, spacing = lesion.slab.key_slice, lesion.slab.spacing_mm_px
    mark = jittered(lesion.mark_on(key), jitter_mm, spacing, rng)
    yield PromptKind.RECIST, GivenMark.of_recist(mark, spacing)
    yield PromptKind.BOX, GivenMark(Prompt.from_box(extent_box(mark, BOX_PADDING_PX), spacing))
    point = point_inside(lesion.mask[key], rng)
    yield PromptKind.POINT, GivenMark(Prompt.from_point(point, side_mm=28.0))


def true_measures(lesion: MaskedLesion) -> dict[str, float]:
    """The measures of a reader's mask."""
    key, spacing = lesion.slab.key_slice, lesion.slab.spacing_mm_px
    mask = lesion.mask
    lines = diameters_of(mask[key].astype(np.float64), spacing)
    pixel = spacing[0] * spacing[1]
    held = lesion.slab.hu[mask]
    return {
        "long_mm": lines.long_mm,
        "short_mm": lines.short_mm,
        "who_mm2": lines.who_mm2,
        "area_mm2": float(mask[key].sum()) * pixel,
        "volume_mm3": float(mask.sum()) * pixel * lesion.slab.slice_interval_mm,
        "mean_hu": float(held.mean()),
        "sd_hu": float(held.std()),
    }


def write_calibration(document: dict[str, Any], path: Path) -> None:
    """The document as JSON, whole or not at all."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    partial.replace(path)


def _add(errors: dict[str, list[float]], found: LesionMeasurement, truth: dict[str, float]) -> None:
    for name, estimate in found.values.items():
        scale = (estimate.interval_50 or (1.0, 1.0))[0]
        if name in LOGARITHMIC:
            error = math.log(truth[name] / estimate.value)
        else:
            error = truth[name] - estimate.value
        errors.setdefault(name, []).append(error / scale)


def _quantiles(values: Sequence[float]) -> list[float]:
    """Those of ``QUANTILES``, pushed outwards by what a finite sample asks (split conformal)."""
    count = len(values)
    levels = [(q * (count + 1) - (q < 0.5)) / count for q in QUANTILES]
    within = np.clip(levels, 0, 1)
    return [round(float(one), 4) for one in np.quantile(values, within)]
