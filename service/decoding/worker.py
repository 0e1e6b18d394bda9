"""The process in which uploads are decoded: ``python -m service.decoding.worker``.

Its arguments are the limits as JSON, a folder of its own, and the descriptor of the file for its
answers; its standard input is a socket to the service. It reads one upload, answers, empties its
folder and waits for the next; when the service closes the socket, or dies, it removes the folder
and ends. A parser that hangs or eats memory takes this process down and nothing else.

It must import neither torch nor the index: it has to start within a second and stay small.
"""

from __future__ import annotations

import logging
import math
import os
import resource
import shutil
import signal
import socket
import sys
import warnings
from pathlib import Path
from typing import BinaryIO

import cv2
import numpy as np

from service.decoding.identity import IdentifiedImage
from service.decoding.limits import FULL_DISK, DecodeLimits, UploadError
from service.decoding.reading import UploadOptions, read_identified
from service.decoding.wire import (
    CHUNK_BYTES,
    WireError,
    receive_into,
    receive_message,
    send_message,
    write_shared,
)

_GRACE_S = 2.0
"""The service kills at its deadline; this process ends itself a little later, if it must."""


def main(limits_text: str, folder: Path, volume_file: int) -> None:
    """Confines this process, then decodes until the service closes the socket."""
    limits = DecodeLimits.from_text(limits_text)
    # Parsers warn about what the client sent; neither its words nor their number go anywhere.
    warnings.simplefilter("ignore")
    logging.disable()
    with socket.socket(fileno=os.dup(0)) as channel:
        try:
            _confine(limits)
            send_message(channel, {"ready": True}, (), 0)
            while _serve_one(channel, volume_file, folder, limits):
                _empty(folder)
        except (OSError, WireError):
            pass  # The service is gone: there is nobody left to tell.
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def _serve_one(
    channel: socket.socket, volume_file: int, folder: Path, limits: DecodeLimits
) -> bool:
    """Reads and answers one upload; False when this process should be replaced."""
    request, _ = receive_message(channel)
    _start_clock(limits.seconds)
    files = enumerate(request["sizes"], start=1)
    if not all([_store(channel, folder / f"{number:04d}", int(size)) for number, size in files]):
        send_message(channel, {"outcome": "no room"}, (), 0)
        return False
    spacing = request["spacing_mm"]
    options = UploadOptions(
        request["key_slice_index"],
        None if spacing is None else (spacing[0], spacing[1], spacing[2]),
        request["half_depth_mm"],
        tuple(request["names"]),
        request["series"],
        request["assume_hu"],
    )
    sound = True
    try:
        image = read_identified(folder, options, limits)
    except UploadError as mistake:
        _refuse(channel, str(mistake))
    except MemoryError:
        sound = False
        words = f"the upload needs more than {limits.memory_bytes >> 20} MB to decode"
        _refuse(channel, words, is_last=True)
    except Exception as wrong:
        # Whatever a parser raises on hostile bytes is the upload's fault, and is told apart in
        # the service's log by its type and place.
        if isinstance(wrong, OSError) and wrong.errno in FULL_DISK:
            send_message(channel, {"outcome": "no room"}, (), 0)
            return False
        _refuse(channel, "the upload breaks the rules of its kind of file", defect=_place(wrong))
    else:
        _answer(channel, volume_file, image)
    signal.setitimer(signal.ITIMER_REAL, 0)
    return sound


def _answer(channel: socket.socket, volume_file: int, image: IdentifiedImage) -> None:
    slab, identity = image.slab, image.identity
    hu = np.ascontiguousarray(slab.hu, dtype=np.float32)
    document = {
        "outcome": "slab",
        "shape": hu.shape,
        "spacing_mm_px": slab.spacing_mm_px,
        "slice_interval_mm": slab.slice_interval_mm,
        "key_slice": slab.key_slice,
        "grid": slab.grid.to_json(),
        "notes": slab.notes,
        "identity": None if identity is None else identity.to_json(),
    }
    write_shared(volume_file, hu.data.cast("B"))
    send_message(channel, document, (), 0)


def _refuse(
    channel: socket.socket, words: str, *, defect: str | None = None, is_last: bool = False
) -> None:
    document = {
        "outcome": "refused",
        "words": words[:2000],
        "defect": defect,
        "is_last": is_last,
    }
    send_message(channel, document, (), 0)


def _place(wrong: Exception) -> str:
    """The exception's type and the code that raised it; never its words, which quote the file."""
    last = wrong.__traceback__
    while last is not None and last.tb_next is not None:
        last = last.tb_next
    where = "" if last is None else f" in {last.tb_frame.f_code.co_qualname}, line {last.tb_lineno}"
    return type(wrong).__name__ + where


def _store(channel: socket.socket, target: Path, size: int) -> bool:
    """Receives a file to its end; whether the disk had room for it."""
    buffer = memoryview(bytearray(min(size, CHUNK_BYTES)))
    left, has_room = size, True
    with target.open("wb", buffering=0) as file:
        while left:
            part = buffer[: min(left, len(buffer))]
            receive_into(channel, part)
            left -= len(part)
            has_room = has_room and _is_written(file, part)
    return has_room


def _is_written(file: BinaryIO, part: memoryview) -> bool:
    try:
        while part:
            part = part[file.write(part) :]
    except OSError as wrong:
        if wrong.errno not in FULL_DISK:
            raise
        return False
    return True


def _empty(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _confine(limits: DecodeLimits) -> None:
    """Bounds memory, files and descriptors of this process; no core dump holds a patient."""
    cv2.setNumThreads(1)
    standing = _address_space_bytes()
    if standing:
        _bound(resource.RLIMIT_AS, standing + limits.memory_bytes)
    _bound(resource.RLIMIT_CORE, 0)
    _bound(resource.RLIMIT_NOFILE, 64)
    largest = max(limits.max_inflated_bytes, limits.max_upload_bytes, limits.max_volume_bytes)
    _bound(resource.RLIMIT_FSIZE, largest)


def _start_clock(seconds: float) -> None:
    """The kernel ends this process when its time is up, whatever code it is in."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    cpu_s = math.ceil(used.ru_utime + used.ru_stime + seconds + _GRACE_S)
    resource.setrlimit(resource.RLIMIT_CPU, (cpu_s, resource.RLIM_INFINITY))
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.setitimer(signal.ITIMER_REAL, seconds + _GRACE_S)


def _bound(what: int, value: int) -> None:
    _, hard = resource.getrlimit(what)
    most = value if hard == resource.RLIM_INFINITY else min(value, hard)
    resource.setrlimit(what, (most, most))


def _address_space_bytes() -> int:
    """What this process has mapped; 0 where the system does not say, and does not bound it."""
    statm = Path("/proc/self/statm")
    if not statm.is_file():
        return 0
    return int(statm.read_text().split()[0]) * resource.getpagesize()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]), int(sys.argv[3]))
