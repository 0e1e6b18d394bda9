"""Vectors in memory as immutable generations that share their memory.

A ``Segment`` is a matrix with room at its end. Rows below the count a ``StoreState`` knows are
never written again, so a search goes on in its own state while the next one is being filled.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

SEGMENT_ROWS = 16_384
"""Room of a new segment; 16 MiB of vectors of 256 numbers, touched as they arrive."""


@dataclass(frozen=True)
class Segment:
    """``matrix`` (capacity, dimension) and the ascending row number of each of its vectors."""

    matrix: NDArray[np.float32]
    rows: NDArray[np.int64]
    owner: Any = None
    """What keeps the matrix's memory alive: the FAISS index it was read from."""

    @classmethod
    def empty(cls, dimension: int, capacity: int) -> Segment:
        """A segment with room for ``capacity`` vectors."""
        return cls(
            np.empty((capacity, dimension), dtype=np.float32), np.empty(capacity, dtype=np.int64)
        )

    @property
    def capacity(self) -> int:
        """How many vectors it can hold."""
        return len(self.rows)


@dataclass(frozen=True)
class Part:
    """The first ``count`` vectors of a segment; ``start`` is their position in the state."""

    segment: Segment
    start: int
    count: int

    @property
    def matrix(self) -> NDArray[np.float32]:
        """The vectors (count, dimension)."""
        return self.segment.matrix[: self.count]

    @property
    def rows(self) -> NDArray[np.int64]:
        """Their row numbers (count,), ascending."""
        return self.segment.rows[: self.count]


@dataclass(frozen=True)
class Approximate:
    """A FAISS graph or inverted file over the first ``count`` positions of a state.

    ``facts`` says its kind, its parameters and the recall that was measured.
    """

    index: Any
    count: int
    facts: Mapping[str, Any]
    owner: Any = None
    """What keeps the vectors it walks alive."""


