"""``lesion-search evaluate growth``: forecasts on patients left out, beside their baselines."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.lesion import LesionSearchError
from service.commands.evaluation.giving import give
from service.commands.options import (
    EncoderOption,
    FoldsOption,
    JsonFlag,
    ResamplesOption,
    SeedOption,
)
from service.console import progress_bar

if TYPE_CHECKING:
    from retrieval.evaluation.growth.protocol import GrowthOptions
    from retrieval.evaluation.growth.report import GrowthReport


class GrowthOptionsError(LesionSearchError):
    """Options of ``evaluate growth`` that name no protocol."""


def growth(
    archive: Annotated[
        Path | None,
        typer.Option("--archive", help="Archive with known lesion tracks (tracks.csv)."),
    ] = None,
    dls: Annotated[
        Path | None,
        typer.Option("--dls", help="The DLS benchmark's own truth file, JSON; no pixels needed."),
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option("--table", help="With --dls: DeepLesion's DL_info.csv, for lesion types."),
    ] = None,
    table_only: Annotated[
        bool, typer.Option("--table-only", help="With --archive: no pixels, so no embeddings.")
    ] = False,
    encoder: EncoderOption = None,
    seed: SeedOption = 0,
    folds: FoldsOption = 10,
    resamples: ResamplesOption = 1000,
    out: Annotated[
        Path | None, typer.Option("--out", help="Also write the report as Markdown.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Evaluate forecasts of growth to the next study: CRPS, coverage of ranges, AUC of growth."""
    from retrieval.evaluation.growth.protocol import GrowthOptions
    from retrieval.tracking.growth.model import bundled_growth

    if (archive is None) == (dls is None):
        raise GrowthOptionsError("give either --archive, or --dls with or without --table")
    if archive is not None:
        if table is not None:
            raise GrowthOptionsError("--table belongs to --dls: an archive has its own")
        options = GrowthOptions(folds, seed, resamples, bundled_growth())
        report = _on_archive(archive, None if table_only else encoder, table_only, options)
    else:
        assert dls is not None
        if table_only or encoder is not None:
            raise GrowthOptionsError("--encoder and --table-only belong to --archive, not to --dls")
        report = _on_dls(dls, table, GrowthOptions(folds, seed, resamples))
    give(report, out, as_json=as_json)


def _on_archive(
    archive: Path, encoder: Path | None, table_only: bool, options: GrowthOptions
) -> GrowthReport:
    from retrieval.embedding.encoder import LesionEncoder
    from retrieval.evaluation.growth.archive_courses import archive_courses
    from retrieval.evaluation.growth.protocol import evaluate_growth
    from retrieval.sources.archive import open_archive

    source = open_archive(archive)
    loaded = None if table_only else LesionEncoder.load(encoder)
    with progress_bar("lesions") as progress:
        known = archive_courses(source, loaded, progress=progress)
    return evaluate_growth(
        known.courses, options, source=f"archive {source.root.name}", left_out=known.left_out
    )


def _on_dls(dls: Path, table: Path | None, options: GrowthOptions) -> GrowthReport:
    from retrieval.evaluation.growth.dls_courses import dls_courses
    from retrieval.evaluation.growth.protocol import evaluate_growth
    from retrieval.sources.archive import open_archive

    lesions = () if table is None else open_archive(table).lesions
    return evaluate_growth(dls_courses(dls, lesions), options, source=f"DLS file {dls.name}")
