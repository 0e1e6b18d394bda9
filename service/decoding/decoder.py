"""One decoder process as the service sees it: started, fed, killed at its deadline."""

from __future__ import annotations

import logging
import os
import select
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np

import service
from retrieval.grid import GridError, GridMap
from retrieval.image import CTError, Slab
from retrieval.lesion import LesionSearchError
from service.decoding.identity import IdentifiedImage, ImageIdentity
from service.decoding.limits import DecodeLimits, UploadError
from service.decoding.reading import UploadOptions
from service.decoding.wire import (
    CHUNK_BYTES,
    WireError,
    open_shared_file,
    read_shared,
    receive_message,
    send_message,
)

logger = logging.getLogger(__name__)

_START_S = 60.0
_VOXEL_BYTES = 4
_MOST_NOTES, _NOTE_LENGTH = 50, 1000
_UPLOADS_PER_PROCESS = 1000
"""Then it is replaced: whatever a parser leaks or fragments ends with it."""


class DecoderBusyError(LesionSearchError):
    """Every decoder is at work, or none can be started."""


class DecoderStorageError(LesionSearchError):
    """The disk has no room for an upload while it is decoded."""


class Decoder:
    """One process and the socket to it."""

    def __init__(self, limits: DecodeLimits) -> None:
        self._limits = limits
        self.folder = tempfile.mkdtemp(prefix="lesion-search-")
        self._volume_file = open_shared_file()
        self._channel, theirs = socket.socketpair()
        with theirs:
            # A session of its own: Ctrl-C at the service's terminal is the service's to handle.
            self._process = subprocess.Popen(
                [
                    sys.executable,
                    "-P",
                    "-m",
                    "service.decoding.worker",
                    limits.to_text(),
                    self.folder,
                    str(self._volume_file),
                ],
                pass_fds=(self._volume_file,),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=_environment(),
                start_new_session=True,
            )
        self._started = time.monotonic()
        self._is_ready = False
        self._is_sound = True
        self._is_expired = False
        self._uploads = 0

    @property
    def process_id(self) -> int:
        """Of the operating system."""
        return self._process.pid

    def usable(self) -> bool:
        """Whether it runs, waits, and is not worn out."""
        worn_out = self._uploads >= _UPLOADS_PER_PROCESS
        if not self._is_sound or worn_out or self._process.poll() is not None:
            return False
        # An idle decoder has nothing to say: bytes or an end mean that something went wrong.
        return not (self._is_ready and select.select([self._channel], [], [], 0)[0])

    def decode(self, files: Sequence[BinaryIO], options: UploadOptions) -> IdentifiedImage:
        """One upload's slab, and whose it is.

        Raises:
            UploadError: it is refused, or the process did not survive it or was too slow.
            DecoderStorageError: the disk is full.
            DecoderBusyError: the process did not start.
        """
        self._wait_until_ready()
        self._uploads += 1
        self._is_sound = False
        watchdog = threading.Timer(self._limits.seconds, self._expire)
        watchdog.start()
        try:
            self._send(files, options)
            answer, _ = receive_message(self._channel)
            if answer.get("outcome") == "no room":
                raise DecoderStorageError("the disk has no room for the upload: free some space")
            if answer.get("outcome") == "refused":
                self._is_sound = answer.get("is_last") is False
                raise _refusal(answer)
            image = IdentifiedImage(self._receive_slab(answer), _identity(answer))
            self._is_sound = True
            return image
        except (OSError, WireError):
            self.kill()
            logger.warning("a decoder ended with status %s", self._process.returncode)
            raise UploadError(self._why_it_ended()) from None
        finally:
            watchdog.cancel()

    def interrupt(self) -> None:
        """Ends the process; whoever waits for its answer is told so."""
        self._is_sound = False
        self._process.kill()

    def kill(self) -> None:
        """Ends the process now and removes what it stored."""
        self._channel.close()
        self._process.kill()
        self._process.wait()
        if self._volume_file >= 0:
            os.close(self._volume_file)
            self._volume_file = -1
        shutil.rmtree(self.folder, ignore_errors=True)

    def _wait_until_ready(self) -> None:
        if self._is_ready:
            return
        self._channel.settimeout(max(self._started + _START_S - time.monotonic(), 0.001))
        try:
            receive_message(self._channel)
        except (OSError, WireError):
            self.kill()
            logger.error("a decoder did not start: status %s", self._process.returncode)
            raise DecoderBusyError("no decoder could be started; try again later") from None
        self._channel.settimeout(None)
        self._is_ready = True

    def _expire(self) -> None:
        """Called at the deadline: the socket then ends for whoever waits on it."""
        self._is_expired = True
        self._process.kill()

    def _why_it_ended(self) -> str:
        if self._is_expired:
            return (
                f"the upload took more than {self._limits.seconds:g} s to decode: send a part of it"
            )
        return (
            "decoding the upload needed too much memory or broke the decoder: the file is damaged "
            "or too large"
        )

    def _send(self, files: Sequence[BinaryIO], options: UploadOptions) -> None:
        sizes = [_size(file) for file in files]
        document = {
            "sizes": sizes,
            "key_slice_index": options.key_slice_index,
            "spacing_mm": options.spacing_mm,
            "half_depth_mm": options.half_depth_mm,
            "names": options.names,
            "series": options.series,
            "assume_hu": options.assume_hu,
        }
        send_message(self._channel, document, _chunks(files), sum(sizes))

    def _receive_slab(self, answer: dict[str, Any]) -> Slab:
        """The answer is judged as the upload was: the process may have been taken over."""
        try:
            slices, rows, columns = (int(side) for side in answer["shape"])
            volume_bytes = slices * rows * columns * _VOXEL_BYTES
            if min(slices, rows, columns) < 1 or volume_bytes > self._limits.max_volume_bytes:
                raise WireError("a volume of another size than allowed")
            hu = np.empty((slices, rows, columns), np.float32)
            read_shared(self._volume_file, hu.data.cast("B"))
            x_mm, y_mm = (float(value) for value in answer["spacing_mm_px"])
            return Slab(
                hu,
                (x_mm, y_mm),
                float(answer["slice_interval_mm"]),
                int(answer["key_slice"]),
                GridMap.from_json(answer["grid"]),
                notes=tuple(str(note)[:_NOTE_LENGTH] for note in answer["notes"][:_MOST_NOTES]),
            )
        except (KeyError, TypeError, ValueError, OverflowError) as wrong:
            if isinstance(wrong, CTError | GridError):
                raise UploadError(str(wrong)) from None
            raise WireError("the answer does not describe a volume") from None


def _identity(answer: dict[str, Any]) -> ImageIdentity | None:
    document = answer.get("identity")
    try:
        return None if document is None else ImageIdentity.from_json(document)
    except (KeyError, TypeError, ValueError):
        raise WireError("the answer does not describe an identity") from None


def _refusal(answer: dict[str, Any]) -> UploadError:
    defect = answer.get("defect")
    if defect is not None:
        logger.warning("an upload broke its parser: %s", str(defect)[:200])
    return UploadError(" ".join(str(answer.get("words")).split())[:2000])


def _environment() -> dict[str, str]:
    """Nothing of the service's own: it may hold secrets, and libraries read options from it."""
    return {
        "PYTHONPATH": str(Path(service.__path__[0]).parent),
        "LC_ALL": "C.UTF-8",
        "TMPDIR": tempfile.gettempdir(),
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
    }


def _size(file: BinaryIO) -> int:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    return size


def _chunks(files: Sequence[BinaryIO]) -> Iterator[bytes]:
    for file in files:
        while chunk := file.read(CHUNK_BYTES):
            yield chunk
