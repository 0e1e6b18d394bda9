"""`lesion-search serve` as a process of its own, and a client that asks it."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path

import psutil

BOUNDARY = "lesion-search-benchmark"


class Client:
    """One connection that is kept."""

    def __init__(self, port: int) -> None:
        self._connection = HTTPConnection("127.0.0.1", port, timeout=120)

    def ask(self, method: str, path: str, body: bytes = b"") -> tuple[int, bytes]:
        """Status and content of one request."""
        headers = {"Content-Type": f"multipart/form-data; boundary={BOUNDARY}"} if body else {}
        self._connection.request(method, path, body=body or None, headers=headers)
        answer = self._connection.getresponse()
        return answer.status, answer.read()


class Served:
    """The service as a process of its own, for as long as the context lasts."""

    def __init__(self, index: Path, *, batch_patches: int | None = None) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = int(free.getsockname()[1])
        words = [sys.executable, "-m", "service.cli", "serve", "--no-token", "--index", str(index)]
        environment = {
            **os.environ,
            "LESION_SEARCH_LOG_LEVEL": "warning",
            "LESION_SEARCH_REQUESTS_PER_S": "0",
        }
        if batch_patches is not None:
            environment["LESION_SEARCH_BATCH_PATCHES"] = str(batch_patches)
        self.process = subprocess.Popen([*words, "--port", str(self.port)], env=environment)

    def __enter__(self) -> Served:
        deadline = time.monotonic() + 300
        while time.monotonic() < deadline and self.process.poll() is None:
            try:
                if Client(self.port).ask("GET", "/readyz")[0] == 200:
                    return self
            except OSError:
                pass
            time.sleep(0.2)
        self.__exit__()
        raise SystemExit("the service did not become ready")

    def __exit__(self, *_: object) -> None:
        self.process.terminate()
        try:
            self.process.wait(60)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def memory_mb(self) -> float:
        """Of the service and its decoders."""
        service = psutil.Process(self.process.pid)
        family = [service, *service.children(recursive=True)]
        return sum(one.memory_info().rss for one in family) / 2**20


def form(fields: dict[str, str | bytes]) -> bytes:
    """The fields as a multipart body; the one named ``file`` is a file."""
    parts = []
    for name, value in fields.items():
        named = f'form-data; name="{name}"' + ('; filename="x"' if name == "file" else "")
        content = value if isinstance(value, bytes) else value.encode()
        head = f"--{BOUNDARY}\r\nContent-Disposition: {named}\r\n\r\n".encode()
        parts.append(head + content + b"\r\n")
    return b"".join(parts) + f"--{BOUNDARY}--\r\n".encode()