@dataclass(frozen=True)
class StoreState:
    """One generation: its parts in row order, and the positions of rows removed since.

    ``epoch`` changes when positions do: at a load or a compaction. The positions under an
    approximate form never do: a compaction keeps them, removed rows included.
    """

    dimension: int
    generation: int
    last_row: int
    parts: tuple[Part, ...] = ()
    removed: NDArray[np.int64] = field(default_factory=lambda: np.empty(0, dtype=np.int64))
    epoch: int = 0
    approximate: Approximate | None = None

    @property
    def pinned(self) -> int:
        """How many positions from the start a compaction must leave as they are."""
        return 0 if self.approximate is None else self.approximate.count

    @property
    def total(self) -> int:
        """Vectors held, those of removed rows included."""
        return self.parts[-1].start + self.parts[-1].count if self.parts else 0

    @property
    def live(self) -> int:
        """Vectors a search may return."""
        return self.total - len(self.removed)

    def positions(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The positions of those of ``rows`` that the state holds, ascending."""
        wanted = np.sort(rows)
        if len(self.parts) == 1 and self.parts[0].count and len(wanted):
            return _places(self.parts[0], wanted)
        found: list[NDArray[np.int64]] = []
        for part in self.parts:
            if not part.count or not len(wanted):
                continue
            hit = _places(part, wanted)
            if len(hit):
                found.append(hit)
        return np.concatenate(found) if found else np.empty(0, dtype=np.int64)

    def rows_at(self, positions: NDArray[np.int64]) -> NDArray[np.int64]:
        """The row numbers at positions of any shape."""
        if len(self.parts) == 1:
            return self.parts[0].rows[positions]
        rows = np.empty(positions.shape, dtype=np.int64)
        for part in self.parts:
            inside = (positions >= part.start) & (positions < part.start + part.count)
            rows[inside] = part.rows[positions[inside] - part.start]
        return rows

    def vectors_at(self, positions: NDArray[np.int64]) -> NDArray[np.float32]:
        """The vectors (n, dimension) at ascending positions (n,)."""
        if len(self.parts) == 1:
            return self.parts[0].matrix[positions]
        taken = [
            part.matrix[positions[low:high] - part.start]
            for part in self.parts
            for low, high in [_slice(positions, part)]
            if high > low
        ]
        if not taken:
            return np.empty((0, self.dimension), dtype=np.float32)
        return taken[0] if len(taken) == 1 else np.concatenate(taken)

    def tail(self, start: int) -> StoreState:
        """The same positions from ``start`` on, alone."""
        parts = []
        for part in self.parts:
            skipped = max(0, start - part.start)
            if skipped < part.count:
                rest = Segment(part.matrix[skipped:], part.rows[skipped:], part.segment.owner)
                parts.append(Part(rest, part.start + skipped, part.count - skipped))
        return replace(self, parts=tuple(parts), approximate=None)

    def live_rows_and_vectors(
        self, *, pinned: int = 0
    ) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
        """Every live row number (n,) and vector (n, dimension), in row order; a copy.

        The first ``pinned`` positions come along even where their rows were removed.
        """
        left_out = self.removed[self.removed >= pinned]
        rows = np.empty(self.total - len(left_out), dtype=np.int64)
        matrix = np.empty((len(rows), self.dimension), dtype=np.float32)
        at = 0
        for part in self.parts:
            low, high = _slice(left_out, part)
            keep: Any = slice(None)
            if high > low:
                keep = np.ones(part.count, dtype=bool)
                keep[left_out[low:high] - part.start] = False
            kept = part.rows[keep]
            rows[at : at + len(kept)] = kept
            matrix[at : at + len(kept)] = part.matrix[keep]
            at += len(kept)
        return rows, matrix

    def advanced(
        self,
        *,
        generation: int,
        added: Sequence[tuple[NDArray[np.int64], NDArray[np.float32]]],
        removed_rows: NDArray[np.int64],
        last_row: int,
    ) -> StoreState:
        """The next generation. ``added`` are (rows, vectors) above ``self.last_row``."""
        parts = list(self.parts)
        for rows, vectors in added:
            _append(parts, rows, vectors, self.dimension)
        grown = replace(self, generation=generation, last_row=last_row, parts=tuple(parts))
        gone = grown.positions(removed_rows)
        return replace(grown, removed=np.union1d(self.removed, gone)) if len(gone) else grown


def _append(
    parts: list[Part],
    rows: NDArray[np.int64],
    vectors: NDArray[np.float32],
    dimension: int,
) -> None:
    done = 0
    while done < len(rows):
        if not parts or parts[-1].count == parts[-1].segment.capacity:
            start = parts[-1].start + parts[-1].count if parts else 0
            room = max(SEGMENT_ROWS, len(rows) - done)
            parts.append(Part(Segment.empty(dimension, room), start, 0))
        last = parts[-1]
        take = min(len(rows) - done, last.segment.capacity - last.count)
        end = last.count + take
        last.segment.matrix[last.count : end] = vectors[done : done + take]
        last.segment.rows[last.count : end] = rows[done : done + take]
        parts[-1] = Part(last.segment, last.start, end)
        done += take


def _places(part: Part, wanted: NDArray[np.int64]) -> NDArray[np.int64]:
    """The positions of those of the ascending row numbers that a part holds."""
    rows = part.rows
    first, last = int(rows[0]), int(rows[-1])
    if last - first == part.count - 1:
        # No row is missing between the first and the last: nothing needs to be searched for.
        if wanted[0] < first or wanted[-1] > last:
            wanted = wanted[(wanted >= first) & (wanted <= last)]
        return wanted - (first - part.start)
    at = np.searchsorted(rows, wanted)
    at = at[at < part.count] if len(at) and at[-1] >= part.count else at
    hits: NDArray[np.int64] = at[rows[at] == wanted[: len(at)]]
    return hits + part.start if part.start else hits


def _slice(positions: NDArray[np.int64], part: Part) -> tuple[int, int]:
    """Where the ascending positions of a part begin and end."""
    low, high = np.searchsorted(positions, (part.start, part.start + part.count))
    return int(low), int(high)
