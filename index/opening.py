"""The storage of an index folder: its vectors in FAISS beside it, or on a Milvus server."""

from __future__ import annotations

from pathlib import Path

from index.catalog import creation
from index.catalog.reader import EncoderBinding
from index.faiss_store.storage import FaissStorage
from index.milvus.client import MilvusSettings
from index.milvus.storage import MilvusStorage
from index.storage import IndexStorage


def open_storage(
    folder: Path,
    *,
    binding: EncoderBinding | None,
    read_only: bool,
    write_timeout_s: float,
    milvus: MilvusSettings | None,
) -> IndexStorage:
    """The catalog of a folder with its store; see ``LesionIndex.open``."""
    connections = creation.open_catalog(
        folder, binding=binding, read_only=read_only, write_timeout_s=write_timeout_s
    )
    try:
        if milvus is not None:
            return MilvusStorage(connections, milvus)
        return FaissStorage(connections)
    except BaseException:
        connections.close()
        raise
