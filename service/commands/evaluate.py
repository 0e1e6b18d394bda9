"""``lesion-search evaluate``: the published protocols, each score beside its floors."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.lesion import LesionSearchError
from service.commands.options import ArchiveOption, EncoderOption, JsonFlag
from service.console import answer, answer_json, progress_bar

if TYPE_CHECKING:
    from retrieval.evaluation.splits import SplitProtocol


class EvaluateError(LesionSearchError):
    """Options of ``evaluate`` that name no protocol."""


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(
        help="Measure an encoder by the published protocols.",
        rich_markup_mode=None,
    )
    # A callback keeps typer from turning a group of one command into that command.
    group.callback()(lambda: None)
    group.command()(retrieval)
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


def _protocol(name: str) -> SplitProtocol:
    from retrieval.evaluation.splits import SplitProtocol

    try:
        return SplitProtocol(name)
    except ValueError:
        known = ", ".join(protocol.value for protocol in SplitProtocol)
        raise EvaluateError(f"split {name!r} is unknown: one of {known}") from None
