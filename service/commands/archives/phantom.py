"""``lesion-search phantom``: an archive of phantom patients."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.console import answer_fields, answer_json, progress_bar


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("phantom")(phantom)


def phantom(
    out: Annotated[Path, typer.Argument(help="The archive's folder; made where it is missing.")],
    patients: Annotated[int, typer.Option(min=1, help="How many patients.")] = 60,
    seed: Annotated[int, typer.Option(min=0, help="The same seed gives the same archive.")] = 0,
    workers: Annotated[int, typer.Option(min=1, help="Processes that draw patients.")] = 1,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON document.")] = False,
) -> None:
    """Draw phantom patients with lesions and follow-up studies, in DeepLesion's layout.

    Patients already drawn are kept, so an interrupted run goes on where it was.
    """
    from retrieval.sources.archive import open_archive

    draw_phantoms(out, patients=patients, seed=seed, workers=workers)
    archive = open_archive(out)
    written = {
        "archive": str(out),
        "patients": len({lesion.patient_id for lesion in archive.lesions}),
        "studies": len({lesion.study_id for lesion in archive.lesions}),
        "lesions": len(archive.lesions),
        "seed": seed,
    }
    if as_json:
        answer_json(written)
    else:
        answer_fields(written, title="Phantom archive")


def draw_phantoms(out: Path, *, patients: int, seed: int, workers: int) -> None:
    """Writes the archive with a progress bar; goes on where an interrupted run stopped."""
    from retrieval.synthesis.phantom.archive import PhantomProgress, generate_archive

    with progress_bar("phantom patients") as report:

        def progress(state: PhantomProgress) -> None:
            report(state.patients_done, state.patients)

        generate_archive(out, patients=patients, seed=seed, progress=progress, workers=workers)
