"""Untrusted bytes -> Slab, in a process of its own (``service.decoding``), within limits.

What a client calls its files never reaches the file system; it may say whose images these are.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import BinaryIO

from service.decoding.identity import IdentifiedImage
from service.decoding.limits import DecodeLimits, UploadError
from service.decoding.pool import DecoderPool
from service.decoding.reading import UploadOptions
from service.http.settings import Settings


def decode_limits(settings: Settings) -> DecodeLimits:
    """The limits that the settings put on one upload."""
    return DecodeLimits(
        max_files=settings.max_files,
        max_upload_bytes=settings.max_body_mb << 20,
        max_slices=settings.max_slices,
        max_pixels=settings.max_pixels,
        max_inflated_bytes=settings.max_volume_mb << 20,
        max_volume_bytes=settings.max_volume_mb << 20,
        seconds=settings.decode_s,
        memory_bytes=settings.decode_memory_mb << 20,
    )


def open_decoders(settings: Settings) -> DecoderPool:
    """As many decoders as queries compute at once; none runs yet."""
    return DecoderPool(decode_limits(settings), size=settings.workers)


def read_upload(
    files: Sequence[BinaryIO], options: UploadOptions, decoders: DecoderPool
) -> IdentifiedImage:
    """The CT of one uploaded file, or of several slices of one series.

    One file may be a zip of a series. Several PNGs are consecutive slices in the order they were
    sent, numbered from 1.

    Raises:
        UploadError: a file's kind, number or size is not accepted, or it cannot be read as CT.
        DecoderBusyError: no decoder was free in time.
    """
    limits = decoders.limits
    if not 1 <= len(files) <= limits.max_files:
        raise UploadError(f"{len(files)} files were sent: 1 to {limits.max_files} are accepted")
    return decoders.decode(files, options)
