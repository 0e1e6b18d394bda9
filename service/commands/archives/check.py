"""``lesion-search check``: what is in an archive and what is wrong with it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from service.commands.options import JsonFlag
from service.console import answer, answer_fields, answer_json, progress_bar, say

if TYPE_CHECKING:
    from retrieval.sources.archive_report import ArchiveReport

SHOWN_PROBLEMS = 20
SHOWN_LESIONS = 12


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("check")(check)


def check(
    archive: Annotated[Path, typer.Argument(help="An archive in DeepLesion's layout.")],
    tables_only: Annotated[
        bool, typer.Option("--tables-only", help="Look for the images, but decode none.")
    ] = False,
    figure: Annotated[
        Path | None,
        typer.Option(help="Also draw a contact sheet of 12 lesions drawn at random: .png."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Report an archive's lesions per split, type and patient, and every bad row with its line."""
    from retrieval.sources.archive import check_archive

    with progress_bar("slices") as progress:
        report = check_archive(archive, read_images=not tables_only, progress=progress)
    if figure is not None:
        _draw(archive, figure)
    if as_json:
        answer_json(report.to_json())
    else:
        _show(report)


def _draw(archive: Path, figure: Path) -> None:
    from retrieval.sources.archive import open_archive
    from service.figures.contact_sheet import contact_sheet

    contact_sheet(open_archive(archive), figure, count=SHOWN_LESIONS, seed=0)
    say(f"figure: {figure}")


def _show(report: ArchiveReport) -> None:
    facts = {
        "rows": f"{report.rows}, {report.sound_rows} sound",
        "patients": report.patients,
        "studies": report.studies,
        "series": report.series,
        "lesions per split": report.lesions_per_split,
        "lesions per type": report.lesions_per_type,
        "slices": f"{report.slices_found} on disk of {report.slices_expected} in the sub-volumes",
        "unknown values": report.missing_values,
        "tracks": f"{report.tracks} over {report.lesions_on_tracks} lesions",
        "patients in several splits": list(report.patients_in_several_splits) or "none",
        "unusual": "; ".join(report.notes) or "nothing",
        "problems": report.problems_per_reason or "none",
    }
    answer_fields(facts, title=report.archive)
    if report.problems:
        table = Table("line", "file", "reason", "what", title="Bad rows", title_justify="left")
        for problem in report.problems[:SHOWN_PROBLEMS]:
            table.add_row(
                str(problem.line), problem.file_name, problem.reason.value, problem.detail
            )
        answer(table)
    hidden = len(report.problems) - SHOWN_PROBLEMS
    if hidden > 0:
        answer(f"{hidden} more: --json prints them all")
