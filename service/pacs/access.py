"""A service's one way to its PACS: the client, and how many requests may wait for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from retrieval.lesion import LesionSearchError
from service.decoding.pool import DecoderPool
from service.extras import Extra, need_extra
from service.pacs.settings import PacsSettings

if TYPE_CHECKING:
    from service.pacs.client import PacsClient

AT_ONCE = 4
"""Requests that wait for the PACS at the same time: each holds one of the service's threads."""


class PacsBusyError(LesionSearchError):
    """More requests wait for the PACS than the service can afford."""


class PacsAccess:
    """The client of the configured PACS, opened by the first who needs it; safe for threads."""

    def __init__(self, decoders: DecoderPool) -> None:
        self._decoders = decoders
        self._opening = threading.Lock()
        self._waiting = threading.BoundedSemaphore(AT_ONCE)
        self._client: PacsClient | None = None

    @property
    def is_configured(self) -> bool:
        """Whether the service was started with a PACS."""
        return PacsSettings().url is not None

    @property
    def shows_own_ids(self) -> bool:
        """Whether there is a PACS and answers hold its own identifiers, no pseudonyms."""
        return self.is_configured and PacsSettings().pseudonym_key is None

    def client(self) -> PacsClient:
        """The client; raises ExtraError without its packages, PacsSettingsError without a PACS."""
        need_extra(Extra.DICOM)
        from service.pacs.client import PacsClient

        with self._opening:
            if self._client is None:
                self._client = PacsClient(PacsSettings(), decoders=self._decoders)
            return self._client

    @contextmanager
    def talking(self) -> Iterator[None]:
        """A place among those who wait for the PACS; not one of the places for computing.

        A slow PACS must not hold up queries that need none of it. Raises PacsBusyError at once.
        """
        if not self._waiting.acquire(blocking=False):
            raise PacsBusyError(f"{AT_ONCE} requests wait for the PACS already: try again later")
        try:
            yield
        finally:
            self._waiting.release()
