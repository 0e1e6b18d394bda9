"""A block of numbers after a header: raw or compressed, and never more bytes than it should be.

What is allocated is bounded by what the header claims, and that by what the file holds: a small
file that inflates without end, or claims a volume that it does not hold, costs nothing.
"""

from __future__ import annotations

import bz2
import gzip
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.sources.volumes.stored import VolumeError, one_line

GZIP_MARK = b"\x1f\x8b"
_CHUNK = 1 << 18


class Packing(StrEnum):
    """How a block of numbers is written."""

    RAW = "raw"
    DEFLATE = "deflate"
    BZIP2 = "bzip2"


@dataclass(frozen=True, slots=True)
class Block:
    """Where the numbers of a volume stand and what they are.

    Attributes:
        offset: bytes before them in the file; -1 if the block is the file's end.
        packing: how they are written.
        dtype: of one number, with its byte order.
        shape: (k, j, i).
        skipped: bytes left out after unpacking.
    """

    offset: int
    packing: Packing
    dtype: np.dtype[Any]
    shape: tuple[int, int, int]
    skipped: int = 0

    @property
    def bytes(self) -> int:
        """Of all numbers, unpacked; Python's own integers, so that no product overflows."""
        count = self.dtype.itemsize
        for length in self.shape:
            count *= int(length)
        return count


class _Inflater(Protocol):
    def decompress(self, data: bytes, max_length: int, /) -> bytes: ...


@contextmanager
def opened(path: Path) -> Iterator[BinaryIO]:
    """The file for reading; what gzip holds if the whole file is gzip."""
    with path.open("rb") as file:
        is_packed = file.read(2) == GZIP_MARK
        file.seek(0)
        if is_packed:
            with gzip.open(file) as inflated:
                yield inflated  # type: ignore[misc]
        else:
            yield file


def head_of(path: Path, count: int) -> bytes:
    """The first bytes of a file, inflated if it is gzip; empty where it is damaged."""
    try:
        with opened(path) as file:
            return file.read(count)
    except (OSError, EOFError, zlib.error):
        return b""


def read_block(path: Path, block: Block, *, has_header: bool) -> NDArray[Any]:
    """The numbers as an array of the block's shape, in the machine's own byte order.

    Args:
        path: the file they stand in.
        block: where, and what they are.
        has_header: the header stands in the same file, which may then be gzip as a whole; what
            packs a data file of its own is told by the header alone.

    Raises:
        VolumeError: the file is cut short or damaged.
    """
    try:
        with opened(path) if has_header else path.open("rb") as file:
            content = _content(path, file, block)
    except (OSError, EOFError, ValueError, zlib.error) as wrong:
        raise VolumeError(
            f"{path.name} is damaged: {one_line(wrong)}; copy or export it again"
        ) from None
    values = np.frombuffer(content, block.dtype).reshape(block.shape)
    return np.asarray(values, dtype=block.dtype.newbyteorder("="))


def _content(path: Path, file: BinaryIO, block: Block) -> bytes | bytearray:
    wanted = block.bytes
    if block.offset < 0:
        file.seek(0, 2)
        start = file.tell() - wanted
        if start < 0:
            raise _cut_short(path, wanted, file.tell())
        file.seek(start)
    else:
        file.seek(block.offset)
    if block.packing is Packing.RAW or _is_unpacked(path, block):
        file.seek(block.skipped, 1)
        content: bytes | bytearray = _exactly(file, wanted)
    else:
        content = _inflated(file, block)
    if len(content) < wanted:
        raise _cut_short(path, wanted, len(content))
    return content


def _is_unpacked(path: Path, block: Block) -> bool:
    """Whether a data file was unpacked on its way, which its header cannot know."""
    return block.offset == 0 and path.stat().st_size == block.skipped + block.bytes


def _exactly(file: BinaryIO, wanted: int) -> bytearray:
    """Up to ``wanted`` bytes, taken as they come: a claim alone allocates nothing."""
    content = bytearray()
    while len(content) < wanted and (chunk := file.read(min(wanted - len(content), 1 << 24))):
        content += chunk
    return content


def _inflated(file: BinaryIO, block: Block) -> bytearray:
    inflater = _inflater(block.packing)
    wanted = block.skipped + block.bytes
    content = bytearray()
    pending = file.read(_CHUNK)
    while pending and len(content) < wanted:
        content += inflater.decompress(pending, wanted - len(content))
        if getattr(inflater, "eof", False):
            break
        left = getattr(inflater, "unconsumed_tail", b"")
        needs_more = getattr(inflater, "needs_input", not left)
        pending = left or (file.read(_CHUNK) if needs_more else b"\0")
    return content[block.skipped :]


def _inflater(packing: Packing) -> _Inflater:
    # 47: zlib tells a header of its own from one of gzip, as ITK has it do.
    return bz2.BZ2Decompressor() if packing is Packing.BZIP2 else zlib.decompressobj(wbits=47)


def _cut_short(path: Path, wanted: int, found: int) -> VolumeError:
    return VolumeError(
        f"{path.name} is cut short: its header tells of {wanted} bytes of values, {found} are "
        "there; copy or export it again"
    )
