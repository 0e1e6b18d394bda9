"""The gate: how many requests compute at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager


class Gate:
    """Lets ``places`` threads compute; the others wait.

    Torch and OpenCV run threads of their own: more computing requests than cores only make all of
    them slower.
    """

    def __init__(self, places: int) -> None:
        self.places = places
        self._free = threading.Semaphore(places)
        self._lock = threading.Lock()
        self._waiting = 0
        self._computing = 0

    @property
    def waiting(self) -> int:
        """Threads that wait for a place."""
        return self._waiting

    @property
    def computing(self) -> int:
        """Threads that hold a place."""
        return self._computing

    @contextmanager
    def held(self) -> Iterator[None]:
        """Waits for a free place and holds it."""
        self._enter()
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def left(self) -> Iterator[None]:
        """Gives the caller's place to others while it waits for something, then waits for one."""
        self._leave()
        try:
            yield
        finally:
            self._enter()

    def _enter(self) -> None:
        with self._lock:
            self._waiting += 1
        self._free.acquire()
        with self._lock:
            self._waiting -= 1
            self._computing += 1

    def _leave(self) -> None:
        with self._lock:
            self._computing -= 1
        self._free.release()
