"""``lesion-search index measure``: the lesions of an index measured, kept in it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.options import IndexOption, JsonFlag
from service.console import answer, answer_fields, answer_json, progress_bar

if TYPE_CHECKING:
    from service.jobs.measuring import MeasuringReport

MeasureFlag = Annotated[
    bool,
    typer.Option(
        "--measure",
        help="Then measure every lesion: mask, diameters and volume, kept in the index. Lesions "
        "added later are measured too.",
    ),
]


def measure(
    index: IndexOption,
    archive: Annotated[
        Path | None,
        typer.Option(help="Its table tells the RECIST marks; without it boxes are measured."),
    ] = None,
    again: Annotated[
        bool, typer.Option("--again", help="Measure also what was measured before.")
    ] = False,
    readers: Annotated[int, typer.Option(min=1, help="Threads that read slices.")] = 2,
    as_json: JsonFlag = False,
) -> None:
    """Measure the lesions of an index: mask, diameters and volume with intervals, kept in it.

    Run again, it goes on where it was. Lesions added later are measured when they are added.
    """
    facts = measure_lesions(index, archive, readers, again=again).to_json()
    if as_json:
        answer_json({"index": str(index), **facts})
    else:
        answer_failures({"index": index, **facts}, "Measured")


def measure_lesions(
    folder: Path, archive: Path | None, readers: int, *, again: bool = False
) -> MeasuringReport:
    """Measures what an index has not measured yet, with a progress bar."""
    from index.lesion_index import LesionIndex
    from index.measured import declare_measuring
    from retrieval.sources.archive import open_archive
    from service.jobs.measuring import MeasuringOptions, measure_index

    marks = None if archive is None else open_archive(archive.resolve())
    options = MeasuringOptions(readers=readers, again=again)
    with LesionIndex.open(folder) as opened, progress_bar("measured") as progress:
        declare_measuring(opened)
        return measure_index(opened, marks, options=options, progress=progress)


def answer_failures(facts: dict[str, Any], title: str) -> None:
    """The counts of a job, and a table of the lesions that it left out."""
    from rich.table import Table

    failed = facts.pop("failed")
    answer_fields({**facts, "failed": len(failed)}, title=title)
    if failed:
        table = Table("lesion", "why it was left out", title="Failed", title_justify="left")
        for failure in failed:
            table.add_row(failure["lesion_id"], failure["reason"])
        answer(table)
