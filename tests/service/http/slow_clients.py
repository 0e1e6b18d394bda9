"""Clients that hold on to a service: they ask and do not read, or send a byte now and then."""

from __future__ import annotations

import socket
import threading
from types import TracebackType

from tests.service.http.guards.listening import head, silent

ASKED_AT_ONCE = 400
"""Requests one after another on one connection: more answers than any system's buffer takes."""

PAUSE_S = 0.2


class SlowClients:
    """While it is entered, so many readers and writers hold on; who is cut off comes again."""

    def __init__(self, port: int, *, readers: int, writers: int, path: str = "/v1/lesions") -> None:
        asks = head("GET", f"{path}?limit=500") * ASKED_AT_ONCE
        writes = head(
            "POST",
            "/v1/search",
            Content_Type="multipart/form-data; boundary=part",
            Content_Length="1000000",
        )
        self._port = port
        self._kinds = [asks] * readers + [writes] * writers
        self._writing = [False] * readers + [True] * writers
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._hold_on)
        self.reopened = 0

    def __enter__(self) -> SlowClients:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._thread.join()

    def _hold_on(self) -> None:
        clients: list[socket.socket | None] = [None] * len(self._kinds)
        while not self._ended.wait(PAUSE_S):
            for place, sent in enumerate(self._kinds):
                clients[place] = self._kept(clients[place], sent, is_writer=self._writing[place])
        for client in clients:
            if client is not None:
                client.close()

    def _kept(
        self, client: socket.socket | None, sent: bytes, *, is_writer: bool
    ) -> socket.socket | None:
        """The client after its next byte, or the one that comes in its place."""
        try:
            if client is None:
                self.reopened += 1
                client = silent(self._port, b"")
                client.setblocking(False)
                client.send(sent)
            elif is_writer:
                client.send(b"x")
            elif client.recv(1, socket.MSG_PEEK) == b"":
                raise ConnectionResetError
        except BlockingIOError:
            return client
        except OSError:
            if client is not None:
                client.close()
            return None
        return client
