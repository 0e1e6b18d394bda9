"""An archive embedded on the machines of a Ray cluster, written by the one writer that stays here.

The lesions that the index lacks are cut into shards. Workers turn shards into vectors by the very
code of the plain build; vectors come back to this process, which stores a shard in one
transaction. A shard whose worker is gone, or whose worker's machine is, goes to another. It is
stored when its vectors arrive here and then never asked for again: no lesion comes twice.

Ray moves arguments and answers between its own processes by pickle, in memory. No pickle is read
from a file: weights travel as the bytes of a safetensors file, vectors as arrays.
"""

from __future__ import annotations

import logging
import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from index.lesion_index import LesionIndex
from retrieval.lesion import LesionSearchError
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive
from service.jobs.bulk_worker import EmbeddingWorker, WorkOrder
from service.jobs.indexing import (
    EmbeddedGroup,
    FailedLesion,
    IndexingReport,
    missing_lesions,
    store_group,
)
from service.jobs.ray_cluster import RayCluster, WorkerLostError

SHARDS_AT_ONCE = 2
"""Shards given to a worker: the second waits there while the first one's vectors travel."""

SHARDS_PER_WORKER = 4
"""A small archive is cut into at least so many, lest one worker end long after the others."""

_log = logging.getLogger(__name__)


class BulkEmbeddingError(LesionSearchError):
    """A build on a cluster that cannot start or go on; what was stored stays."""


@dataclass(frozen=True, slots=True)
class BulkOptions:
    """How a build on a cluster runs.

    Attributes:
        workers: workers at once; None is one for each processor of the cluster.
        gpus_per_worker: share of a GPU that each asks for; with 0 they embed on processors.
        largest_shard: lesions of one shard, stored in one transaction.
        batch_size: patches embedded at once.
        attempts: workers a shard may cost before its lesions are left out by name.
        patience_s: how long none may be ready before the job gives up.
        assume_hu: images are HU whatever their values look like.
    """

    workers: int | None = None
    gpus_per_worker: float = 0.0
    largest_shard: int = 64
    batch_size: int = 32
    attempts: int = 3
    patience_s: float = 600.0
    assume_hu: bool = False


@dataclass
class BulkReport:
    """What a build on a cluster did.

    Attributes:
        indexing: lesions added, there before, and left out.
        workers: the most workers that were ready at once.
        lost_workers: workers that died, or whose machine did.
        shards: shards whose vectors arrived.
        retried_shards: times a shard was given to another worker.
    """

    indexing: IndexingReport
    workers: int = 0
    lost_workers: int = 0
    shards: int = 0
    retried_shards: int = 0

    def to_json(self) -> dict[str, Any]:
        """The counts of both, and every failed lesion by name."""
        return {
            **self.indexing.to_json(),
            "workers": self.workers,
            "lost_workers": self.lost_workers,
            "shards": self.shards,
            "retried_shards": self.retried_shards,
        }


def index_archive_on_cluster(
    archive: Archive,
    index: LesionIndex,
    encoder_file: Path,
    *,
    cluster: RayCluster,
    options: BulkOptions | None = None,
    progress: ReportProgress | None = None,
) -> BulkReport:
    """``service.jobs.indexing.index_archive`` with the embedding done by the workers of a cluster.

    Run again, it embeds only what is missing. The workers read the archive at the same path as
    this process, on a shared file system; the encoder's file is sent to them.

    Raises:
        BulkEmbeddingError: no worker came up or stayed, or one does not see the same archive.
        StorageError: the disk is full; what was stored stays.
    """
    options = options or BulkOptions()
    pending = missing_lesions(archive, index)
    report = BulkReport(IndexingReport(already_there=len(archive.lesions) - len(pending)))
    if not pending:
        return report
    wanted = options.workers or cluster.room(gpus_per_worker=options.gpus_per_worker)
    shards = _cut_shards([lesion.lesion_id for lesion in pending], wanted, options.largest_shard)
    order = WorkOrder(
        archive=archive.root,
        table_checksum=archive.checksum(),
        fingerprint=index.binding.fingerprint,
        batch_size=options.batch_size,
        device="cuda" if options.gpus_per_worker > 0 else "cpu",
        assume_hu=options.assume_hu,
    )
    encoder = cluster.share(encoder_file.read_bytes())
    crew = _Crew(cluster, order, encoder, options, shards, report)
    for group in crew.groups(min(wanted, len(shards))):
        store_group(group, archive, index, report.indexing)
        if progress is not None:
            progress(report.indexing.seen, len(archive.lesions))
    return report


@dataclass(eq=False)
class _Shard:
    lesion_ids: Sequence[str]
    deaths: int = 0


@dataclass(eq=False)
class _Worker:
    """An actor and what it was asked, oldest first: it answers in that order.

    Its first task is to prepare itself (no shard); until that is answered it is given no other,
    so that one for which the cluster has no room holds nothing up.
    """

    actor: Any
    asked: deque[tuple[Any, _Shard | None]] = field(default_factory=deque)
    is_ready: bool = False

    @property
    def is_busy(self) -> bool:
        """Whether it was given a shard that it has not answered."""
        return any(shard is not None for _, shard in self.asked)


