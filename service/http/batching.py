"""Micro-batching: patches of queries that arrive together are embedded together.

A query that finds the encoder free goes straight through: nobody waits for a batch to fill. Those
that come while it is at work are taken together when it is done.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field

from retrieval.embedding.encoder import Embedding
from retrieval.embedding.patch_encoder import PatchEncoder
from retrieval.patch import Patch, PatchSpec


@dataclass(frozen=True)
class BatchingOptions:
    """How patches are put together.

    Attributes:
        max_patches: the most of one batch; 1 embeds each query's alone.
        lanes: how many batches may be embedded at once.
        computing: entered for a query, which then holds a place among those that compute.
        waiting: entered while it waits for another's batch, to give up that place meanwhile.
        on_batch: told the size of each batch.
    """

    max_patches: int = 16
    lanes: int = 1
    computing: Callable[[], AbstractContextManager[None]] = nullcontext
    waiting: Callable[[], AbstractContextManager[None]] = nullcontext
    on_batch: Callable[[int], None] = lambda _: None


@dataclass(eq=False)
class _Asked:
    """One query's patches, and what came of them; ``batch`` is set for who is to embed it."""

    patches: Sequence[Patch]
    answer: Embedding | None = None
    batch: list[_Asked] = field(default_factory=list)
    told: threading.Event = field(default_factory=threading.Event)


class BatchingEncoder:
    """An encoder whose ``embed`` may be called by many threads at once; it answers the same."""

    def __init__(self, encoder: PatchEncoder, options: BatchingOptions) -> None:
        self._encoder = encoder
        self._options = options
        self._lock = threading.Lock()
        self._running = 0
        self._queue: deque[_Asked] = deque()

    @property
    def name(self) -> str:
        """What the encoder is called."""
        return self._encoder.name

    @property
    def fingerprint(self) -> str:
        """A hash of weights and PatchSpec."""
        return self._encoder.fingerprint

    @property
    def dimension(self) -> int:
        """Length of a vector."""
        return self._encoder.dimension

    @property
    def spec(self) -> PatchSpec:
        """The patch the encoder was trained on."""
        return self._encoder.spec

    def embed(self, patches: Sequence[Patch], *, batch_size: int = 32) -> Embedding:
        """Unit vectors of patches, in their order, embedded with those of other threads.

        Raises what the encoder raises on these patches, never on another thread's.
        """
        with self._options.computing():
            return self._embedded(patches, batch_size)

    def _embedded(self, patches: Sequence[Patch], batch_size: int) -> Embedding:
        if len(patches) >= self._options.max_patches:
            self._options.on_batch(len(patches))
            return self._encoder.embed(patches, batch_size=batch_size)
        asked = _Asked(patches)
        if not self._is_lane_free(asked):
            with self._options.waiting():
                asked.told.wait()
        if asked.batch:
            self._embed(asked.batch)
        if asked.answer is None:
            return self._encoder.embed(patches, batch_size=batch_size)
        return asked.answer

    def _is_lane_free(self, asked: _Asked) -> bool:
        """Takes a lane for these patches alone, or puts them into the queue."""
        with self._lock:
            if self._running < self._options.lanes:
                self._running += 1
                asked.batch = [asked]
                return True
            self._queue.append(asked)
            return False

    def _embed(self, batch: list[_Asked]) -> None:
        """Embeds a batch, answers each of its queries, and hands the lane on."""
        joined = [patch for asked in batch for patch in asked.patches]
        self._options.on_batch(len(joined))
        try:
            embedding = self._encoder.embed(joined, batch_size=max(1, len(joined)))
        except Exception:
            # Whose patches were at fault is not known: each query embeds its own, unanswered.
            if len(batch) == 1:
                raise
        else:
            start = 0
            for asked in batch:
                stop = start + len(asked.patches)
                asked.answer = _part(embedding, start, stop)
                start = stop
        finally:
            self._hand_on()
            for asked in batch:
                asked.told.set()

    def _hand_on(self) -> None:
        """Lets the first of the queue embed the next batch, or frees the lane."""
        with self._lock:
            if not self._queue:
                self._running -= 1
                return
            batch = [self._queue.popleft()]
            room = self._options.max_patches - len(batch[0].patches)
            while self._queue and len(self._queue[0].patches) <= room:
                room -= len(self._queue[0].patches)
                batch.append(self._queue.popleft())
        batch[0].batch = batch
        batch[0].told.set()


def _part(embedding: Embedding, start: int, stop: int) -> Embedding:
    return Embedding(
        embedding.vectors[start:stop],
        embedding.locations[start:stop],
    )
