"""Whether a file is DICOM, told by its first bytes; imports no parser, so that asking is cheap."""

from __future__ import annotations

import struct
from pathlib import Path

MARK = b"DICM"
PREAMBLE_BYTES = 128
_FIRST_KINDS = frozenset({b"UL", b"OB", b"UI", b"CS", b"DA", b"TM", b"LO", b"SH"})
"""What the first element of a dataset may be."""


def is_dicom(path: Path) -> bool:
    """Whether a file is DICOM by its first bytes, with a preamble or bare."""
    with path.open("rb") as file:
        return is_dicom_head(file.read(PREAMBLE_BYTES + len(MARK)))


def is_dicom_head(head: bytes) -> bool:
    """Whether a file begins as DICOM does: ``DICM`` after the preamble, or a bare dataset."""
    return head[PREAMBLE_BYTES : PREAMBLE_BYTES + len(MARK)] == MARK or _is_bare(head)


def _is_bare(head: bytes) -> bool:
    """A dataset that begins with group 0002 or 0008, explicit or implicit, little endian."""
    if len(head) < 8:
        return False
    group, element = struct.unpack_from("<HH", head)
    if group not in {0x0002, 0x0008} or element > 0x0070:
        return False
    if head[4:6] in _FIRST_KINDS:
        return True
    (length,) = struct.unpack_from("<I", head, 4)
    return bool(group == 0x0008 and length <= 256 and length % 2 == 0)
