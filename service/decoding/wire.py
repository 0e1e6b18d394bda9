"""How the service and a decoder talk over a socket pair: header, JSON, raw bytes.

    magic (4 bytes) | length of the JSON (4) | length of the payload (8) | JSON | payload

A request's payload is the uploaded files one after another. An answer's is the volume: it lies in
a file without a name that both hold, because a megabyte through the socket wakes both sides five
times (3 ms more on two busy cores). Nothing is ever unpickled, and neither side takes more than it
was told to expect.
"""

from __future__ import annotations

import json
import os
import socket
import struct
import tempfile
from collections.abc import Iterable
from typing import Any

_HEADER = struct.Struct("!4sIQ")
_MAGIC = b"LSD1"
_MAX_JSON_BYTES = 1 << 20
CHUNK_BYTES = 1 << 20


class WireError(ConnectionError):
    """The other side ended, or did not keep to the format."""


def send_message(
    channel: socket.socket, document: dict[str, Any], payload: Iterable[Any], length: int
) -> None:
    """Sends a document and ``length`` bytes of payload, given as buffers.

    Raises:
        OSError: the other side is gone, or the socket's time is up.
        WireError: the buffers do not add up to ``length``.
    """
    encoded = json.dumps(document).encode()
    channel.sendall(_HEADER.pack(_MAGIC, len(encoded), length) + encoded)
    sent = 0
    for buffer in payload:
        view = memoryview(buffer).cast("B")
        channel.sendall(view)
        sent += len(view)
    if sent != length:
        raise WireError(f"{sent} bytes were sent where {length} were announced")


def receive_message(channel: socket.socket) -> tuple[dict[str, Any], int]:
    """The next document, and how many bytes of payload follow it.

    Raises:
        WireError: the other side has ended, or what came is no message.
    """
    magic, json_length, length = _HEADER.unpack(_exactly(channel, _HEADER.size))
    if magic != _MAGIC or json_length > _MAX_JSON_BYTES:
        raise WireError("what came is no message of a decoder")
    try:
        document = json.loads(_exactly(channel, json_length))
    except (ValueError, RecursionError):
        raise WireError("what came is not JSON") from None
    if not isinstance(document, dict):
        raise WireError("what came is no JSON object")
    return document, length


def receive_into(channel: socket.socket, target: memoryview) -> None:
    """Fills ``target`` with payload; raises WireError if the other side ends before."""
    filled = 0
    while filled < len(target):
        count = channel.recv_into(target[filled : filled + CHUNK_BYTES])
        if count == 0:
            raise WireError("the other side has ended")
        filled += count


def open_shared_file() -> int:
    """A descriptor of a file that has no name and ends with its last holder; in memory on Linux."""
    if hasattr(os, "memfd_create"):
        return os.memfd_create("lesion-search-volume")
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def write_shared(descriptor: int, source: memoryview) -> None:
    """Makes ``source`` the file's content."""
    os.ftruncate(descriptor, 0)
    done = 0
    while done < len(source):
        done += os.pwrite(descriptor, source[done:], done)


def read_shared(descriptor: int, target: memoryview) -> None:
    """Fills ``target`` from the file and empties the file; raises WireError if it is shorter."""
    done = 0
    while done < len(target):
        count = os.preadv(descriptor, [target[done:]], done)
        if count == 0:
            raise WireError("the volume is shorter than announced")
        done += count
    os.ftruncate(descriptor, 0)


def _exactly(channel: socket.socket, count: int) -> bytes:
    buffer = bytearray(count)
    receive_into(channel, memoryview(buffer))
    return bytes(buffer)
