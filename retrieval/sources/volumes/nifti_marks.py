"""Whether a file is NIfTI, by its first bytes; imports no parser, so that asking is cheap."""

from __future__ import annotations

import struct

PAIRS = frozenset({b"ni1\0", b"ni2\0"})
"""The marks of headers whose values stand in a file of their own."""

MARKS = PAIRS | {b"n+1\0", b"n+2\0"}


def nifti_mark(head: bytes) -> bytes | None:
    """The format's mark among a file's first bytes: single file or pair; None for others."""
    for mark in (head[344:348], head[4:8]):
        if mark in MARKS:
            return mark
    return None


def is_analyze(head: bytes) -> bool:
    """Whether a file is the header of Analyze 7.5, NIfTI's forerunner without an orientation."""
    sizes = {struct.pack(order + "i", 348) for order in "<>"}
    return len(head) >= 348 and head[:4] in sizes and nifti_mark(head) is None
