"""A real service process on a free loopback port, always stopped."""

from __future__ import annotations

import json
import resource
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import Request, urlopen

START_S = 240.0
"""Importing torch alone may take a minute on a busy machine."""


class ServiceProcess:
    """``lesion-search serve`` as a process; ``url`` is where it answers."""

    def __init__(
        self, index: Path, encoder: Path, log: Path, *, descriptors: int | None = None
    ) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.log = log
        words = ["serve", "--no-token", "--index", index, "--encoder", encoder, "--port", self.port]
        command = [sys.executable, "-m", "service.cli", *(str(word) for word in words)]
        with log.open("w") as written:
            self.process = subprocess.Popen(command, stderr=written)
        if descriptors is not None:
            resource.prlimit(self.process.pid, resource.RLIMIT_NOFILE, (descriptors, descriptors))

    def wait_until_ready(self) -> dict[str, Any]:
        """What ``readyz`` says when it says yes."""
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline:
            assert self.process.poll() is None, self.log.read_text()
            try:
                with urlopen(f"{self.url}/readyz", timeout=10) as answer:
                    return dict(json.load(answer))
            except (URLError, TimeoutError, ConnectionError):
                time.sleep(0.2)
        raise AssertionError("the service did not become ready")

    def ask(self, method: str, path: str, form: dict[str, Any] | None = None) -> tuple[int, Any]:
        """Status and JSON of one request; a form's bytes are sent as files."""
        body, headers = (None, {}) if form is None else multipart(form)
        request = Request(f"{self.url}{path}", data=body, headers=headers, method=method)
        try:
            with urlopen(request, timeout=120) as answer:
                content = answer.read()
                return answer.status, json.loads(content) if content else None
        except URLError as refused:
            status = getattr(refused, "code", None)
            if status is None:
                raise
            return int(status), json.loads(refused.read())


@contextmanager
def service_process(
    index: Path, encoder: Path, folder: Path, *, descriptors: int | None = None
) -> Iterator[ServiceProcess]:
    """A service that was asked to start, with so many descriptors; killed at the end."""
    service = ServiceProcess(index, encoder, folder / "service.log", descriptors=descriptors)
    try:
        yield service
    finally:
        service.process.kill()
        service.process.wait()


def multipart(form: dict[str, Any]) -> tuple[bytes, dict[str, str]]:
    """A form as multipart/form-data, and its headers."""
    parts = []
    for name, value in form.items():
        is_file = isinstance(value, bytes)
        disposition = f'form-data; name="{name}"' + ('; filename="x"' if is_file else "")
        content = value if is_file else str(value).encode()
        head = f"--part\r\nContent-Disposition: {disposition}\r\n\r\n".encode()
        parts.append(head + content + b"\r\n")
    body = b"".join(parts) + b"--part--\r\n"
    return body, {"Content-Type": "multipart/form-data; boundary=part"}
