"""``lesion-search tag``: the terms of phrases, and the tags of an index."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.lesion import LesionSearchError
from service.commands.options import JsonFlag, VocabularyOption
from service.console import answer, answer_fields, answer_json, progress_bar, warn

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from retrieval.labels.appearance.weights_file import TagHead
    from retrieval.labels.text.reading import ReportTags


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
    index: Annotated[
        Path | None, typer.Option("--index", help="Predict the tags of this index's lesions.")
    ] = None,
    head: Annotated[
        Path | None,
        typer.Option(
            help="A head of `train tags`. Default: the bundled one, if it fits the index."
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(help="LesaNet's label file: its tags go into --index instead."),
    ] = None,
    table: Annotated[
        Path | None, typer.Option(help="The full DL_info.csv whose rows --labels names.")
    ] = None,
    lesion: Annotated[
        str | None, typer.Option(help="Correct one term of this lesion of --index.")
    ] = None,
    term: Annotated[str | None, typer.Option(help="The term to correct.")] = None,
    holds: Annotated[
        str | None,
        typer.Option(
            help="The reader's annotation: yes, no, or forget. It overrides predictions, and "
            "is kept."
        ),
    ] = None,
    vocabulary: VocabularyOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Tell which terms a report says of a lesion, or tag the lesions of an index.

    Of a phrase: terms that are stated, uncertain, denied or past. With --index: body parts from
    type and position, and terms of the image; or the labels of reports; or a reader's correction.
    """
    if sum(one is not None for one in (text, text_file, index)) != 1:
        raise TagCommandError("give one of --text, --text-file and --index")
    if index is None:
        _tell_phrases([str(text)] if text is not None else _lines(text_file), vocabulary, as_json)
        return
    if lesion is not None:
        document = _corrected(index, lesion, (term, holds), vocabulary)
    elif (labels is None) != (table is None):
        raise TagCommandError(
            "--labels needs --table, the full DL_info.csv, and the other way round"
        )
    else:
        document = _tagged(index, head, (labels, table), vocabulary)
    if as_json:
        answer_json(document)
    else:
        answer_fields(document, title="Tags")


def _tell_phrases(phrases: list[str], vocabulary: Path | None, as_json: bool) -> None:
    from retrieval.labels.text.reading import TextReader
    from retrieval.labels.vocabulary.bundled import vocabulary as read_vocabulary

    reader = TextReader(read_vocabulary(vocabulary))
    found = [reader.read(phrase) for phrase in phrases]
    if as_json:
        answer_json({"phrases": [one.to_json() for one in found]})
    else:
        answer(_table(found))


def _tagged(
    folder: Path,
    head: Path | None,
    labels: tuple[Path | None, Path | None],
    vocabulary: Path | None,
) -> dict[str, Any]:
    from index.lesion_index import LesionIndex
    from retrieval.labels.vocabulary.bundled import vocabulary as read_vocabulary
    from service.jobs.tagging import import_labels, tag_index

    terms = read_vocabulary(vocabulary)
    with LesionIndex.open(folder) as index, progress_bar("lesions") as progress:
        if labels[0] is not None and labels[1] is not None:
            return import_labels(index, labels[0], labels[1], terms).to_json()
        chosen = _head(head, index.binding.fingerprint)
        report = tag_index(index, chosen, terms, progress)
        named = None if chosen is None else chosen.name
        return {"head": named, **report.to_json()}


def _head(file: Path | None, encoder: str) -> TagHead | None:
    """The head of a file; the bundled one only where it reads the index's vectors."""
    from retrieval.labels.appearance.weights_file import BUNDLED_HEAD, TagHead

    if file is None and not BUNDLED_HEAD.is_file():
        return None
    head = TagHead.load(file or BUNDLED_HEAD)
    if file is None and head.encoder != encoder:
        warn(
            [
                f"the bundled head of tags reads vectors of encoder {head.encoder}, the index "
                f"holds those of {encoder}: only body parts are tagged; train a head with "
                "`lesion-search train tags`"
            ]
        )
        return None
    return head


def _corrected(
    folder: Path, lesion: str, said: tuple[str | None, str | None], vocabulary: Path | None
) -> dict[str, Any]:
    from index.lesion_index import LesionIndex
    from index.tags import correct_tag
    from retrieval.labels.vocabulary.bundled import vocabulary as read_vocabulary

    term, holds = said
    if term is None or holds not in _WORDS:
        raise TagCommandError("--lesion needs --term and --holds yes, no or forget")
    named = read_vocabulary(vocabulary).named(term).name
    with LesionIndex.open(folder) as index:
        return correct_tag(index, lesion, named, _WORDS[holds]).to_json()


_WORDS = {"yes": True, "no": False, "forget": None}


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
