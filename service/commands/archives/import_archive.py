"""``lesion-search import``: other collections into an archive of DeepLesion's layout."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrieval.lesion import LesionSearchError
from service.commands.options import JsonFlag
from service.console import answer_fields, answer_json, progress_bar


class UnknownCollectionError(LesionSearchError):
    """A collection that no importer reads."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("import")(import_archive)


def import_archive(
    collection: Annotated[
        str, typer.Argument(help="lung-nodules, sarcoma, real-positions or pasted.")
    ],
    source: Annotated[Path, typer.Argument(help="The collection's folder.")],
    out: Annotated[Path, typer.Argument(help="The archive's folder.")],
    as_json: JsonFlag = False,
) -> None:
    """Turn another collection of CT into an archive. Run again, it goes on where it was."""
    from retrieval.sources.importers.registry import IMPORTERS

    if collection not in IMPORTERS:
        raise UnknownCollectionError(
            f"collection {collection!r} is unknown: one of {', '.join(sorted(IMPORTERS))}"
        )
    with progress_bar(collection) as progress:
        report = IMPORTERS[collection](source, out, progress=progress)
    written = {"archive": str(out), "rows": report.rows, "skipped": dict(report.skipped)}
    if as_json:
        answer_json(written)
    else:
        answer_fields(written, title="Imported")
