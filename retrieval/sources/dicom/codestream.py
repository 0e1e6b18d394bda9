"""Encapsulated pixels judged before they are decoded: whole, of the stated kind and size.

Decoders of JPEG fill what is cut off with whatever stands there, and allocate what the codestream
claims. HU that are wrong without a word are worse than none.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Any

from pydicom.encaps import generate_frames
from pydicom.uid import (
    HTJ2K,
    JPEG2000,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    JPEGLossless,
    JPEGLosslessSV1,
    JPEGLSLossless,
    JPEGLSNearLossless,
)

from retrieval.sources.dicom.errors import DicomError

_EXTENDED, _LOSSLESS, _LS = 0xC1, 0xC3, 0xF7
_FRAME_MARKERS = {
    JPEGExtended12Bit: _EXTENDED,
    JPEGLossless: _LOSSLESS,
    JPEGLosslessSV1: _LOSSLESS,
    JPEGLSLossless: _LS,
    JPEGLSNearLossless: _LS,
}
_JPEG_2000 = frozenset({JPEG2000, JPEG2000Lossless, HTJ2K, HTJ2KLossless, HTJ2KLosslessRPCL})
_MOST_PADDING = 64
"""Bytes that may follow the end of a codestream."""

_START_OF_IMAGE, _END_OF_IMAGE, _SCAN = b"\xff\xd8", b"\xff\xd9", 0xDA
_START_OF_CODESTREAM = b"\xff\x4f\xff\x51"


def check_codestream(name: str, dataset: Any) -> None:
    """Compares the encapsulated frames with what the dataset says of them; plain pixels pass.

    Raises:
        DicomError: a frame is not whole, not of the transfer syntax' kind, or of another size.
    """
    syntax = dataset.file_meta.TransferSyntaxUID
    if syntax not in _FRAME_MARKERS and syntax not in _JPEG_2000:
        return
    count = int(dataset.get("NumberOfFrames", 1) or 1)
    frames = generate_frames(dataset.PixelData, number_of_frames=count)
    for _ in range(count):
        _check_frame(name, dataset, frames)


def _check_frame(name: str, dataset: Any, frames: Iterator[bytes]) -> None:
    syntax = dataset.file_meta.TransferSyntaxUID
    try:
        frame = next(frames)
        is_whole = _is_whole(frame)
        if syntax in _FRAME_MARKERS:
            size = _jpeg_size(frame, _FRAME_MARKERS[syntax])
        else:
            size = _jpeg_2000_size(frame)
    except (ValueError, StopIteration, struct.error, IndexError):
        size, is_whole = None, False
    if size is None or not is_whole:
        raise DicomError(
            f"{name} ({syntax.name}) cannot be decoded: its pixels are no whole codestream of it"
        )
    if size != (dataset.Rows, dataset.Columns):
        raise DicomError(
            f"{name} claims {dataset.Rows} x {dataset.Columns} pixels, its codestream {size[0]} x "
            f"{size[1]}"
        )


def _is_whole(frame: bytes) -> bool:
    """Whether the end marker is there, with no more than padding after it.

    Within compressed pixels neither JPEG nor JPEG 2000 writes FF D9. What fills a fragment to an
    even length is 00 by the Standard (PS3.5, A.4), FF or anything in the wild.
    """
    end = frame.rfind(_END_OF_IMAGE, max(0, len(frame) - _MOST_PADDING - 2))
    return end >= 0


def _jpeg_size(frame: bytes, wanted: int) -> tuple[int, int] | None:
    """(rows, columns) of the frame header with the wanted marker (ITU-T T.81, B.2.2)."""
    for marker, content in _segments(frame):
        if marker == wanted:
            rows, columns = struct.unpack(">HH", content[1:5])
            return rows, columns
    return None


def _segments(frame: bytes) -> Iterator[tuple[int, bytes]]:
    if not frame.startswith(_START_OF_IMAGE):
        return
    place = len(_START_OF_IMAGE)
    while frame[place] == 0xFF and frame[place + 1] != _SCAN:
        (length,) = struct.unpack(">H", frame[place + 2 : place + 4])
        yield frame[place + 1], frame[place + 4 : place + 2 + length]
        place += 2 + length


def _jpeg_2000_size(frame: bytes) -> tuple[int, int] | None:
    """(rows, columns) of the SIZ segment (ISO 15444-1, A.5.1); one tile or several."""
    if not frame.startswith(_START_OF_CODESTREAM):
        return None
    right, bottom, left, top = struct.unpack(">4I", frame[8:24])
    return bottom - top, right - left
