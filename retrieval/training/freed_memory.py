"""Memory that a step has freed is kept for the next one instead of going back to the system.

A step's feature maps are larger than the C library likes to keep. It gives each back when it is
freed, and the system clears every page anew when it is asked for again: on a CPU a third to a half
of a step (mallopt(3), M_MMAP_MAX and M_TRIM_THRESHOLD).
"""

from __future__ import annotations

import ctypes
import sys

_TRIM_THRESHOLD, _MMAP_MAX = -1, -4
_LARGEST = 2**31 - 1


def keep_freed_memory() -> bool:
    """Asks the C library of this process for it; False where it is not glibc, and all is as was."""
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError):
        return False
    return bool(mallopt(_MMAP_MAX, 0)) and bool(mallopt(_TRIM_THRESHOLD, _LARGEST))
