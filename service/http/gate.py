"""The gate: how many requests compute at once, and how many wait to write."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from index.errors import IndexBusyError
from retrieval.detection.proposals import Proposal, SliceDetector
from retrieval.image import Slab


class Gate:
    """Lets ``places`` threads compute; the others wait.

    Torch and OpenCV run threads of their own: more computing requests than cores only make all of
    them slower. A thread holds one place, however often it enters.
    """

    def __init__(self, places: int) -> None:
        self.places = places
        self._free = threading.Semaphore(places)
        self._lock = threading.Lock()
        self._waiting = 0
        self._computing = 0
        self._own = threading.local()

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
        """Waits for a free place and holds it; goes straight on where the thread has one."""
        if self._is_own_held():
            yield
            return
        self._enter()
        try:
            yield
        finally:
            self._leave()

    @contextmanager
    def left(self) -> Iterator[None]:
        """Gives the caller's place to others while it waits for something, then waits for one.

        Raises RuntimeError where the caller holds none: it would give away another's.
        """
        if not self._is_own_held():
            raise RuntimeError("a place of the gate is given up by a thread that holds none")
        self._leave()
        try:
            yield
        finally:
            self._enter()

    def _is_own_held(self) -> bool:
        return getattr(self._own, "held", False)

    def _enter(self) -> None:
        with self._lock:
            self._waiting += 1
        self._free.acquire()
        with self._lock:
            self._waiting -= 1
            self._computing += 1
        self._own.held = True

    def _leave(self) -> None:
        self._own.held = False
        with self._lock:
            self._computing -= 1
        self._free.release()


class GatedDetector:
    """A detector that holds a place of the gate while it computes."""

    def __init__(self, detector: SliceDetector, gate: Gate) -> None:
        self._detector = detector
        self._gate = gate

    @property
    def name(self) -> str:
        """What the detector is called."""
        return self._detector.name

    @property
    def fingerprint(self) -> str:
        """A hash of its weights and settings."""
        return self._detector.fingerprint

    @property
    def half_depth_mm(self) -> float:
        """How far beyond a slice its context reaches."""
        return self._detector.half_depth_mm

    def detect(self, slab: Slab) -> Sequence[Proposal]:
        """The proposals on the slab's key slice, best first."""
        with self._gate.held():
            return self._detector.detect(slab)

    def detect_slices(self, slab: Slab, positions: Sequence[int]) -> Sequence[Sequence[Proposal]]:
        """The proposals on each of the slices at ``positions`` in the slab, in their order."""
        with self._gate.held():
            return self._detector.detect_slices(slab, positions)


class WritersQueue:
    """At most ``most`` threads write or wait for their turn to; the next is refused at once.

    The catalog has one writer at a time, and another program's may keep it. Whoever waits for it
    holds a thread of the service, but no place to compute.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._free = threading.BoundedSemaphore(most)

    @contextmanager
    def joined(self) -> Iterator[None]:
        """A place in the queue; raises IndexBusyError if there is none."""
        if not self._free.acquire(blocking=False):
            raise IndexBusyError(f"{self._most} changes wait to be written: try again in a moment")
        try:
            yield
        finally:
            self._free.release()
