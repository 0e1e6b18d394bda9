"""``lesion-search tag``: the terms of phrases, and the tags of an index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.lesion import LesionSearchError
from service.commands.options import JsonFlag
from service.console import answer, answer_json

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from retrieval.labels.text.reading import ReportTags

VocabularyOption = Annotated[
    Path | None,
    typer.Option("--vocabulary", help="A TOML file with terms of your own beside the bundled."),
]


class TagCommandError(LesionSearchError):
    """Options of ``tag`` that cannot be followed."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("tag")(tag)


def tag(
    text: Annotated[
        str | None, typer.Option("--text", help="A phrase or sentence of a report.")
    ] = None,
    text_file: Annotated[
        Path | None, typer.Option("--text-file", help="A file with one phrase or sentence a line.")
    ] = None,
    vocabulary: VocabularyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Tell which terms a report says of a lesion: stated, uncertain, denied or past."""
    if (text is None) == (text_file is None):
        raise TagCommandError("give either --text or --text-file")
    phrases = [text] if text is not None else _lines(text_file)
    from retrieval.labels.text.reading import TextReader
    from retrieval.labels.vocabulary.bundled import vocabulary as read_vocabulary

    reader = TextReader(read_vocabulary(vocabulary))
    found = [reader.read(phrase) for phrase in phrases]
    if as_json:
        answer_json({"phrases": [one.to_json() for one in found]})
    else:
        answer(_table(found))


def _lines(file: Path | None) -> list[str]:
    assert file is not None
    try:
        content = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise TagCommandError(f"{file} cannot be read as text ({error})") from error
    # splitlines would also cut at the odd separators that reports hold.
    lines = [line.rstrip("\r") for line in content.split("\n")]
    return [line for line in lines if line.strip()]


def _table(found: Sequence[ReportTags]) -> Table:
    from rich.table import Table

    table = Table(title="Terms", title_justify="left")
    for column in ("text", "relevant", "uncertain", "negated", "past"):
        table.add_column(column, overflow="fold")
    for one in found:
        lists = (one.relevant, one.uncertain, one.negated, one.past)
        table.add_row(one.text, *(", ".join(terms) for terms in lists))
    return table
