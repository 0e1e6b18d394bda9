"""Several pictures at once on a CPU: one thread each is quicker than all threads on one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

import torch

_Item = TypeVar("_Item")
_Result = TypeVar("_Result")


def side_by_side(
    work: Callable[[_Item], _Result],
    items: Sequence[_Item],
    *,
    on: torch.device | None = None,
    one_thread_for_one: bool = False,
) -> list[_Result]:
    """``work`` of every item, in their order, on as many threads as torch would use for one.

    ``on`` is the device that computes, the CPU if None; any other does one thing after another.
    A single item has all threads, unless ``one_thread_for_one``: for work whose parts are too
    small to share.

    Within a thread torch computes alone: operations on single pictures are too small to share.
    """
    threads = torch.get_num_threads()
    shared = len(items) > 1 or (one_thread_for_one and len(items) == 1)
    if threads == 1 or not shared or (on is not None and on.type != "cpu"):
        return [work(item) for item in items]
    try:
        with ThreadPoolExecutor(threads, initializer=_computes_alone) as pool:
            return list(pool.map(work, items))
    finally:
        torch.set_num_threads(threads)  # the threads of the pool set the whole process's default


def _computes_alone() -> None:
    torch.set_num_threads(1)
