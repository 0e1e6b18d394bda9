"""The tags of a lesion as one text of its row, and as rows of ``lesion_tags``.

A given tag is its term alone, as every older program wrote it, so that the rows of an older
catalog and their checksums stay what they are. Any other tag is the list [term, probability,
source, model].
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from typing import Any

from retrieval.tag import Tag, TagSource, strongest

_SOURCES = {source.value: source for source in TagSource}


def encode(tags: Iterable[Tag]) -> str:
    """Tags as JSON, in their order."""
    return json.dumps([_value(tag) for tag in tags], ensure_ascii=False)


def decode(text: str) -> tuple[Tag, ...]:
    """The inverse of ``encode``. An older program stored a term twice; here it stands once."""
    if text == "[]":
        return ()
    tags = [_tag(value) for value in json.loads(text)]
    return strongest(tags)


def filter_rows(text: str, row: int) -> list[tuple[str, int, str]]:
    """The rows (term, row, source) of ``lesion_tags``: one for each tag that holds."""
    return [(tag.term, row, tag.source.value) for tag in decode(text) if tag.holds]


def _value(tag: Tag) -> Any:
    if tag == Tag(tag.term):
        return tag.term
    return [tag.term, tag.probability, tag.source.value, tag.model]


def _tag(value: Any) -> Tag:
    if isinstance(value, str):
        return Tag(value)
    term, probability, source, model = value
    return Tag(term, probability, _SOURCES[source], model)
