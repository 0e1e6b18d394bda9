"""``lesion-search evaluate tracking``: same-lesion matching, each score beside its baselines."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.lesion import LesionSearchError
from service.commands.evaluation.giving import give, keep_figure
from service.commands.options import (
    EncoderOption,
    FoldsOption,
    JsonFlag,
    MatcherOption,
    ResamplesOption,
    SeedOption,
    parse_splits,
)
from service.console import answer_fields, answer_json, progress_bar, warn

if TYPE_CHECKING:
    from retrieval.evaluation.tracking.dls import DlsScores


class TrackingOptionsError(LesionSearchError):
    """Options of ``evaluate tracking`` that name no protocol."""


@dataclass(frozen=True)
class BenchmarkOptions:
    """The files of the DLS benchmark."""

    dls: Annotated[
        Path | None, typer.Option("--dls", help="The DLS benchmark's own truth file, JSON.")
    ] = None
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="Predicted centres of the DLS pairs, JSON.")
    ] = None


def tracking(
    *,
    archive: Annotated[
        Path | None,
        typer.Option("--archive", help="Archive with known lesion tracks (tracks.csv)."),
    ] = None,
    benchmark: BenchmarkOptions,
    encoder: EncoderOption = None,
    matcher: MatcherOption = None,
    split: Annotated[
        str, typer.Option(help="Split to evaluate: train, val, test, several with commas, or all.")
    ] = "all",
    seed: SeedOption = 0,
    folds: FoldsOption = 4,
    resamples: ResamplesOption = 1000,
    location_noise: Annotated[
        str | None,
        typer.Option(
            help="Move given locations as far as real ones move between studies: dls. For "
            "archives whose locations are exact, as those of phantoms."
        ),
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Also draw the calibration: .png, .svg or .pdf.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the report as Markdown.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Evaluate same-lesion matching on an archive with tracks, or on the DLS benchmark's files."""
    dls, predictions = benchmark.dls, benchmark.predictions
    if (archive is None) == (dls is None) or (dls is None) != (predictions is None):
        raise TrackingOptionsError("give either --archive, or --dls together with --predictions")
    if dls is not None and predictions is not None:
        if figure is not None or out is not None or location_noise is not None:
            raise TrackingOptionsError(
                "--figure, --out and --location-noise belong to --archive, not to --dls"
            )
        scores = _dls_scores(dls, predictions, seed).to_json()
        answer_json(scores) if as_json else answer_fields(scores, title="DLS")
        return
    from retrieval.embedding.external.opening import open_encoder
    from retrieval.evaluation.tracking.archive_tracks import TrackingOptions, evaluate_tracking
    from retrieval.sources.archive import open_archive
    from retrieval.tracking.fitting.location_noise import LOCATION_NOISES
    from retrieval.tracking.matcher import load_matcher

    noise = None if location_noise is None else LOCATION_NOISES.get(location_noise)
    if location_noise is not None and noise is None:
        known = ", ".join(LOCATION_NOISES)
        raise TrackingOptionsError(f"--location-noise {location_noise!r} is unknown: {known}")
    assert archive is not None
    model, splits = load_matcher(matcher), parse_splits(split)
    source, loaded = open_archive(archive), open_encoder(encoder)
    warn([model.warning_for(loaded.fingerprint)])
    with progress_bar("lesions") as progress:
        options = TrackingOptions(
            model,
            splits,
            folds=folds,
            seed=seed,
            resamples=resamples,
            progress=progress,
            location_noise=noise,
        )
        report = evaluate_tracking(source, loaded, options)
    if figure is not None:
        from service.figures.calibration import draw_calibration

        keep_figure(draw_calibration(report), figure)
    give(report, out, as_json=as_json)


def _dls_scores(truth: Path, predictions: Path, seed: int) -> DlsScores:
    import numpy as np

    from retrieval.evaluation.tracking.dls import load_pairs, load_predictions, score_predictions

    pairs = load_pairs(truth)
    centers = load_predictions(predictions, pairs)
    return score_predictions(pairs, centers, np.random.default_rng(seed))
