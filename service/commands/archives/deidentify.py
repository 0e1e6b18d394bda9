"""``lesion-search deidentify``: DICOM CT without its patients, under pseudonyms."""

from __future__ import annotations

import json
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from retrieval.lesion import LesionSearchError
from service.commands.options import JsonFlag
from service.console import answer, answer_fields, answer_json, progress_bar, say

if TYPE_CHECKING:
    from service.deid.folder import FileVerdict
    from service.deid.pseudonyms import PseudonymKey


class DeidentifyCommandError(LesionSearchError):
    """Options of ``deidentify`` that do not go together."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("deidentify")(deidentify)


def deidentify(
    source: Annotated[
        Path | None, typer.Argument(help="A folder of DICOM files, or one file.")
    ] = None,
    out: Annotated[Path | None, typer.Argument(help="The folder to write to.")] = None,
    key: Annotated[
        Path | None, typer.Option(help="The file with the secret key of the pseudonyms.")
    ] = None,
    new_key: Annotated[
        Path | None, typer.Option(help="Make a key in this new file, and do nothing else.")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="Also write one JSON line a file here; outside OUT.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Copy CT images with an allow-list of attributes; ids become pseudonyms, dates move.

    Run again, it goes on where it was. Everything else a file holds is dropped, and images with
    burned-in text are refused; what became of each file is told.
    """
    from service.deid.pseudonyms import PseudonymKey

    if new_key is not None:
        PseudonymKey.create(new_key)
        say(f"key: {new_key} (keep it secret and keep it: without it no name comes out again)")
        return
    if source is None or out is None or key is None:
        raise DeidentifyCommandError("give SOURCE, OUT and --key FILE, or --new-key FILE alone")
    if report is not None and report.resolve().is_relative_to(out.resolve()):
        raise DeidentifyCommandError(
            f"--report {report} lies in {out}: it names the source's files, which may name "
            "patients; write it elsewhere"
        )
    verdicts, counts = _run((source, out), PseudonymKey.load(key), report)
    if as_json:
        answer_json({"files": [verdict.to_json() for verdict in verdicts], "counts": counts})
        return
    _show(verdicts)
    answer_fields(counts, title="De-identified")


def _run(
    folders: tuple[Path, Path], key: PseudonymKey, report: Path | None
) -> tuple[list[FileVerdict], dict[str, int]]:
    from service.deid.folder import count, deidentify_folder

    verdicts: list[FileVerdict] = []
    with ExitStack() as stack:
        progress = stack.enter_context(progress_bar("deidentify"))
        lines = None if report is None else stack.enter_context(report.open("a", encoding="utf-8"))

        def keep(verdict: FileVerdict) -> None:
            verdicts.append(verdict)
            if lines is not None:
                lines.write(json.dumps(verdict.to_json()) + "\n")
                lines.flush()

        counts = count(deidentify_folder(*folders, key, progress=progress), keep)
    return verdicts, counts


def _show(verdicts: list[FileVerdict]) -> None:
    """Refused and flagged files, each with its reason; written ones need no line."""
    told = [verdict for verdict in verdicts if verdict.reason or verdict.flags]
    if not told:
        return
    table = Table(title="Refused or to be looked at", title_justify="left")
    for name in ("file", "verdict", "why"):
        table.add_column(name, overflow="fold")
    for verdict in told:
        table.add_row(
            verdict.source, verdict.verdict.value, verdict.reason or "; ".join(verdict.flags)
        )
    answer(table)
