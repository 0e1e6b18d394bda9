"""What one write transaction of an index does, and which of its own images that leaves unnamed."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from index.catalog.reader import LesionRecord
from index.catalog.writer import CatalogWriter
from index.reports import AddReport

FreedImages = set[str]
"""Names of folders of the index's own images; complete once the transaction is finished."""


def put_all(
    writer: CatalogWriter, *, batch: Sequence[LesionRecord]
) -> tuple[AddReport, FreedImages]:
    """Adds or replaces lesions."""
    for record in batch:
        writer.put(record)
    changes = writer.changes
    return AddReport(changes.added, changes.updated, changes.unchanged), changes.freed_images


def remove_all(writer: CatalogWriter, *, lesion_ids: Collection[str]) -> tuple[int, FreedImages]:
    """Removes lesions; the number is of those that were held."""
    return writer.remove(lesion_ids), writer.changes.freed_images
