"""What masks measure: sizes as values of a lesion's row, and the masks themselves.

A mask is packed by whoever measured it and kept under the hash of its bytes. Lesions of the same
mask share it; it goes with the last lesion that names it.
"""

from __future__ import annotations

import hashlib
import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import lru_cache

from index.errors import CatalogError
from retrieval.lesion import Lesion
from retrieval.measured_size import MeasuredSizes

LARGEST_BYTES = 1 << 20
"""A packed mask of a large lesion takes some thousand bytes."""

Values = tuple[float | None, float | None, float | None, str | None, str | None]


def encode(measured: MeasuredSizes | None) -> Values:
    """Long and short diameter, volume, name of the mask, and everything as JSON."""
    if measured is None:
        return (None, None, None, None, None)
    everything = json.dumps(measured.to_json(), ensure_ascii=False, sort_keys=True)
    return (*measured.sizes, measured.mask, everything)


@lru_cache(maxsize=4096)
def decode(text: str | None) -> MeasuredSizes | None:
    """The measured sizes of a row; raises LesionError for a text that is none."""
    return None if text is None else MeasuredSizes.from_json(json.loads(text))


def name_of(packed: bytes) -> str:
    """The name of a packed mask: 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(packed).hexdigest()[:32]


def store_mask(connection: sqlite3.Connection, packed: bytes) -> str:
    """Keeps a mask; returns its name. Raises CatalogError for one that is too large."""
    if not 0 < len(packed) <= LARGEST_BYTES:
        raise CatalogError(f"a mask of {len(packed)} bytes: 1 to {LARGEST_BYTES} are kept")
    name = name_of(packed)
    connection.execute("INSERT OR IGNORE INTO masks VALUES (?, ?)", (name, packed))
    return name


def read_mask(connection: sqlite3.Connection, name: str) -> bytes:
    """A packed mask; raises CatalogError where it is gone or not what was kept."""
    found = connection.execute("SELECT packed FROM masks WHERE name = ?", (name,)).fetchone()
    if found is None or not isinstance(found[0], bytes) or name_of(found[0]) != name:
        raise CatalogError(
            f"the mask {name} is missing or damaged: restore the index from a backup, or measure "
            "its lesions again with `lesion-search index measure --again`"
        )
    return found[0]


def without_lost_mask(connection: sqlite3.Connection, lesion: Lesion) -> Lesion:
    """The lesion; where it names a mask that is not kept, as of another index, without the name."""
    measured = lesion.measured
    if measured is None or measured.mask is None:
        return lesion
    kept = connection.execute("SELECT 1 FROM masks WHERE name = ?", (measured.mask,)).fetchone()
    if kept is not None:
        return lesion
    return lesion.with_changes(measured=replace(measured, mask=None))


def forget_unnamed(connection: sqlite3.Connection, names: Iterable[str]) -> None:
    """Deletes those of the masks that no lesion names."""
    connection.executemany(
        "DELETE FROM masks WHERE name = ?1 AND NOT EXISTS (SELECT 1 FROM lesions WHERE mask = ?1)",
        [(name,) for name in names],
    )


def wrong(connection: sqlite3.Connection) -> Iterator[str]:
    """What does not fit between lesions and masks, a line each."""
    for (name,) in connection.execute(
        "SELECT DISTINCT mask FROM lesions WHERE mask IS NOT NULL "
        "AND mask NOT IN (SELECT name FROM masks)"
    ):
        yield f"the mask {name} that a lesion names is missing"
    for name, packed in connection.execute("SELECT name, packed FROM masks"):
        if not isinstance(packed, bytes) or name_of(packed) != name:
            yield f"the mask {name} is damaged: its hash does not fit"