@dataclass(eq=False)
class _Crew:
    """The workers of one job: hires them, gives out shards, replaces the dead."""

    cluster: RayCluster
    order: WorkOrder
    encoder: Any
    options: BulkOptions
    shards: deque[_Shard]
    report: BulkReport
    workers: list[_Worker] = field(default_factory=list)
    lost_unready: int = 0

    def groups(self, count: int) -> Iterator[EmbeddedGroup]:
        """The vectors of every shard as they arrive, from ``count`` workers."""
        try:
            for _ in range(count):
                self._hire()
            while self.shards or any(worker.is_busy for worker in self.workers):
                worker = self._next_to_answer()
                if worker is not None:
                    yield from self._settled(worker)
        finally:
            for worker in self.workers:
                self.cluster.stop(worker.actor)

    def _hire(self) -> None:
        actor = self.cluster.start(EmbeddingWorker, self.order, gpus=self.options.gpus_per_worker)
        worker = _Worker(actor)
        worker.asked.append((self.cluster.call(actor, "prepare", self.encoder), None))
        self.workers.append(worker)

    def _next_to_answer(self) -> _Worker | None:
        """A worker whose oldest task is answered or lost; None if none was for a while."""
        waited = {worker.asked[0][0]: worker for worker in self.workers if worker.asked}
        done = self.cluster.first_done(list(waited), timeout_s=self.options.patience_s)
        if done is None and not any(worker.is_ready for worker in self.workers):
            raise BulkEmbeddingError(
                f"no worker of the cluster was ready for {self.options.patience_s:g} s: see "
                "`ray status`, and run the same command again; what was stored stays"
            )
        return None if done is None else waited[done]

    def _settled(self, worker: _Worker) -> Iterator[EmbeddedGroup]:
        call, shard = worker.asked[0]
        try:
            answer = self.cluster.result(call)
        except WorkerLostError as loss:
            yield from self._replaced(worker, str(loss))
            return
        worker.asked.popleft()
        if shard is None:
            if answer is not None:
                raise BulkEmbeddingError(f"a worker cannot start on {answer}")
            worker.is_ready = True
            ready = sum(other.is_ready for other in self.workers)
            self.report.workers = max(self.report.workers, ready)
        self._occupy(worker)
        if shard is not None:
            self.report.shards += 1
            yield answer

    def _occupy(self, worker: _Worker) -> None:
        while self.shards and len(worker.asked) < SHARDS_AT_ONCE:
            shard = self.shards.popleft()
            call = self.cluster.call(worker.actor, "embed", shard.lesion_ids)
            worker.asked.append((call, shard))

    def _replaced(self, worker: _Worker, reason: str) -> Iterator[EmbeddedGroup]:
        """Gives a lost worker's shards back and hires another; yields what is given up."""
        _log.warning("a worker was lost, another is started: %s", reason)
        self.report.lost_workers += 1
        self.workers.remove(worker)
        self.cluster.stop(worker.actor)
        self._count_unready(worker, reason)
        lost = [shard for _, shard in worker.asked if shard is not None]
        if lost:
            # Only the first was being worked on: those behind it killed nobody.
            lost[0].deaths += 1
        given_up = [shard for shard in lost if shard.deaths >= self.options.attempts]
        again = [shard for shard in lost if shard.deaths < self.options.attempts]
        self.shards.extendleft(reversed(again))
        self.report.retried_shards += len(again)
        self._hire()
        for ready in [other for other in self.workers if other.is_ready]:
            self._occupy(ready)
        for shard in given_up:
            yield self._given_up(shard, reason)

    def _count_unready(self, worker: _Worker, reason: str) -> None:
        if worker.is_ready:
            return
        self.lost_unready += 1
        if self.lost_unready >= self.options.attempts * len(self.workers or [worker]):
            raise BulkEmbeddingError(
                f"workers die before they are ready, {self.lost_unready} by now ({reason}): is "
                "this very lesion-search installed on every machine, with memory for its encoder?"
            )

    def _given_up(self, shard: _Shard, reason: str) -> EmbeddedGroup:
        why = f"{shard.deaths} workers died over the shard it is in, the last so: {reason}"
        failed = [FailedLesion(lesion_id, why) for lesion_id in shard.lesion_ids]
        return EmbeddedGroup([], np.empty((0, 0), np.float32), [], 0, 0, failed)


def _cut_shards(lesion_ids: Sequence[str], workers: int, largest: int) -> deque[_Shard]:
    size = min(largest, math.ceil(len(lesion_ids) / (SHARDS_PER_WORKER * workers)))
    starts = range(0, len(lesion_ids), size)
    return deque(_Shard(lesion_ids[start : start + size]) for start in starts)
