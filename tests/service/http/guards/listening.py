"""A guarded application behind a real socket, served as ``lesion-search serve`` does."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import HTTPError
from urllib.request import Request, urlopen

import uvicorn
from fastapi import FastAPI

from service.http.guards.connections import server_config
from service.http.settings import Settings


def free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return int(free.getsockname()[1])


@contextmanager
def listening(app: FastAPI, settings: Settings) -> Iterator[uvicorn.Server]:
    """Serves an application on the settings' port, on a thread."""
    server = uvicorn.Server(server_config(app, settings))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        deadline = time.monotonic() + 60
        while not server.started:
            assert thread.is_alive(), "the server ended before it was ready"
            assert time.monotonic() < deadline, "the server did not start"
            time.sleep(0.02)
        yield server
    finally:
        server.should_exit = True
        thread.join(30)
        assert not thread.is_alive()


def silent(port: int, sent: bytes, *, buffer_bytes: int = 4096) -> socket.socket:
    """A connection that has sent something and reads nothing."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer_bytes)
    client.settimeout(30)
    client.connect(("127.0.0.1", port))
    client.sendall(sent)
    return client


def head(method: str, path: str, **headers: str) -> bytes:
    """The head of a request; underscores of a header's name stand for dashes."""
    named = {"Host": "127.0.0.1", **{n.replace("_", "-"): v for n, v in headers.items()}}
    lines = [f"{method} {path} HTTP/1.1", *(f"{n}: {v}" for n, v in named.items()), "", ""]
    return "\r\n".join(lines).encode()


def status_of(port: int, path: str, **headers: str) -> int:
    """What an honest client is answered."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    try:
        with urlopen(Request(f"http://127.0.0.1:{port}{path}", headers=named), timeout=30) as found:
            found.read()
            return int(found.status)
    except HTTPError as refused:
        return refused.code


def until(condition, *, within_s: float = 20.0) -> bool:
    """Whether something becomes so in time."""
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return bool(condition())
