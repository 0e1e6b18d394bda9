"""Asks a service for its health until it is terminated: ``python -m benchmarks.health_probe``.

Its arguments are a port and a file, into which it writes the seconds that each answer took. It is a
process of its own, and imports next to nothing, so that it measures the service and not itself.
"""

from __future__ import annotations

import json
import signal
import sys
import time
from http.client import HTTPConnection, HTTPException
from pathlib import Path

PAUSE_S = 0.05
NO_ANSWER_S = 30.0
"""What a request that fails counts as."""


def asked(port: int, path: str) -> int:
    """The status of one request on a connection of its own; 0 without an answer."""
    connection = HTTPConnection("127.0.0.1", port, timeout=NO_ANSWER_S)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, HTTPException):
        return 0
    finally:
        connection.close()


def main(port: int, file: Path) -> None:
    """Asks every ``PAUSE_S``."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    spent = []
    try:
        while True:
            start = time.perf_counter()
            is_alive = asked(port, "/healthz") == 200
            spent.append(time.perf_counter() - start if is_alive else NO_ANSWER_S)
            time.sleep(PAUSE_S)
    finally:
        file.write_text(json.dumps(spent))


if __name__ == "__main__":
    main(int(sys.argv[1]), Path(sys.argv[2]))
