"""One run at a time in a folder."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def alone_in(folder: Path, error: Exception) -> Iterator[None]:
    """Holds a folder for as long as it is entered; the system takes it back from a killed process.

    The folder itself is locked: no file is written into it.

    Args:
        folder: made where it is missing, its owner's alone.
        error: raised where another process, or another place of this one, holds it.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    held = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise error from None
        yield
    finally:
        os.close(held)
