"""Index folders: made whole or not at all, and opened only if they are sound and fit."""

from __future__ import annotations

import shutil
import sqlite3
import uuid
from contextlib import closing
from pathlib import Path

from index.catalog import schema
from index.catalog.adoption import adopt_images
from index.catalog.connections import (
    CHECK_ON_OPEN_BYTES,
    Connections,
    create_file,
    damage,
    damaged,
    translated,
)
from index.catalog.reader import CatalogReader, EncoderBinding
from index.catalog.writer import write_state
from index.errors import CatalogError, EncoderMismatchError, StorageError
from index.files import PRIVATE_FOLDER, sync_folder

CATALOG = "catalog.sqlite"
"""The catalog's file in an index folder."""


def is_index(folder: Path) -> bool:
    """Whether a folder holds a catalog."""
    return (folder / CATALOG).is_file()


def create_folder(folder: Path, binding: EncoderBinding) -> None:
    """Makes an index folder with an empty catalog.

    It is built beside its place and moved there, so that a kill leaves no half of an index. It
    is its owner's alone: folder 0700, files 0600.

    Raises:
        CatalogError: the folder exists and holds something, or the binding cannot be.
        StorageError: the folder cannot be written.
    """
    if binding.dimension < 1:
        raise CatalogError(f"an index of {binding.dimension} numbers a vector cannot be: 1 or more")
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise CatalogError(
            f"{folder} exists and is not empty: choose another folder, or open the index in it"
        )
    building = folder.parent / f".{folder.name}-{uuid.uuid4().hex[:8]}"
    try:
        building.parent.mkdir(parents=True, exist_ok=True)
        building.mkdir(mode=PRIVATE_FOLDER)
        with translated(building / CATALOG), closing(create_file(building / CATALOG)) as connection:
            connection.execute("BEGIN IMMEDIATE")
            schema.migrate(connection, start=0)
            write_state(connection, binding, generation=0, lesion_count=0)
            connection.execute("COMMIT")
        sync_folder(building)
        building.rename(folder)
        sync_folder(folder.parent)
    except OSError as error:
        raise StorageError(
            f"the index {folder} cannot be made ({error}): check the folder's permissions and the "
            "space left"
        ) from error
    finally:
        shutil.rmtree(building, ignore_errors=True)


def open_catalog(
    folder: Path,
    *,
    binding: EncoderBinding | None,
    read_only: bool,
    write_timeout_s: float,
) -> Connections:
    """Connections to a folder's catalog, after every check; see ``LesionIndex.open``."""
    path = folder / CATALOG
    if not path.is_file():
        raise CatalogError(
            f"{folder} is not a lesion index, {CATALOG} is missing: build one with "
            f"`lesion-search index build --archive A --out {folder}`"
        )
    is_large = path.stat().st_size > CHECK_ON_OPEN_BYTES
    connections = Connections(path, read_only=read_only, write_timeout_s=write_timeout_s)
    try:
        with connections.reading() as connection:
            version = schema.schema_version(connection)
            if not is_large:
                _refuse_damage(connection, path)
        if version < schema.SCHEMA_VERSION:
            _bring_forward(connections, folder)
        with connections.reading() as connection:
            if binding is not None:
                _refuse_other_encoder(CatalogReader(connection).binding(), binding, folder)
        if is_large:
            connections.watch_for_damage()
    except BaseException:
        connections.close()
        raise
    return connections


def _bring_forward(connections: Connections, folder: Path) -> None:
    if connections.read_only:
        raise CatalogError(
            f"the index {folder} was written by an older program: open it once for writing, with "
            f"`lesion-search index verify --index {folder}`, and it is brought forward"
        )
    with connections.writing() as connection:
        # Another program may have done it while this one waited for its turn.
        version = schema.schema_version(connection)
        schema.migrate(connection, start=version)
        if version < schema.OWN_IMAGES_SINCE:
            adopt_images(connection, folder)
        connection.execute("COMMIT")


def _refuse_damage(connection: sqlite3.Connection, path: Path) -> None:
    if found := damage(connection):
        raise damaged(path, found[0])


def _refuse_other_encoder(held: EncoderBinding, wanted: EncoderBinding, folder: Path) -> None:
    if held.fingerprint == wanted.fingerprint and held.dimension == wanted.dimension:
        return
    raise EncoderMismatchError(
        f"the index {folder} was filled by encoder {held.fingerprint} ({held.name}, "
        f"{held.dimension} numbers), the encoder in use is {wanted.fingerprint} ({wanted.name}, "
        f"{wanted.dimension} numbers): use that encoder, or fill a new index with "
        "`lesion-search index build --archive A --out I`"
    )
