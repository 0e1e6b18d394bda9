"""The process that mines for a service: its order as one line of JSON, then its parent's silence.

Where stdin ends the parent is gone, and the process ends too: killed at any moment, the next run
goes on where it was. It tells how far it is as lines of JSON on stdout.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from retrieval.lesion import LesionSearchError

if TYPE_CHECKING:
    from retrieval.sources.mining.planes import MarkedSource
    from service.engine.lesion_location import LesionLocator
    from service.jobs.mining.run import MiningReport

TOLD_EVERY_S = 0.5
REPORT_NAME, SHEET_NAME, LAYOUT_NAME = "report.json", "sheet.png", "sheet.json"
"""What a run leaves in the work folder, for whoever asks later."""


def main() -> int:
    """Runs one order; 0 where it was done, 1 where it failed and why was told."""
    order = json.loads(sys.stdin.readline())
    threading.Thread(target=_end_with_parent, daemon=True).start()
    # Whoever searches meanwhile comes first.
    os.nice(10)
    try:
        report = mined(order)
    except LesionSearchError as wrong:
        tell(event="failed", error=" ".join(str(wrong).split()))
        return 1
    except OSError as wrong:
        tell(event="failed", error=f"{wrong.strerror or type(wrong).__name__}: {wrong.filename}")
        return 1
    tell(event="done", report=report)
    return 0


def mined(order: dict[str, Any]) -> dict[str, Any]:
    """Mines as an order says; the report, which is kept in the work folder too."""
    from retrieval.sources.marks.meaning.options import JudgingOptions, SinglesPolicy
    from retrieval.sources.mining.tools import MiningOptions
    from service.engine.detectors import detector_in_use
    from service.jobs.mining.work import MiningJob, identities_of

    out = Path(order["out"])
    key = None if order["key"] is None else Path(order["key"])
    detector = None if order["detector"] is None else Path(order["detector"])
    judging = JudgingOptions(
        SinglesPolicy(order["singles"]), order["arrows"], tuple(order["segments"])
    )
    pixels, propose = order["pixels"], order["propose"] and order["pixels"]
    job = MiningJob(
        out,
        identities_of(out, key),
        MiningOptions(judging, pixels, propose),
        _locator() if order["locate"] and pixels else None,
        partial(detector_in_use, detector) if propose else None,
    )
    source = _source(order["sources"])
    report = job.run(source, progress=Telling())
    _draw(source, job.work, report)
    document = report.to_json()
    _keep(document, job.work / REPORT_NAME)
    return document


def tell(**event: Any) -> None:
    """One line for the parent."""
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


class Telling:
    """Progress as lines, not more often than anybody looks."""

    def __init__(self) -> None:
        self._last = 0.0

    def __call__(self, done: int, total: int) -> None:
        """As in ReportProgress."""
        now = time.monotonic()
        if done == total or now - self._last >= TOLD_EVERY_S:
            self._last = now
            tell(event="progress", done=done, total=total)


def _locator() -> LesionLocator:
    from service.engine.lesion_location import PositionLocator

    return PositionLocator()


def _source(folders: list[str]) -> MarkedSource:
    if folders:
        from retrieval.sources.mining.folder import FolderSource

        return FolderSource([Path(one) for one in folders])
    from service.extras import Extra, need_extra

    need_extra(Extra.DICOM)
    from service.pacs.client import PacsClient
    from service.pacs.mining import PacsSource
    from service.pacs.settings import PacsSettings

    return PacsSource(PacsClient(PacsSettings()))


def _draw(source: MarkedSource, work: Path, report: MiningReport) -> None:
    from service.figures.mined_marks import MinedFigureError
    from service.jobs.mining.pictures import draw_mined

    unfinished = work / f"part-{SHEET_NAME}"
    try:
        layout = draw_mined(source, work, report, unfinished)
    except MinedFigureError:
        # No mark lies on an image: there is no picture, and an earlier one is no longer true.
        for name in (SHEET_NAME, LAYOUT_NAME):
            (work / name).unlink(missing_ok=True)
        return
    # A picture is never read with the layout of another one.
    (work / LAYOUT_NAME).unlink(missing_ok=True)
    unfinished.replace(work / SHEET_NAME)
    _keep(asdict(layout), work / LAYOUT_NAME)


def _keep(document: dict[str, Any], path: Path) -> None:
    unfinished = path.with_name(f"{path.name}.part")
    unfinished.write_text(json.dumps(document), encoding="utf-8")
    unfinished.replace(path)


def _end_with_parent() -> None:
    sys.stdin.read()
    os._exit(3)


if __name__ == "__main__":
    sys.exit(main())
