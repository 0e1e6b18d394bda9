"""What the commands share: the answer goes to stdout, everything else to stderr."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from retrieval.progress import ReportProgress

if TYPE_CHECKING:
    from rich.table import Table

PIPE_WIDTH = 160
"""Columns of a table that is written to a file or a pipe, which have no width of their own."""


def answer_json(document: Mapping[str, Any]) -> None:
    """Prints one JSON document on stdout; NaN is a defect and raises ValueError."""
    sys.stdout.write(json.dumps(document, indent=2, allow_nan=False) + "\n")


def answer(*parts: Table | str) -> None:
    """Prints tables and lines of text on stdout."""
    from rich.console import Console

    console = Console(width=None if sys.stdout.isatty() else PIPE_WIDTH, highlight=False)
    for part in parts:
        console.print(part, markup=False) if isinstance(part, str) else console.print(part)


def answer_fields(fields: Mapping[str, Any], *, title: str) -> None:
    """Prints names and values as a table of two columns."""
    from rich.table import Table

    table = Table(title=title, title_justify="left", show_header=False)
    table.add_column(style="bold")
    table.add_column(overflow="fold")
    for name, value in fields.items():
        table.add_row(name.replace("_", " "), _as_text(value))
    answer(table)


def say(text: str) -> None:
    """One line for the user on stderr."""
    sys.stderr.write(text + "\n")


def warn(warnings: Iterable[str | None]) -> None:
    """Each warning once on stderr; None says nothing."""
    for warning in dict.fromkeys(warnings):
        if warning is not None:
            say(f"warning: {warning}")


@contextmanager
def progress_bar(description: str) -> Iterator[ReportProgress]:
    """A bar on stderr for as long as the job runs; silent where stderr is no terminal."""
    from rich.console import Console
    from rich.progress import (
        BarColumn,
        MofNCompleteColumn,
        Progress,
        TextColumn,
        TimeElapsedColumn,
        TimeRemainingColumn,
    )

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        TimeRemainingColumn(),
    )
    console = Console(stderr=True)
    with Progress(*columns, console=console, disable=not console.is_terminal) as progress:
        task = progress.add_task(description, total=None)

        def report(done: int, total: int) -> None:
            progress.update(task, completed=done, total=total)

        yield report


def _as_text(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_as_text(inner)}" for name, inner in value.items())
    if isinstance(value, list | tuple):
        return ", ".join(_as_text(inner) for inner in value)
    return "none" if value is None else str(value)
