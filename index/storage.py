"""IndexStorage: what a LesionIndex is put together from, whatever searches its vectors."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, Protocol, TypeVar

from index.catalog.connections import Connections
from index.catalog.reader import CatalogReader, EncoderBinding
from index.catalog.writer import CatalogWriter
from index.reports import ApproximateKind, Neighbour, VectorCheck
from index.vectors import Float32, VectorQuery

T = TypeVar("T")


class IndexStorage(Protocol):
    """The catalog, which is the truth, with something that searches its vectors.

    ``FaissStorage`` searches in memory, ``MilvusStorage`` on a server. Both may be shared by
    threads. Every answer is of one generation of the catalog, the newest when it was asked for.
    """

    binding: EncoderBinding
    """The encoder whose vectors these are."""

    connections: Connections
    """The catalog's own; for what changes no vector."""

    @property
    def folder(self) -> Path:
        """The index's folder."""
        ...

    def reading(self) -> AbstractContextManager[CatalogReader]:
        """A reader of the newest generation, which stays the same while it is held."""
        ...

    def write(self, change: Callable[[CatalogWriter], T]) -> T:
        """Runs ``change`` in one write transaction; when this returns, it is on the disk."""
        ...

    def nearest(self, query: VectorQuery) -> list[list[Neighbour]]:
        """The lesions nearest to each query."""
        ...

    def vectors(self) -> tuple[list[str], Float32]:
        """Every lesion id (n) and its vector (n, dimension), in the order of their arrival."""
        ...

    def facts(self, reader: CatalogReader) -> dict[str, Any]:
        """What searches the vectors and how it stands to the catalog, as plain JSON."""
        ...

    def check(self, reader: CatalogReader) -> VectorCheck:
        """Compares the vectors that are searched with the catalog's; changes nothing."""
        ...

    def snapshot(self) -> None:
        """Saves what is searched, so that the next opening need not bring it level."""
        ...

    def build_approximate(self, kind: ApproximateKind | None = None) -> None:
        """Builds an approximate form beside the exact one; raises StoreError where there is none.

        ``kind`` None chooses by the number of lesions and the memory that is free.
        """
        ...

    def drop_approximate(self) -> None:
        """Goes back to the exact form alone."""
        ...

    def own_images(self) -> set[str]:
        """The names of the folders of pixels that the lesions have in the index itself."""
        ...

    def preload(self) -> int:
        """Reads the newest lesions ahead; returns how many were read."""
        ...

    def close(self) -> None:
        """Closes; saves a snapshot first where bringing it level would take noticeable time."""
        ...
