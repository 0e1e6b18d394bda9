"""Tags added to indexed lesions, and a reader's corrections, which win and are kept."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from functools import partial

from index.catalog.reader import LesionRecord
from index.catalog.writer import CatalogWriter
from index.lesion_index import ADD_BATCH, LesionIndex
from retrieval.lesion import Lesion
from retrieval.tag import Tag, TagSource, strongest


def add_tags(
    index: LesionIndex,
    tags: Mapping[str, Sequence[Tag]],
    *,
    replacing: Collection[TagSource] = (),
) -> int:
    """Adds tags to lesions by their ids; returns how many lesions changed.

    A lesion's earlier tags of the sources ``replacing`` are dropped. Of two tags of one term that
    of the stronger source stays: a reader's, a given one, a report's, a prediction. Unknown ids
    are left out.
    """
    changed = 0
    waiting = iter(tags.items())
    while batch := dict(itertools.islice(waiting, ADD_BATCH)):
        changed += index.write(partial(_add, tags=batch, replacing=replacing))
    return changed


def correct_tag(index: LesionIndex, lesion_id: str, term: str, holds: bool | None) -> Lesion:
    """Keeps a reader's word on a term of a lesion; None takes it back. Returns the lesion.

    What another source said before the correction is not brought back: tag again.

    Raises UnknownLesionError.
    """
    index.get(lesion_id)
    index.write(partial(_correct, lesion_id=lesion_id, term=term, holds=holds))
    return index.get(lesion_id).lesion


def _add(
    writer: CatalogWriter,
    *,
    tags: Mapping[str, Sequence[Tag]],
    replacing: Collection[TagSource] = (),
) -> int:
    changed = 0
    for record in writer.reader.records(list(tags)):
        lesion = record.lesion
        kept = [tag for tag in lesion.tags if tag.source not in replacing]
        merged = strongest([*kept, *tags[lesion.lesion_id]])
        if set(merged) != set(lesion.tags):
            writer.put(_tagged(record, merged))
            changed += 1
    return changed


def _correct(writer: CatalogWriter, *, lesion_id: str, term: str, holds: bool | None) -> bool:
    found = writer.reader.records([lesion_id])
    if not found:
        return False
    record = found[0]
    others = [tag for tag in record.lesion.tags if tag.term != term]
    own = [tag for tag in record.lesion.tags if tag.term == term]
    if holds is None:
        wanted = [*others, *(tag for tag in own if tag.source is not TagSource.READER)]
    else:
        wanted = [*others, Tag(term, 1.0 if holds else 0.0, TagSource.READER)]
    if set(wanted) == set(record.lesion.tags):
        return False
    writer.put(_tagged(record, wanted), keeps_reader=False)
    return True


def _tagged(record: LesionRecord, tags: Sequence[Tag]) -> LesionRecord:
    return replace(record, lesion=record.lesion.with_changes(tags=tuple(tags)))
