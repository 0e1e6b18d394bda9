"""LesionIndex: the catalog, which is the truth, and the store that makes it quick to search.

An index is a folder: ``catalog.sqlite`` and the FAISS snapshots it names. It may be shared by
threads and opened by several processes at once: any number read while one writes; a second
writer waits for its turn and is told after ``write_timeout_s``. Each answer belongs to one
generation, the newest when it was asked for.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from index import summary, verify
from index.catalog import complete_studies, creation, match_table
from index.catalog.batches import put_all, remove_all
from index.catalog.reader import CatalogReader, EncoderBinding, LesionRecord, Surest
from index.catalog.writer import CatalogWriter
from index.errors import UnknownLesionError
from index.filters.lesion_filter import LesionFilter
from index.filters.sql import EVERYTHING, accepted
from index.milvus.client import MilvusSettings
from index.opening import open_storage
from index.own_images import OwnImages
from index.reports import AddReport, ApproximateKind, IndexInfo, Match, Neighbour, VerifyReport
from index.searches import KeptSearches
from index.storage import IndexStorage
from index.vectors import VectorQuery, query_matrix, stored_vector
from retrieval.lesion import Lesion

T = TypeVar("T")
ADD_BATCH = 1_000
"""Lesions of one transaction: what a kill in the middle of a long ``add`` can cost."""


class LesionIndex:
    """Lesions with their vectors: add, remove, search, verify. Use as a context manager."""

    def __init__(self, storage: IndexStorage) -> None:
        """Puts an index together; use ``create`` or ``open``."""
        self._storage = storage
        self.images = OwnImages(storage.folder, storage.own_images)
        self.searches = KeptSearches(storage.connections)

    @classmethod
    def create(cls, path: Path | str, binding: EncoderBinding) -> LesionIndex:
        """A new, empty index in the folder ``path``, which must not exist or be empty.

        Raises:
            CatalogError: the folder holds something already.
            StorageError: the folder cannot be written.
        """
        creation.create_folder(Path(path), binding)
        return cls.open(path, binding=binding)

    @classmethod
    def open(
        cls,
        path: Path | str,
        *,
        binding: EncoderBinding | None = None,
        read_only: bool = False,
        write_timeout_s: float = 30.0,
        milvus: MilvusSettings | None = None,
    ) -> LesionIndex:
        """The index in a folder, brought forward if an older program wrote it.

        Args:
            path: the index's folder.
            binding: the encoder about to be used; the index must be bound to the same.
            read_only: refuses every change; the folder itself may be read-only.
            write_timeout_s: how long a write waits for another program's.
            milvus: where the vectors are searched instead of in memory.

        Raises:
            CatalogError: no index there, a damaged one, or one of a newer program.
            EncoderMismatchError: another encoder filled it, or the Milvus collection.
            MilvusError: the Milvus server does not answer or holds another index's vectors.
        """
        storage = open_storage(
            Path(path),
            binding=binding,
            read_only=read_only,
            write_timeout_s=write_timeout_s,
            milvus=milvus,
        )
        opened = cls(storage)
        if not read_only:
            opened.images.sweep()
        return opened

    @property
    def path(self) -> Path:
        """The index's folder."""
        return self._storage.folder

    @property
    def binding(self) -> EncoderBinding:
        """The encoder the index is bound to."""
        return self._storage.binding

    @property
    def generation(self) -> int:
        """Rises with every change of the lesions."""
        return self.read(lambda reader: reader.head().generation)

    # --- changing ---------------------------------------------------------------------------

    def add(self, records: Iterable[LesionRecord]) -> AddReport:
        """Adds lesions, or replaces those with the same id or the same natural key.

        The natural key is patient, study, series, key slice and box. Records are taken in
        batches of ``ADD_BATCH``, each stored whole or not at all; a finished one survives a kill.
        No lock is held while a record is waited for.

        Raises:
            VectorError: a vector of the wrong length or norm; its batch is not stored.
            IndexBusyError, StorageError: see ``index.errors``.
        """
        report = AddReport()
        waiting = iter(records)
        while batch := list(itertools.islice(waiting, ADD_BATCH)):
            checked = [
                replace(one, vector=stored_vector(one.vector, self.binding.dimension, one.lesion))
                for one in batch
            ]
            done, freed = self._storage.write(partial(put_all, batch=checked))
            report += done
            self.images.forget(freed)
        return report

    def remove(self, lesion_ids: Collection[str]) -> int:
        """Removes lesions with their vectors, matches and pixels kept in the index's folder.

        An archive's pixels stay. Returns how many lesions were there.
        """
        ids = {lesion_ids} if isinstance(lesion_ids, str) else set(lesion_ids)
        count, freed = self._storage.write(partial(remove_all, lesion_ids=ids))
        self.images.forget(freed)
        if count:
            self._storage.connections.truncate_log()
        return count

    def write(self, change: Callable[[CatalogWriter], T]) -> T:
        """Runs a change of lesions in one write transaction; on return it is on the disk."""
        return self._storage.write(change)

    def read(self, question: Callable[[CatalogReader], T]) -> T:
        """Asks the catalog something, of one generation."""
        with self._storage.reading() as reader:
            return question(reader)

    def set_match(self, first: str, second: str, verdict: str) -> Match:
        """Stores a reader's decision on a pair, ``confirmed`` or ``rejected``, over an earlier one.

        Raises:
            UnknownLesionError, MatchError: no such lesion, or a pair that cannot be one lesion.
            MatchConflictError: it contradicts another stored decision; nothing is stored.
        """
        with self._storage.connections.writing() as connection:
            match = match_table.store(connection, first, second, verdict)
            connection.execute("COMMIT")
        return match

    def remove_match(self, first: str, second: str) -> bool:
        """Forgets the decision on a pair; returns whether there was one."""
        with self._storage.connections.writing() as connection:
            found = match_table.forget(connection, first, second)
            connection.execute("COMMIT")
        return found

    def declare_marks(self, studies: Iterable[tuple[str, str]], *, complete: bool = True) -> None:
        """Keeps that every lesion of these studies (patient id, study id) is marked, or takes it
        back: only there is a missing mark evidence that a lesion is not there."""
        with self._storage.connections.writing() as connection:
            complete_studies.declare(connection, studies, complete=complete)
            connection.execute("COMMIT")

    # --- searching --------------------------------------------------------------------------

    def search(
        self,
        vector: NDArray[np.floating[Any]],
        *,
        k: int = 10,
        where: LesionFilter | None = None,
        exclude: Collection[str] = (),
        approximate: bool = False,
    ) -> list[Neighbour]:
        """The ``k`` lesions nearest to a vector (dimension,) of any length, best first.

        Args:
            vector: the query.
            k: how many; fewer come back where the filter leaves fewer.
            where: which lesions may come back.
            exclude: lesion ids that must not.
            approximate: by the approximate form, whose measured recall ``info`` tells.

        Raises VectorError where it is of the wrong dimension, not finite, or all zero.
        """
        return self.search_batch(
            np.asarray(vector)[np.newaxis],
            k=k,
            where=where,
            exclude=exclude,
            approximate=approximate,
        )[0]

    def search_batch(
        self,
        vectors: NDArray[np.floating[Any]],
        *,
        k: int = 10,
        where: LesionFilter | None = None,
        exclude: Collection[str] = (),
        approximate: bool = False,
    ) -> list[list[Neighbour]]:
        """``search`` for each row of (q, dimension) at once, on every processor."""
        queries = query_matrix(vectors, self.binding.dimension, k=k)
        if exclude:
            base = where or LesionFilter()
            where = replace(base, excluded_lesions=base.excluded_lesions | frozenset(exclude))
        return self._storage.nearest(VectorQuery(queries, k, where, approximate))

    def get(self, lesion_id: str) -> LesionRecord:
        """One lesion with vector and source; raises UnknownLesionError."""
        found = self.records([lesion_id])
        if not found:
            raise UnknownLesionError(
                f"lesion {lesion_id!r} is not in the index {self.path}: check the id, or add it "
                "with `lesion-search index add`"
            )
        return found[0]

    def records(self, lesion_ids: Collection[str]) -> list[LesionRecord]:
        """The lesions of these ids in the order of their arrival; unknown ids are absent."""
        return self.read(lambda reader: reader.records(lesion_ids))

    def known(self, lesion_ids: Collection[str]) -> set[str]:
        """Those of the ids that the index holds: a build that goes on skips these."""
        return self.read(lambda reader: reader.known_ids(lesion_ids))

    def patient(self, patient_id: str) -> list[LesionRecord]:
        """Every lesion of a patient, with vectors, in the order of their arrival."""
        return self.read(lambda reader: reader.records_where("patient_id = ?", (patient_id,)))

    def with_pixels(self, pixel_hash: str) -> list[LesionRecord]:
        """Every lesion on a slice of these pixels, in the order of their arrival."""
        return self.read(lambda reader: reader.records_where("pixel_hash = ?", (pixel_hash,)))

    def patients(self) -> list[str]:
        """Every patient id, sorted."""
        return self.read(CatalogReader.patients)

    def page(
        self, after: str | Surest = "", limit: int = 100, where: LesionFilter | None = None
    ) -> list[Lesion]:
        """Up to ``limit`` lesions by their ids after the id ``after``, or by how sure they are."""
        condition = accepted(where)
        with self._storage.reading() as reader:
            return reader.page(condition.sql, condition.values, after=after, limit=limit)

    def count(self, where: LesionFilter | None = None) -> int:
        """How many lesions a filter lets through."""
        condition = accepted(where)
        with self._storage.reading() as reader:
            if condition.sql == EVERYTHING:
                return reader.head().lesion_count
            return reader.count(condition.sql, condition.values)

    def vectors(self) -> tuple[list[str], NDArray[np.float32]]:
        """Every lesion id (n) and its vector (n, dimension), in the order of their arrival."""
        return self._storage.vectors()

    def matches(self, patient_id: str | None = None) -> list[Match]:
        """The confirmed and rejected pairs, of one patient or of all."""
        with self._storage.connections.reading() as connection:
            return match_table.listed(connection, patient_id)

    def complete_studies(self, patient_id: str) -> list[str]:
        """The patient's studies in which every lesion is marked."""
        with self._storage.connections.reading() as held:
            return [study for _, study in complete_studies.listed(held, patient_id)]

    def info(self) -> IndexInfo:
        """What the index holds and how it stands."""
        with self._storage.connections.reading() as connection:
            return summary.summarise(connection, self._storage)

    def verify(self) -> VerifyReport:
        """Checks every page, checksum, norm and the store; removes pixels that nothing names."""
        if not self._storage.connections.read_only:
            self.images.sweep()
        return verify.verify(self._storage)

    def snapshot(self) -> None:
        """Saves the vectors as a FAISS file, so that the next opening need not replay."""
        self._storage.snapshot()

    def build_approximate(self, kind: ApproximateKind | None = None) -> Mapping[str, Any]:
        """Builds the form that ``search(approximate=True)`` uses; returns its facts.

        Without a ``kind`` it is chosen by the rule of ``index.faiss_store.approximate``. Raises
        StoreError for too few lesions, or too little memory for any form.
        """
        self._storage.build_approximate(kind)
        facts: Mapping[str, Any] = self.info().store["approximate"]
        return facts

    def drop_approximate(self) -> None:
        """Goes back to exact search alone."""
        self._storage.drop_approximate()

    def export(self, file: Path | str) -> int:
        """Writes everything but pixels to a Parquet file; returns the number of lesions."""
        from index.parquet.exporting import export

        with self._storage.connections.reading() as connection:
            return export(Path(file), connection, self.images)

    def preload(self) -> int:
        """Reads the newest lesions into memory (at most 50,000, about a kilobyte each).

        For a program that answers many searches: their hits then need no reading. Vectors are in
        memory anyhow. Returns how many lesions were read.
        """
        return self._storage.preload()

    def close(self) -> None:
        """Closes the index; saves a snapshot first where a replay would take noticeable time."""
        self._storage.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()
