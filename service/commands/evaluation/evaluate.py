"""``lesion-search evaluate``: the published protocols, each score beside its baselines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.lesion import LesionSearchError, Split
from service.commands.evaluation.card import card
from service.commands.evaluation.categories import categories
from service.commands.evaluation.detection import detection
from service.commands.evaluation.giving import give_retrieval, signed
from service.commands.evaluation.growth import growth
from service.commands.evaluation.robustness import robustness
from service.commands.evaluation.segmentation import segmentation
from service.commands.evaluation.tags import tags
from service.commands.evaluation.tracking import tracking
from service.commands.option_groups import with_groups
from service.commands.options import (
    ArchiveOption,
    EncoderOption,
    JsonFlag,
    ResamplesOption,
    SeedOption,
)
from service.console import progress_bar

if TYPE_CHECKING:
    from retrieval.embedding.patch_encoder import PatchEncoder
    from retrieval.evaluation.retrieval.pixels import EmbedPatches, PixelMethod
    from retrieval.evaluation.retrieval.splits import SplitProtocol


EncodersOption = Annotated[
    list[Path] | None,
    typer.Option(
        "--encoder",
        help="As in `index build`; several stand side by side, the first is the report's.",
    ),
]
OutOption = Annotated[Path | None, typer.Option("--out", help="Also write the report as Markdown.")]


class EvaluateError(LesionSearchError):
    """Options of ``evaluate`` that name no protocol."""


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(
        help="Measure encoder, matcher and detector by the published protocols.",
        rich_markup_mode=None,
    )
    group.command()(retrieval)
    group.command()(nodules)
    group.command()(robustness)
    group.command()(with_groups(tracking))
    group.command()(growth)
    group.command()(detection)
    group.command()(segmentation)
    group.command()(tags)
    group.command()(categories)
    group.command()(card)
    app.add_typer(group, name="evaluate")


def retrieval(
    archive: ArchiveOption,
    encoder: EncodersOption = None,
    split: Annotated[
        str, typer.Option(help="Which lesions are queries and gallery: all, released or paper.")
    ] = "all",
    seed: SeedOption = 0,
    baselines_only: Annotated[
        bool,
        typer.Option(
            "--baselines-only", "--floors-only", help="No encoder and no pixels: a table is enough."
        ),
    ] = False,
    resamples: ResamplesOption = 1000,
    out: OutOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Evaluate retrieval of similar lesions and of the same patient's, beside baselines."""
    from retrieval.embedding.external.opening import open_encoder
    from retrieval.evaluation.retrieval.protocol import RetrievalOptions, evaluate_retrieval
    from retrieval.patch import PatchSpec
    from retrieval.sources.archive import open_archive

    protocol = _protocol(split)
    source = open_archive(archive)
    with progress_bar("lesions") as progress:
        if baselines_only:
            options = RetrievalOptions(
                protocol, seed, resamples, stability_lesions=0, progress=progress
            )
            report = evaluate_retrieval(source, None, PatchSpec(), options)
        else:
            loaded, *others = (
                [open_encoder(one) for one in encoder] if encoder else [open_encoder()]
            )
            options = RetrievalOptions(
                protocol,
                seed,
                resamples,
                encoder_name=loaded.name,
                pixel_baselines=[*_pixel_baselines(), *_beside(loaded, others)],
                progress=progress,
            )
            report = evaluate_retrieval(
                source, lambda patches: loaded.embed(patches).vectors, loaded.spec, options
            )
            report = signed(report, loaded)
    give_retrieval(report, out, as_json=as_json)


def nodules(
    archive: ArchiveOption,
    encoder: EncoderOption = None,
    split: Annotated[
        str, typer.Option(help="Split to evaluate: test, val, train or all.")
    ] = Split.TEST.value,
    seed: SeedOption = 0,
    resamples: ResamplesOption = 1000,
    out: OutOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Evaluate rated lung nodules: next slice, malignancy, texture and spiculation."""
    from retrieval.embedding.external.opening import open_encoder
    from retrieval.evaluation.retrieval.nodules import evaluate_nodules
    from retrieval.evaluation.retrieval.protocol import RetrievalOptions
    from retrieval.sources.archive import open_archive

    splits = _splits(split)
    source = open_archive(archive)
    loaded = open_encoder(encoder)
    with progress_bar("nodules") as progress:
        options = RetrievalOptions(
            seed=seed,
            resamples=resamples,
            encoder_name=loaded.name,
            pixel_baselines=_pixel_baselines(),
            progress=progress,
        )
        report = evaluate_nodules(
            source,
            lambda patches: loaded.embed(patches).vectors,
            loaded.spec,
            options,
            splits=splits,
        )
    give_retrieval(signed(report, loaded), out, as_json=as_json)


def _protocol(name: str) -> SplitProtocol:
    from retrieval.evaluation.retrieval.splits import SplitProtocol

    try:
        return SplitProtocol(name)
    except ValueError:
        known = ", ".join(protocol.value for protocol in SplitProtocol)
        raise EvaluateError(f"split {name!r} is unknown: one of {known}") from None


def _splits(name: str) -> tuple[Split, ...]:
    if name == "all":
        return ()
    known = (Split.TEST, Split.VALIDATION, Split.TRAIN)
    if name not in known:
        names = ", ".join(split.value for split in known)
        raise EvaluateError(f"split {name!r} is unknown: one of {names}, all")
    return (Split(name),)


def _beside(first: PatchEncoder, others: Sequence[PatchEncoder]) -> list[PixelMethod]:
    """Further encoders as methods of the same report, each under a name of its own."""
    from retrieval.evaluation.retrieval.pixels import EncoderMethod

    names = {first.name}
    methods: list[PixelMethod] = []
    for one in others:
        name = one.name if one.name not in names else f"{one.name} {one.fingerprint}"
        if name in names:
            raise EvaluateError(f"encoder {name} is given twice: give each --encoder once")
        names.add(name)
        methods.append(EncoderMethod(name, _vectors_of(one), one.spec))
    return methods


def _vectors_of(encoder: PatchEncoder) -> EmbedPatches:
    return lambda patches: encoder.embed(patches).vectors


def _pixel_baselines() -> Sequence[PixelMethod]:
    from retrieval.evaluation.retrieval.baselines import RawPixels
    from retrieval.evaluation.retrieval.frozen import FrozenFeatures

    return RawPixels(), FrozenFeatures.imagenet()
