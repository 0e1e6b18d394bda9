"""An exported file as an index again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from index.catalog import creation
from index.lesion_index import LesionIndex
from index.parquet import ExportedIndex


def import_index(file: Path | str, path: Path | str) -> LesionIndex:
    """The index in the folder ``path`` with every lesion and match of an exported file.

    Where ``path`` is an index of the same encoder already, the lesions are added to it: an import
    that was killed is run again.

    Raises:
        ParquetError: not an exported index.
        EncoderMismatchError: the folder holds an index of another encoder.
    """
    exported = ExportedIndex(Path(file))
    if creation.is_index(Path(path)):
        made = LesionIndex.open(path, binding=exported.binding)
    else:
        made = LesionIndex.create(path, exported.binding)
    try:
        made.add(
            replace(record, source=made.images.as_own(record.source))
            for record in exported.records()
        )
        for match in exported.matches:
            made.set_match(match.lesion_a, match.lesion_b, match.verdict)
        made.declare_marks(exported.complete_studies)
    except BaseException:
        made.close()
        raise
    return made
