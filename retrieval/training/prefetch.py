"""Batches made ahead of the loop by one thread."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Batch = TypeVar("_Batch")


def ahead(
    batch: Callable[[int], _Batch], first: int, last: int, *, depth: int = 2
) -> Iterator[tuple[int, _Batch]]:
    """(step, batch) for the steps from ``first`` up to, not including, ``last``."""
    with ThreadPoolExecutor(max_workers=1) as pool:
        waiting = [pool.submit(batch, k) for k in range(first, min(first + depth, last))]
        for step in range(first, last):
            made = waiting.pop(0).result()
            if step + depth < last:
                waiting.append(pool.submit(batch, step + depth))
            yield step, made
