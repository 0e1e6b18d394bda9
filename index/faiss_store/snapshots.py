"""FAISS files beside the catalog: written whole or not at all, checked before they are used.

A file counts only if the catalog names it, with its size and checksum. A kill between the two
leaves a file nobody names, which the next snapshot deletes; a catalog restored from a backup
names a file that no longer fits, which is then rebuilt from the vectors.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import uuid
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray

from index.catalog.reader import SnapshotEntry
from index.errors import IndexBusyError, StorageError, StoreError
from index.faiss_store.segments import Part, Segment, StoreState
from index.files import create_private, private, sync_folder

SUFFIX = ".faiss"
_CHUNK = 16 << 20


@contextmanager
def snapshot_lock(folder: Path) -> Iterator[None]:
    """Held by the one process that writes snapshots; raises IndexBusyError if another does."""
    with open(folder / "snapshot.lock", "ab", opener=private) as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise IndexBusyError(
                f"another program is saving a snapshot of {folder}: try again when it has"
            ) from None
        yield


def write_index(
    folder: Path, index: Any, *, kind: str, state: StoreState, facts: Mapping[str, Any]
) -> SnapshotEntry:
    """Writes a FAISS index to a new file of its own, on the disk when this returns.

    The vectors a graph walks are left out: it shares those of the flat index.

    Raises:
        StorageError: the disk refused it; no file is left behind.
    """
    name = f"{kind}-{state.generation}-{uuid.uuid4().hex[:8]}{SUFFIX}"
    path = folder / name
    library: Any = faiss  # its type hints lack the flags
    try:
        create_private(path)
        library.write_index(index, str(path), faiss.IO_FLAG_SKIP_STORAGE)
        with path.open("rb") as handle:
            os.fsync(handle.fileno())
        sync_folder(folder)
        size = path.stat().st_size
        entry = SnapshotEntry(
            name, kind, state.generation, state.last_row, state.live, size, 0, facts
        )
        return _with_checksum(entry, path)
    except (RuntimeError, OSError) as error:
        path.unlink(missing_ok=True)
        raise StorageError(
            f"the snapshot {path} could not be written ({_reason(error)}): the index itself "
            "is untouched; free some space and run the command again"
        ) from error


def read_index(folder: Path, entry: SnapshotEntry) -> Any:
    """The FAISS index of a snapshot.

    Raises:
        StoreError: the file is missing, cut short or damaged.
    """
    path = folder / entry.file
    try:
        size = path.stat().st_size
        if size != entry.bytes:
            raise StoreError(f"{path} has {size} bytes, {entry.bytes} were written")
        if _checksum(path, entry) != entry.checksum:
            raise StoreError(f"{path} is damaged: its checksum does not fit")
        return faiss.read_index(str(path), faiss.IO_FLAG_SKIP_STORAGE)
    except (RuntimeError, OSError) as error:
        raise StoreError(f"{path} cannot be read ({_reason(error)})") from error


def flat_index(state: StoreState) -> faiss.Index:
    """An exact FAISS index of a state's vectors under their row numbers."""
    rows, matrix = state.live_rows_and_vectors(pinned=state.pinned)
    index = faiss.IndexIDMap(faiss.IndexFlatIP(state.dimension))
    index.add_with_ids(matrix, rows)
    return index


def flat_state(index: Any, entry: SnapshotEntry, *, removed_rows: NDArray[np.int64]) -> StoreState:
    """The state that ``flat_index`` was written at, on the index's own memory, not a copy."""
    flat: Any = faiss.downcast_index(index.index)
    rows = _ids(index)
    matrix = faiss.rev_swig_ptr(flat.get_xb(), flat.ntotal * flat.d).reshape(flat.ntotal, flat.d)
    part = Part(Segment(matrix, rows, owner=index), 0, len(rows))
    parts = (part,) if len(rows) else ()
    state = StoreState(flat.d, entry.generation, entry.last_row, parts)
    state = replace(state, removed=state.positions(removed_rows))
    if state.live != entry.lesion_count:
        raise StoreError(
            f"{entry.file} holds {state.live} vectors, {entry.lesion_count} were written"
        )
    return state


def _ids(index: Any) -> NDArray[np.int64]:
    """The row numbers of an IndexIDMap.

    Programs wrapped by SWIG share one table of C++ types: where SimpleITK is loaded after FAISS,
    a vector of FAISS comes in SimpleITK's class, which FAISS itself does not take back.
    """
    ids = index.id_map
    if type(ids).__module__.startswith("faiss"):
        return np.asarray(faiss.vector_to_array(ids), np.int64)
    return np.fromiter(ids, np.int64, count=len(ids))


def delete_unnamed(folder: Path, named: set[str]) -> None:
    """Deletes every snapshot file but those named; call it under ``snapshot_lock`` only."""
    for path in folder.glob(f"*{SUFFIX}"):
        if path.name not in named:
            with contextlib.suppress(FileNotFoundError):
                path.unlink()


def _with_checksum(entry: SnapshotEntry, path: Path) -> SnapshotEntry:
    return replace(entry, checksum=_checksum(path, entry))


def _checksum(path: Path, entry: SnapshotEntry) -> int:
    """CRC-32 over what the catalog says of the file, then over the file."""
    said = (entry.file, entry.kind, entry.generation, entry.last_row, entry.lesion_count)
    facts = json.dumps(dict(entry.facts), sort_keys=True)
    checksum = zlib.crc32(repr((*said, facts)).encode())
    with path.open("rb") as handle:
        while content := handle.read(_CHUNK):
            checksum = zlib.crc32(content, checksum)
    return checksum


def _reason(error: Exception) -> str:
    """FAISS's messages without the place in its own source."""
    return str(error).rsplit("failed: ", 1)[-1]
