"""``lesion-search import``: masks of one's own, and known collections, into an archive."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from service.commands.options import AssumeHuFlag, JsonFlag
from service.console import answer, answer_fields, answer_json, progress_bar, warn

if TYPE_CHECKING:
    from collections.abc import Callable

    from retrieval.sources.importers.masks.importing import MasksReport

COLLECTIONS = {
    "lung-nodules": "Import lung nodules of LIDC-IDRI, cut out, with 3D masks and ratings.",
    "sarcoma": "Import soft-tissue sarcomas with 3D masks.",
    "real-positions": "Import random positions in real CT, each a class of its own.",
    "pasted": "Make nodules pasted into other people's lungs.",
}
"""The importers of known collections, each with its help; a test holds them to the registry."""

SHOWN_REASONS = 20


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(
        help="Turn CT with masks of one's own, or a known collection, into an archive.",
        rich_markup_mode=None,
    )
    group.command("masks")(masks)
    for name, text in COLLECTIONS.items():
        group.command(name, help=f"{text} Run again, it goes on where it was.")(_importing(name))
    app.add_typer(group, name="import")


def masks(
    images: Annotated[
        Path,
        typer.Argument(
            help="A CT, or a folder of them: NIfTI, NRRD, MetaImage, or DICOM series in folders."
        ),
    ],
    masks: Annotated[
        Path,
        typer.Argument(
            help="Its mask, or a folder of them: NIfTI, NRRD, MetaImage, DICOM SEG or RTSTRUCT. "
            "May be the same folder."
        ),
    ],
    out: Annotated[Path, typer.Option("--out", help="The archive's folder.")],
    types: Annotated[
        str | None,
        typer.Option(
            help="What the labels mean, as 1=liver,2=skip or 'GTV=lung,*=skip', or one type for "
            "every label. Default: of unknown type."
        ),
    ] = None,
    min_mm: Annotated[
        float,
        typer.Option("--min-mm", min=0.0, help="Leave out components shorter than this."),
    ] = 2.0,
    assume_hu: AssumeHuFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Turn CT with masks of one's own into an archive: a lesion for each connected component.

    Images and masks are paired by DICOM reference, by file name (case7.nii.gz, case7_mask.nii.gz),
    or by patient folder. Run again, it goes on where it was.
    """
    from retrieval.sources.importers.masks.importing import MaskOptions, import_masks
    from retrieval.sources.importers.masks.types import LabelTypes

    chosen = LabelTypes() if types is None else LabelTypes.parse(types)
    with progress_bar("images") as progress:
        report = import_masks(
            images, masks, out, MaskOptions(chosen, min_mm, assume_hu), progress=progress
        )
    warn(report.notes)
    if as_json:
        answer_json({"archive": str(out), **report.to_json()})
    else:
        _show(report, out)


def _show(report: MasksReport, out: Path) -> None:
    from rich.table import Table

    facts = {
        "archive": str(out),
        "lesions": report.lesions,
        "patients": report.patients,
        "images already there": report.already_there,
        "left out": len(report.left_out),
    }
    answer_fields(facts, title="Imported")
    if report.left_out:
        table = Table("file", "label", "why", title="Left out", title_justify="left")
        for verdict in report.left_out[:SHOWN_REASONS]:
            table.add_row(verdict.source, verdict.label, verdict.reason)
        answer(table)
    if (hidden := len(report.left_out) - SHOWN_REASONS) > 0:
        answer(f"{hidden} more: --json prints them all")


def _importing(collection: str) -> Callable[..., None]:
    """The command of one collection."""

    def run(
        source: Annotated[Path, typer.Argument(help="The collection's folder.")],
        out: Annotated[Path, typer.Argument(help="The archive's folder.")],
        as_json: JsonFlag = False,
    ) -> None:
        from retrieval.sources.importers.registry import importer

        with progress_bar(collection) as progress:
            report = importer(collection)(source, out, progress=progress)
        written = {"archive": str(out), "rows": report.rows, "skipped": dict(report.skipped)}
        if as_json:
            answer_json(written)
        else:
            answer_fields(written, title="Imported")

    return run
