"""``lesion-search evaluate detection``: the two published protocols, each beside its baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.lesion import LesionSearchError, Split
from service.commands.evaluation.giving import give, keep_figure
from service.commands.options import (
    DetectorOption,
    JsonFlag,
    ResamplesOption,
    SeedOption,
    parse_splits,
)
from service.console import progress_bar

if TYPE_CHECKING:
    from retrieval.evaluation.detection.key_slices import DetectionOptions
    from retrieval.evaluation.detection.report import DetectionReport


class DetectionOptionsError(LesionSearchError):
    """Options of ``evaluate detection`` that name no protocol."""


def detection(
    archive: Annotated[
        Path | None, typer.Option("--archive", help="Archive whose key slices are evaluated.")
    ] = None,
    boxes_3d: Annotated[
        Path | None, typer.Option("--boxes-3d", help="Fully annotated sub-volumes, JSON.")
    ] = None,
    predictions: Annotated[
        Path | None,
        typer.Option("--predictions", help="Predicted boxes, JSON: see docs/detection.md."),
    ] = None,
    detector: DetectorOption = None,
    split: Annotated[
        str, typer.Option(help="Split to evaluate: train, val, test, several with commas, or all.")
    ] = Split.TEST.value,
    baselines: Annotated[
        bool,
        typer.Option(
            "--baselines/--no-baselines",
            "--floors/--no-floors",
            help="Also score random boxes and blobs as baselines; they read every image.",
        ),
    ] = True,
    categories: Annotated[
        Path | None,
        typer.Option(help="A categories.json of `categorize`: scores by category too."),
    ] = None,
    seed: SeedOption = 0,
    resamples: ResamplesOption = 1000,
    figure: Annotated[
        Path | None, typer.Option(help="Also draw the FROC curves: .png, .svg or .pdf.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the report as Markdown.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Evaluate lesion detection: sensitivity at rates of false positives, by size and type."""
    if (archive is None) == (boxes_3d is None):
        raise DetectionOptionsError("give either --archive, or --boxes-3d with --predictions")
    if predictions is not None and detector is not None:
        raise DetectionOptionsError("give either --predictions or --detector, not both")
    if archive is not None:
        from retrieval.evaluation.detection.key_slices import DetectionOptions

        with progress_bar("key slices") as progress:
            options = DetectionOptions(
                parse_splits(split), seed, resamples, baselines, progress, _categories(categories)
            )
            report = _on_archive(archive, predictions, detector, options)
    else:
        from retrieval.evaluation.detection.boxes_3d import evaluate_boxes_3d

        if predictions is None or boxes_3d is None:
            raise DetectionOptionsError("--boxes-3d needs --predictions, a file of 3D boxes")
        report = evaluate_boxes_3d(boxes_3d, predictions, seed=seed, resamples=resamples)
    _give(report, figure, out, as_json=as_json)


def _categories(path: Path | None) -> dict[str, str]:
    from retrieval.detection.training_data import read_categories

    return read_categories("" if path is None else str(path))


def _on_archive(
    archive: Path, predictions: Path | None, detector: Path | None, options: DetectionOptions
) -> DetectionReport:
    from retrieval.evaluation.detection.key_slices import evaluate_detector, evaluate_predictions
    from retrieval.sources.archive import open_archive
    from service.engine.detectors import detector_in_use

    source = open_archive(archive)
    if predictions is not None:
        return evaluate_predictions(source, predictions, options)
    proposer = detector_in_use(detector, every_proposal=True)
    if proposer is None:
        raise DetectionOptionsError(
            "no detector is bundled with this installation: give --detector or --predictions"
        )
    return evaluate_detector(source, proposer, options)


def _give(report: DetectionReport, figure: Path | None, out: Path | None, *, as_json: bool) -> None:
    if figure is not None:
        from service.figures.froc import draw_froc

        keep_figure(draw_froc(report), figure)
    give(report, out, as_json=as_json)
