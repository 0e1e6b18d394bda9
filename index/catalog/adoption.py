"""An older index's own images under the name that they have today.

Until schema version 5 a catalog named the folder of its own images by its absolute path, which
was wrong once the index was moved or copied.
"""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

from index.catalog.reader import CatalogReader, LesionRecord
from index.catalog.writer import CatalogWriter
from index.own_images import FOLDER, OWN_ARCHIVE, own_name


def adopt_images(connection: sqlite3.Connection, folder: Path) -> int:
    """Gives lesions their new archive whose pixels lie in the index's folder; returns how many.

    Works within the caller's write transaction. Pixels of another index stay what they are to
    this one: an archive.
    """
    reader, writer = CatalogReader(connection), CatalogWriter(connection)
    rows = reader.rows_where("archive LIKE ?", (f"%/{FOLDER}",))
    adopted = [
        replace(record, source=replace(record.source, archive=OWN_ARCHIVE))
        for record in reader.records_of_rows(rows)
        if is_kept_in(folder, record)
    ]
    for record in adopted:
        writer.put(record)
    writer.finish()
    return len(adopted)


def is_kept_in(folder: Path, record: LesionRecord) -> bool:
    """Whether a lesion's image is one that the index in ``folder`` made and holds."""
    image = record.source.image
    return own_name(OWN_ARCHIVE, image) is not None and (folder / FOLDER / image).is_file()
