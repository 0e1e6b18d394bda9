"""``lesion-search index approximate``: the approximate form of an index, built or dropped."""

from __future__ import annotations

from typing import Annotated

import typer

from index.reports import ApproximateKind
from service.commands.options import IndexOption, JsonFlag
from service.console import answer, answer_fields, answer_json


def approximate(
    index: IndexOption,
    kind: Annotated[
        ApproximateKind | None,
        typer.Option(help="The form. Default: what suits its size and the free memory."),
    ] = None,
    drop: Annotated[bool, typer.Option("--drop", help="Go back to exact search alone.")] = False,
    as_json: JsonFlag = False,
) -> None:
    """Build the form that `--approximate` searches, and measure its recall."""
    from index.lesion_index import LesionIndex

    with LesionIndex.open(index) as opened:
        if drop:
            opened.drop_approximate()
        else:
            opened.build_approximate(kind)
        facts = opened.info().store["approximate"]
    if as_json:
        answer_json({"index": str(index), "approximate": facts})
    elif facts is None:
        answer(f"{index} has no approximate form: it is searched exactly")
    else:
        answer_fields(facts, title="Approximate form")
