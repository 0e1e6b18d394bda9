"""Warm decoders, lent to one upload at a time and replaced when they are spent."""

from __future__ import annotations

import contextlib
import queue
import threading
from collections.abc import Iterator, Sequence
from types import TracebackType
from typing import BinaryIO

from service.decoding.decoder import Decoder, DecoderBusyError
from service.decoding.identity import IdentifiedImage
from service.decoding.limits import DecodeLimits, UploadError
from service.decoding.reading import UploadOptions


class DecoderPool:
    """At most ``size`` decoders; each is started when it is first needed, and kept.

    Threads may share it. ``close`` ends every process; so does the end of the service, however it
    comes, because the sockets close with it.
    """

    def __init__(self, limits: DecodeLimits, *, size: int, wait_s: float = 30.0) -> None:
        self.limits = limits
        self._wait_s = wait_s
        self._free = threading.BoundedSemaphore(size)
        self._idle: queue.LifoQueue[Decoder] = queue.LifoQueue()
        self._all: set[Decoder] = set()
        self._lock = threading.Lock()
        self._closed = False

    def prestart(self) -> None:
        """Starts one decoder, so that the first upload does not wait for it."""
        self._idle.put(self._start())

    def decode(self, files: Sequence[BinaryIO], options: UploadOptions) -> IdentifiedImage:
        """One upload's slab, and whose it is, read in another process.

        Files are one of any kind, which may be a zip of a series, or several slices of one series;
        PNGs are consecutive slices in their order, numbered from 1. What a client calls its files
        never reaches the file system; it may say whose images these are.

        Raises:
            UploadError: a file's kind, number or size is not accepted, or it cannot be read as CT
                within the limits.
            DecoderBusyError: no decoder was free for ``wait_s``.
        """
        most = self.limits.max_files
        if not 1 <= len(files) <= most:
            raise UploadError(f"{len(files)} files were sent: 1 to {most} are accepted")
        with self._borrowed() as decoder:
            return decoder.decode(files, options)

    def process_ids(self) -> tuple[int, ...]:
        """Of the decoders that run now."""
        with self._lock:
            return tuple(sorted(decoder.process_id for decoder in self._all))

    def close(self) -> None:
        """Ends every decoder; a request that waits for one is refused."""
        with self._lock:
            self._closed = True
            decoders = list(self._all)
        for decoder in decoders:
            decoder.interrupt()
        # One that is lent is tidied away by the thread that waits for it.
        with contextlib.suppress(queue.Empty):
            while True:
                self._discard(self._idle.get_nowait())

    def __enter__(self) -> DecoderPool:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    @contextlib.contextmanager
    def _borrowed(self) -> Iterator[Decoder]:
        if not self._free.acquire(timeout=self._wait_s):
            raise DecoderBusyError("every decoder is at work: try again in a moment")
        try:
            decoder = self._next_usable()
            try:
                yield decoder
            finally:
                if decoder.usable():
                    self._idle.put(decoder)
                else:
                    self._discard(decoder)
                    self._replace()
        finally:
            self._free.release()

    def _next_usable(self) -> Decoder:
        while True:
            try:
                decoder = self._idle.get_nowait()
            except queue.Empty:
                return self._start()
            if decoder.usable():
                return decoder
            self._discard(decoder)

    def _replace(self) -> None:
        """A new one begins to start now, so that the next upload does not wait for all of it."""
        with contextlib.suppress(DecoderBusyError):
            self._idle.put(self._start())

    def _start(self) -> Decoder:
        with self._lock:
            if self._closed:
                raise DecoderBusyError("the service is ending")
            decoder = Decoder(self.limits)
            self._all.add(decoder)
            return decoder

    def _discard(self, decoder: Decoder) -> None:
        decoder.kill()
        with self._lock:
            self._all.discard(decoder)
