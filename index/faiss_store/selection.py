"""Filters as positions of a StoreState, kept between searches.

Rows never change, so that what a filter wants among the rows seen so far stays true; only rows
added since are asked of SQL. Exclusions are asked anew each time: they are mostly one patient.
"""

from __future__ import annotations

import itertools
import threading
from collections import OrderedDict
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from index.catalog.reader import CatalogReader
from index.faiss_store.exact import Scope
from index.faiss_store.segments import StoreState
from index.filters.lesion_filter import LesionFilter
from index.filters.sql import unwanted_part, wanted_part, without_exclusions

KEPT = 64
"""How many filters are kept; at a million lesions each takes at most 8 MB."""

_EVERYTHING = LesionFilter()


@dataclass(frozen=True)
class _Kept:
    """Positions of a filter's rows up to a row number, within one epoch of positions."""

    epoch: int
    last_row: int
    positions: NDArray[np.int64]


class Selections:
    """The most recent filters with their positions."""

    def __init__(self) -> None:
        self._kept: OrderedDict[LesionFilter, _Kept] = OrderedDict()
        self._lock = threading.Lock()
        self._epochs = itertools.count(1)

    def new_epoch(self) -> int:
        """A number no state has had before."""
        return next(self._epochs)

    def scope(self, state: StoreState, reader: CatalogReader, where: LesionFilter | None) -> Scope:
        """What ``where`` lets through of a state at the reader's own generation."""
        if where is None or where == _EVERYTHING:
            return Scope(None, state.removed)
        excluded = unwanted_part(where)
        positive = where if excluded is None else without_exclusions(where)
        wanted = None if positive == _EVERYTHING else self._positions(state, reader, positive)
        if excluded is None:
            return Scope(wanted, state.removed)
        rows = reader.rows_where(excluded.sql, excluded.values)
        unwanted = state.positions(np.array(rows, dtype=np.int64))
        if len(state.removed):
            unwanted = np.union1d(state.removed, unwanted)
        return Scope(wanted, unwanted)

    def _positions(
        self, state: StoreState, reader: CatalogReader, where: LesionFilter
    ) -> NDArray[np.int64]:
        with self._lock:
            kept = self._kept.get(where)
        if kept is None or kept.epoch != state.epoch or kept.last_row > state.last_row:
            kept = _Kept(state.epoch, 0, np.empty(0, dtype=np.int64))
        if kept.last_row < state.last_row or state.last_row == 0:
            condition = wanted_part(where)
            rows = reader.rows_where(condition.sql, condition.values, after=kept.last_row)
            fresh = state.positions(np.array(rows, dtype=np.int64))
            if len(kept.positions):
                fresh = np.concatenate([kept.positions, fresh])
            kept = _Kept(state.epoch, state.last_row, fresh)
        with self._lock:
            self._kept[where] = kept
            self._kept.move_to_end(where)
            while len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        return kept.positions
