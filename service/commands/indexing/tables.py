"""``lesion-search index export`` and ``index import``: an index as a Parquet table."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import IndexOption, JsonFlag
from service.console import answer, answer_json


def export(
    index: IndexOption,
    out: Annotated[Path, typer.Option("--out", help="A .parquet file.")],
    as_json: JsonFlag = False,
) -> None:
    """Write every lesion with its vector as a Parquet table."""
    from index.lesion_index import LesionIndex

    with LesionIndex.open(index, read_only=True) as opened:
        written = opened.export(out)
    if as_json:
        answer_json({"file": str(out), "lesions": written})
    else:
        answer(f"{written} lesions written to {out}")


def import_(
    file: Annotated[Path, typer.Argument(help="A .parquet file that `index export` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="The new index's folder.")],
    as_json: JsonFlag = False,
) -> None:
    """Make an index of an exported Parquet table."""
    from index.parquet.importing import import_index

    with import_index(file, out) as opened:
        held = opened.count()
    if as_json:
        answer_json({"index": str(out), "lesions": held})
    else:
        answer(f"{held} lesions imported to {out}")
