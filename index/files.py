"""Files of an index: their owner's alone, and on the disk when that is promised."""

from __future__ import annotations

import os
from pathlib import Path

PRIVATE_FOLDER, PRIVATE_FILE = 0o700, 0o600
"""The modes of folders and files that hold CT or a catalog."""


def private(path: str, flags: int) -> int:
    """An ``opener`` for ``open``: a file that it makes is its owner's alone."""
    return os.open(path, flags | os.O_CLOEXEC, PRIVATE_FILE)


def create_private(path: Path) -> None:
    """Makes an empty file that is its owner's alone; raises OSError, also if it is there."""
    os.close(private(str(path), os.O_WRONLY | os.O_CREAT | os.O_EXCL))


def sync_folder(folder: Path) -> None:
    """Brings a folder's entries onto the disk, so that a new file survives a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
