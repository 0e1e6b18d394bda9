"""What the picture of a mining run shows: some marks of each verdict, on their images."""

from __future__ import annotations

import warnings
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import LesionSearchError
from retrieval.sources.marks.verdicts import Verdict
from retrieval.sources.mining.planes import MarkedSource
from retrieval.sources.mining.verdict_line import MarkSketch
from service.figures.mined_marks import PicturedMark, SheetLayout, mined_sheet
from service.jobs.mining.header_index import HeaderIndex, open_work_file
from service.jobs.mining.journal import MiningJournal
from service.jobs.mining.run import WORK_NAME, MiningReport

MOST_KEPT, MOST_REFUSED = 18, 6
"""Marks shown of each verdict."""

_BROKEN = (RuntimeError, ValueError, AttributeError, KeyError, TypeError, NotImplementedError)


def draw_mined(source: MarkedSource, work: Path, report: MiningReport, path: Path) -> SheetLayout:
    """Writes the picture of a run; returns where its tiles are.

    Raises MinedFigureError where no mark has an image.
    """
    with closing(open_work_file(work / WORK_NAME)) as connection:
        index, journal = HeaderIndex(connection), MiningJournal(connection)
        marks = [
            _pictured(sketch, index, source)
            for verdict in report.verdicts
            for sketch in journal.sketches(
                verdict, MOST_KEPT if Verdict(verdict).is_lesion else MOST_REFUSED
            )
        ]
    return mined_sheet([mark for mark in marks if mark is not None], report.verdicts, path)


def _pictured(sketch: MarkSketch, index: HeaderIndex, source: MarkedSource) -> PicturedMark | None:
    header = index.image(sketch.sop_uid, sketch.frame) if sketch.sop_uid else None
    if header is None:
        return None
    hu = None
    with suppress(LesionSearchError):
        hu = _hu(source.read(header), sketch.frame)
    verdict = Verdict(sketch.verdict)
    is_kept = bool(sketch.recist) or verdict is Verdict.KEPT
    lengths = [f"{one:.1f}" for one in (sketch.long_mm, sketch.short_mm) if one is not None]
    words = " x ".join(lengths) + " mm" if lengths else "" if hu is not None else "no picture"
    is_proposed = verdict is Verdict.PROPOSED
    return PicturedMark(
        sketch.verdict, words, is_kept, hu, sketch.extent, sketch.recist, is_proposed
    )


def _hu(dataset: Any, frame: int | None) -> NDArray[np.float32] | None:
    """An image's values to look at, scouts and others too; None where they cannot be decoded."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            values = np.asarray(dataset.pixel_array, np.float32)
        values = values[(frame or 1) - 1] if values.ndim == 3 else values
        slope, intercept = dataset.get("RescaleSlope", 1), dataset.get("RescaleIntercept", 0)
        return np.asarray(values * float(slope) + float(intercept), np.float32)
    except _BROKEN:
        return None
