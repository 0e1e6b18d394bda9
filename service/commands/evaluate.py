"""``lesion-search evaluate``: the published protocols, each score beside its floors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.lesion import LesionSearchError
from service.commands.options import ArchiveOption, EncoderOption, JsonFlag
from service.console import answer, answer_fields, answer_json, progress_bar

if TYPE_CHECKING:
    from retrieval.evaluation.dls import DlsScores
    from retrieval.evaluation.splits import SplitProtocol
    from retrieval.evaluation.tracking_report import TrackingReport


class EvaluateError(LesionSearchError):
    """Options of ``evaluate`` that name no protocol."""


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(
        help="Measure an encoder by the published protocols.",
        rich_markup_mode=None,
    )
    group.command()(retrieval)
    group.command()(tracking)
    app.add_typer(group, name="evaluate")


def retrieval(
    archive: ArchiveOption,
    encoder: EncoderOption = None,
    split: Annotated[
        str, typer.Option(help="Who asks and who may be found: all, released or paper.")
    ] = "all",
    seed: Annotated[int, typer.Option(min=0, help="Of every draw.")] = 0,
    floors_only: Annotated[
        bool, typer.Option("--floors-only", help="No encoder and no pixels: a table is enough.")
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the report as Markdown.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Similar lesions and the same patient's lesions: scores with 95 % intervals and floors."""
    from retrieval.embedding.encoder import LesionEncoder
    from retrieval.evaluation.floors import RawPixels
    from retrieval.evaluation.frozen import FrozenFeatures
    from retrieval.evaluation.retrieval import RetrievalOptions, evaluate_retrieval
    from retrieval.patch import PatchSpec
    from retrieval.sources.deeplesion import DeepLesionArchive

    protocol = _protocol(split)
    source = DeepLesionArchive.open(archive)
    with progress_bar("lesions") as progress:
        if floors_only:
            options = RetrievalOptions(protocol, seed, stability_lesions=0, progress=progress)
            report = evaluate_retrieval(source, None, PatchSpec(), options)
        else:
            loaded = LesionEncoder.load(encoder)
            frozen = FrozenFeatures.imagenet()
            options = RetrievalOptions(
                protocol,
                seed,
                encoder_name=loaded.name,
                pixel_floors=(RawPixels(), frozen),
                progress=progress,
            )
            report = evaluate_retrieval(
                source, lambda patches: loaded.embed(patches).vectors, loaded.spec, options
            )
    if out is not None:
        out.write_text(report.to_markdown(), encoding="utf-8")
    if as_json:
        answer_json(report.to_json())
    else:
        answer(report.to_markdown())


def tracking(
    archive: Annotated[
        Path | None, typer.Option("--archive", help="An archive that knows its tracks.")
    ] = None,
    dls: Annotated[
        Path | None, typer.Option("--dls", help="The DLS benchmark's own truth file, JSON.")
    ] = None,
    predictions: Annotated[
        Path | None, typer.Option("--predictions", help="Predicted centres of the DLS pairs, JSON.")
    ] = None,
    encoder: EncoderOption = None,
    seed: Annotated[int, typer.Option(min=0, help="Of folds and resamples.")] = 0,
    as_json: JsonFlag = False,
) -> None:
    """Same-lesion matching on an archive with tracks, or the DLS benchmark's own files."""
    if (archive is None) == (dls is None) or (dls is None) != (predictions is None):
        raise EvaluateError("give either --archive, or --dls together with --predictions")
    if dls is not None and predictions is not None:
        scores = _dls_scores(dls, predictions, seed).to_json()
        answer_json(scores) if as_json else answer_fields(scores, title="DLS")
        return
    assert archive is not None
    report = _tracking_report(archive, encoder, seed)
    answer_json(report.to_json()) if as_json else answer(report.to_markdown())


def _dls_scores(truth: Path, predictions: Path, seed: int) -> DlsScores:
    import numpy as np

    from retrieval.evaluation.dls import load_pairs, load_predictions, score_predictions

    pairs = load_pairs(truth)
    centers = load_predictions(predictions, pairs)
    return score_predictions(pairs, centers, np.random.default_rng(seed))


def _tracking_report(archive: Path, encoder: Path | None, seed: int) -> TrackingReport:
    from retrieval.embedding.encoder import LesionEncoder
    from retrieval.sources.deeplesion import DeepLesionArchive
    from service.tracking_evaluation import TrackingOptions, evaluate_tracking

    source = DeepLesionArchive.open(archive)
    with progress_bar("lesions") as progress:
        options = TrackingOptions(seed=seed, progress=progress)
        return evaluate_tracking(source, LesionEncoder.load(encoder), options)


def _protocol(name: str) -> SplitProtocol:
    from retrieval.evaluation.splits import SplitProtocol

    try:
        return SplitProtocol(name)
    except ValueError:
        known = ", ".join(protocol.value for protocol in SplitProtocol)
        raise EvaluateError(f"split {name!r} is unknown: one of {known}") from None
