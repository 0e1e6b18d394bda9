"""The catalog's tables, and the steps that bring an older catalog forward.

A row of ``lesions`` never changes: an update removes the row and inserts another under a new
number. Row numbers only grow and are never given twice, so whoever knows the last row and the
generation it has seen finds everything since: rows above that number, and the ``removals`` of
later generations. That pair of tables is the change log FAISS is replayed from.
"""

from __future__ import annotations

import sqlite3

from index.errors import CatalogError

APPLICATION_ID = 0x4C534958
"""SQLite's application_id of a lesion index: the letters LSIX."""

_FIRST = (
    """CREATE TABLE index_state (
        id INTEGER PRIMARY KEY CHECK (id = 1),
        generation INTEGER NOT NULL,
        lesion_count INTEGER NOT NULL,
        fingerprint TEXT NOT NULL,
        encoder_name TEXT NOT NULL,
        dimension INTEGER NOT NULL,
        patch_spec TEXT NOT NULL,
        checksum INTEGER NOT NULL
    )""",
    """CREATE TABLE lesions (
        row INTEGER PRIMARY KEY AUTOINCREMENT,
        lesion_id TEXT NOT NULL UNIQUE,
        patient_id TEXT NOT NULL,
        study_id TEXT NOT NULL,
        series_id TEXT NOT NULL,
        key_slice_index INTEGER NOT NULL,
        x1 REAL NOT NULL, y1 REAL NOT NULL, x2 REAL NOT NULL, y2 REAL NOT NULL,
        long_mm REAL, short_mm REAL,
        location_x REAL, location_y REAL, location_z REAL,
        lesion_type TEXT NOT NULL,
        split TEXT NOT NULL,
        study_date TEXT,
        tags TEXT NOT NULL,
        archive TEXT NOT NULL,
        image TEXT NOT NULL,
        spacing_x_mm_px REAL NOT NULL, spacing_y_mm_px REAL NOT NULL,
        slice_interval_mm REAL NOT NULL,
        checksum INTEGER NOT NULL
    )""",
    """CREATE UNIQUE INDEX lesions_natural_key ON lesions
        (patient_id, study_id, series_id, key_slice_index, x1, y1, x2, y2)""",
    """CREATE TABLE vectors (
        row INTEGER PRIMARY KEY, vector BLOB NOT NULL, checksum INTEGER NOT NULL
    )""",
    "CREATE TABLE removals (row INTEGER PRIMARY KEY, generation INTEGER NOT NULL)",
    "CREATE INDEX removals_generation ON removals (generation)",
    """CREATE TABLE snapshots (
        file TEXT PRIMARY KEY,
        kind TEXT NOT NULL,
        generation INTEGER NOT NULL,
        last_row INTEGER NOT NULL,
        lesion_count INTEGER NOT NULL,
        bytes INTEGER NOT NULL,
        checksum INTEGER NOT NULL,
        facts TEXT NOT NULL
    )""",
)

_MATCHES = (
    """CREATE TABLE matches (
        lesion_a TEXT NOT NULL,
        lesion_b TEXT NOT NULL,
        verdict TEXT NOT NULL CHECK (verdict IN ('confirmed', 'rejected')),
        PRIMARY KEY (lesion_a, lesion_b),
        CHECK (lesion_a < lesion_b)
    )""",
    "CREATE INDEX matches_lesion_b ON matches (lesion_b)",
)

_FILTER_INDEXES = (
    "CREATE TABLE lesion_tags (tag TEXT NOT NULL, row INTEGER NOT NULL, PRIMARY KEY (tag, row)) "
    "WITHOUT ROWID",
    "INSERT INTO lesion_tags SELECT DISTINCT json_each.value, lesions.row "
    "FROM lesions, json_each(lesions.tags)",
    "CREATE INDEX lesion_tags_row ON lesion_tags (row)",
    "CREATE INDEX lesions_type ON lesions (lesion_type)",
    "CREATE INDEX lesions_study ON lesions (study_id)",
)

# Random, and copied with the folder: a server elsewhere knows by it whose vectors it holds.
_IDENTITY = (
    "CREATE TABLE index_identity (id INTEGER PRIMARY KEY CHECK (id = 1), name TEXT NOT NULL)",
    "INSERT INTO index_identity VALUES (1, lower(hex(randomblob(16))))",
)

