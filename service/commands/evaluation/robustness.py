"""``lesion-search evaluate robustness``: vectors on worse scans, beside frozen features."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrieval.lesion import Split
from service.commands.evaluation.giving import give_retrieval, signed
from service.commands.options import (
    ArchiveOption,
    EncoderOption,
    JsonFlag,
    ResamplesOption,
    SeedOption,
    parse_splits,
)
from service.console import progress_bar


def robustness(
    archive: ArchiveOption,
    encoder: EncoderOption = None,
    split: Annotated[
        str,
        typer.Option(help="Whose lesions are queries: train, val, test, several, or all."),
    ] = Split.TEST.value,
    queries: Annotated[int, typer.Option(min=1, help="Largest number of query lesions.")] = 120,
    seed: SeedOption = 0,
    resamples: ResamplesOption = 1000,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the report as Markdown.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Evaluate finding a lesion again on a worse scan: noise, dose, kernel, metal, thickness, box.

    Every step is named with its unit; recall@1 and cosine stand beside frozen ImageNet features.
    """
    from retrieval.embedding.external.opening import open_encoder
    from retrieval.evaluation.retrieval.frozen import FrozenFeatures
    from retrieval.evaluation.retrieval.pixels import EncoderMethod
    from retrieval.evaluation.retrieval.robustness import RobustnessOptions, evaluate_robustness
    from retrieval.sources.archive import open_archive

    loaded = open_encoder(encoder)
    mine = EncoderMethod(loaded.name, lambda patches: loaded.embed(patches).vectors, loaded.spec)
    with progress_bar("lesions") as progress:
        options = RobustnessOptions(parse_splits(split), queries, seed, resamples, progress)
        methods = (FrozenFeatures.imagenet(), mine)
        report = evaluate_robustness(open_archive(archive), methods, loaded.name, options)
    give_retrieval(signed(report, loaded), out, as_json=as_json)
