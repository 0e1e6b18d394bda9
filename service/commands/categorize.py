"""``lesion-search categorize``: classes of an index's lesions, found without labels."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.options import IndexOption, JsonFlag, SeedOption
from service.console import answer, answer_json, progress_bar, say

if TYPE_CHECKING:
    from rich.table import Table

    from index.lesion_index import LesionIndex
    from retrieval.labels.categories.file import CategoryFile


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("categorize")(categorize)


def categorize(
    index: IndexOption,
    out: Annotated[Path, typer.Option(help="Where categories.json goes.")],
    count: Annotated[
        int | None,
        typer.Option(
            "--count",
            min=2,
            max=200,
            help="Number of categories. Default: the largest whose prediction strength between "
            "halves of the patients is at least 0.8.",
        ),
    ] = None,
    rounds: Annotated[int, typer.Option(min=1, max=50, help="Largest number of rounds.")] = 8,
    location: Annotated[
        float,
        typer.Option(
            min=0.0, max=10.0, help="Weight of the body position; that of the embedding is 1."
        ),
    ] = 0.0,
    archive: Annotated[
        list[Path] | None,
        typer.Option(
            help="An archive whose tracks.csv says which lesions are one; may be given again."
        ),
    ] = None,
    seed: SeedOption = 0,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Write the file alone, leave the index as it is.")
    ] = False,
    figure: Annotated[
        Path | None,
        typer.Option(help="Also draw categories with their tree: .png, .svg or .pdf."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Find categories of an index's lesions without labels, and keep them in the index.

    Lesions are clustered. A network learns the clusters and predicts those of the patients that it
    was not trained on. Its predictions are clustered again, until little changes. A category is
    named where its lesions of known type agree.
    """
    from index.lesion_index import LesionIndex
    from retrieval.labels.categories.features import FeatureWeights
    from retrieval.labels.categories.rounds import LoopOptions
    from retrieval.sources.archive import open_archive
    from service.jobs.categories import categorise, keep, tracks_of

    tracks = None if not archive else tracks_of([open_archive(one) for one in archive])
    with LesionIndex.open(index, read_only=dry_run) as opened, progress_bar("rounds") as progress:
        found = categorise(
            opened,
            LoopOptions(count, rounds, seed),
            tracks=tracks,
            parts=FeatureWeights(location=location),
            report=lambda step: progress(step.number, rounds),
        )
        found.write(out)
        changed = 0 if dry_run else keep(opened, found)
        if figure is not None:
            _draw(opened, found, figure)
    if as_json:
        fields = found.to_json()
        kept = ("encoder", "categories", "tree", "rounds", "settled", "strengths", "seed")
        answer_json({"out": str(out), "changed": changed, **{key: fields[key] for key in kept}})
    else:
        answer(*_tables(found), _ending(found, changed))


def _draw(index: LesionIndex, found: CategoryFile, path: Path) -> None:
    from service.figures.categories.sheet import draw_categories
    from service.figures.pictures import LesionPictures
    from service.figures.query import save_figure
    from service.jobs.categories import read_lesions

    lesions = read_lesions(index).lesions
    save_figure(draw_categories(found, lesions, LesionPictures(index)), path)
    say(f"figure: {path}")


def _tables(found: CategoryFile) -> tuple[Table, Table]:
    from rich.table import Table

    from service.jobs.categories import order_of_tree

    table = Table(title="Categories", title_justify="left")
    for column in ("category", "name", "tracks", "share of its type", "typed", "tags"):
        table.add_column(column)
    for key in order_of_tree(found):
        one = found.names[key]
        share = f"{one.share:.2f}" if one.typed_tracks else "-"
        table.add_row(
            key, one.name, str(one.tracks), share, str(one.typed_tracks), ", ".join(one.tags)
        )
    steps = Table(title="Rounds: agreement with the round before", title_justify="left")
    for column in ("round", "NMI", "purity"):
        steps.add_column(column)
    for step in found.rounds:
        steps.add_row(str(step.number), f"{step.nmi:.3f}", f"{step.purity:.3f}")
    return table, steps


def _ending(found: CategoryFile, changed: int) -> str:
    ended = "settled" if found.settled else "not settled: the last round ended it"
    return f"{ended}; {changed} lesions changed in the index"