# NULL where the location was given, and where the lesion was indexed before there was a hash.
_ESTIMATES_AND_PIXELS = (
    "ALTER TABLE lesions ADD COLUMN location_error_x REAL",
    "ALTER TABLE lesions ADD COLUMN location_error_y REAL",
    "ALTER TABLE lesions ADD COLUMN location_error_z REAL",
    "ALTER TABLE lesions ADD COLUMN pixel_hash TEXT",
    "CREATE INDEX lesions_pixel_hash ON lesions (pixel_hash) WHERE pixel_hash IS NOT NULL",
    "CREATE INDEX lesions_own_image ON lesions (image) WHERE archive = 'index:added'",
)

_COMPLETE_STUDIES = (
    "CREATE TABLE complete_studies (patient_id TEXT NOT NULL, study_id TEXT NOT NULL, "
    "PRIMARY KEY (patient_id, study_id)) WITHOUT ROWID",
)

# An older program's tags were all given. The table of tags holds those that a filter finds.
_TAG_SOURCES_AND_CATEGORIES = (
    "ALTER TABLE lesion_tags ADD COLUMN source TEXT NOT NULL DEFAULT 'given'",
    "ALTER TABLE lesions ADD COLUMN category TEXT",
    "ALTER TABLE lesions ADD COLUMN category_confidence REAL",
    "CREATE INDEX lesions_category ON lesions (category) WHERE category IS NOT NULL",
    "CREATE INDEX lesion_tags_source ON lesion_tags (source, row)",
)

# What masks measure: numbers that a filter asks for, all of it as JSON, and the masks themselves by
# the hash of their bytes. NULL where a lesion was not measured.
_MEASURED_SIZES = (
    "ALTER TABLE lesions ADD COLUMN measured_long_mm REAL",
    "ALTER TABLE lesions ADD COLUMN measured_short_mm REAL",
    "ALTER TABLE lesions ADD COLUMN volume_mm3 REAL",
    "ALTER TABLE lesions ADD COLUMN mask TEXT",
    "ALTER TABLE lesions ADD COLUMN measured TEXT",
    "CREATE INDEX lesions_volume ON lesions (volume_mm3) WHERE volume_mm3 IS NOT NULL",
    "CREATE INDEX lesions_mask ON lesions (mask) WHERE mask IS NOT NULL",
    "CREATE TABLE masks (name TEXT PRIMARY KEY, packed BLOB NOT NULL)",
    "CREATE TABLE index_settings (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
)

# What following a lesion in a series answered, as JSON of ``retrieval.tracking.searched``.
_SEARCHES = (
    "CREATE TABLE searches (lesion_id TEXT NOT NULL, study_id TEXT NOT NULL, "
    "series TEXT NOT NULL, answer TEXT NOT NULL, "
    "PRIMARY KEY (lesion_id, study_id, series)) WITHOUT ROWID",
)

MIGRATIONS: tuple[tuple[str, ...], ...] = (
    _FIRST,
    _MATCHES,
    _FILTER_INDEXES,
    _IDENTITY,
    _ESTIMATES_AND_PIXELS,
    _COMPLETE_STUDIES,
    _TAG_SOURCES_AND_CATEGORIES,
    _MEASURED_SIZES,
    _SEARCHES,
)
"""Step n brings a catalog from schema version n to n + 1. Steps are added, never edited."""

OWN_IMAGES_SINCE = 5
"""Earlier versions named the folder of an index's own images by its path."""

SCHEMA_VERSION = len(MIGRATIONS)
"""The version this program writes."""


def schema_version(connection: sqlite3.Connection) -> int:
    """The version a catalog stands at; raises CatalogError if the file is not a catalog."""
    if connection.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
        raise CatalogError(
            "the file is a database but not a lesion index: build one with `lesion-search index "
            "build --archive A --out I`"
        )
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if not 1 <= version <= SCHEMA_VERSION:
        raise CatalogError(
            f"the index has schema version {version}, this program knows 1 to {SCHEMA_VERSION}: "
            "install the lesion-search that wrote it, or a newer one"
        )
    return version


def migrate(connection: sqlite3.Connection, *, start: int, end: int = SCHEMA_VERSION) -> None:
    """Runs steps ``start`` to ``end`` inside the caller's transaction."""
    for step in MIGRATIONS[start:end]:
        for statement in step:
            connection.execute(statement)
    # A pragma takes no parameters; both numbers are this module's own integers.
    connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    connection.execute(f"PRAGMA user_version = {end}")
