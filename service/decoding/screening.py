"""What a file claims of its size, judged before it is parsed and any pixel decoded.

Numbers are Python's own here, so that no product of dimensions overflows.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from pathlib import Path

from pydicom.filereader import read_partial
from pydicom.tag import BaseTag, Tag

from retrieval.image import CTError
from retrieval.lesion import LesionSearchError
from retrieval.sources.dicom.file import with_syntax
from retrieval.sources.dicom.header import BITS, check_bits
from retrieval.sources.dicom.objects import stray_kind
from retrieval.sources.dicom.syntaxes import check_syntax
from retrieval.sources.query_image import ImageKind, kind_of
from retrieval.sources.volumes.reading import claimed_shape
from service.decoding.limits import DecodeLimits, UploadError

BYTES_PER_VOXEL = 4
_PNG_END = b"\x00\x00\x00\x00IEND\xaeB`\x82"

_PIXEL_DATA = 0x7FE00010
_TAGS: list[BaseTag | int] = [
    Tag(keyword)
    for keyword in (
        "SOPClassUID",
        "Modality",
        "ImageType",
        "BurnedInAnnotation",
        "NumberOfFrames",
        "Rows",
        "Columns",
        *BITS,
    )
]

_OTHER_KINDS = (b"MZ", b"\x7fELF", b"PK", b"%PDF", b"GIF8", b"\xff\xd8\xff", b"<", b"#!")
"""How the preamble of a DICOM file begins that wants to be another kind of file as well."""


def screen(files: Sequence[Path], limits: DecodeLimits) -> None:
    """Refuses what claims to be larger than the limits; ``files`` are of one kind.

    Raises:
        UploadError: with what was claimed and what is accepted.
    """
    if len(files) > limits.max_slices:
        raise UploadError(
            f"{len(files)} slices were sent: at most {limits.max_slices} are accepted"
        )
    kind = kind_of(files[0])
    if kind is ImageKind.PNG:
        for file in files:
            _screen_png(file, len(files), limits)
    elif kind is ImageKind.DICOM:
        _screen_series([_screen_dicom(file, limits) for file in files], limits)
    elif kind.is_volume:
        _screen_volume(files[0], kind, limits)


def _screen_series(claimed: Sequence[tuple[int, int, int]], limits: DecodeLimits) -> None:
    """The images of all files together; (frames, rows, columns) each."""
    frames = sum(one[0] for one in claimed)
    if frames:
        largest = max(rows for _, rows, _ in claimed), max(columns for *_, columns in claimed)
        _check_size("the upload", (frames, *largest), limits)


def _screen_png(path: Path, slices: int, limits: DecodeLimits) -> None:
    with path.open("rb") as file:
        head = file.read(33)
        file.seek(max(0, path.stat().st_size - len(_PNG_END)))
        end = file.read()
    if len(head) == 33 and head[12:16] == b"IHDR":
        columns, rows = struct.unpack(">II", head[16:24])
        _check_size(path.name, (slices, rows, columns), limits)
    if end != _PNG_END:
        raise UploadError(
            f"{path.name} is not a PNG from start to end: it is cut off, or more follows it"
        )


def _screen_dicom(path: Path, limits: DecodeLimits) -> tuple[int, int, int]:
    """(frames, rows, columns) that a file claims; no frame where it is no image of a series."""
    with path.open("rb") as file:
        head = file.read(144)
    if head.startswith(_OTHER_KINDS):
        raise UploadError(f"{path.name} is DICOM and another kind of file at once: refused")
    _check_meta_length(path, head)
    try:
        with path.open("rb") as file:
            header = with_syntax(
                read_partial(
                    file, _ascending_until_pixels(path.name), force=True, specific_tags=_TAGS
                )
            )
        if stray_kind(header) is not None:
            return 0, 1, 1
        check_syntax(path.name, header.file_meta.get("TransferSyntaxUID"))
        sizes = [header.get(keyword) for keyword in ("Rows", "Columns")]
        frames = header.get("NumberOfFrames") or 1
        if not all(isinstance(size, int) for size in (*sizes, frames)):
            raise UploadError(
                f"{path.name} has no Rows or Columns, or several: one number is needed"
            )
        check_bits(path.name, header)
    except (LesionSearchError, MemoryError):
        raise
    except Exception as wrong:
        raise UploadError(f"{path.name} is not a readable DICOM file: {wrong}") from None
    size = (int(frames), sizes[0], sizes[1])
    _check_size(path.name, size, limits)
    return size


def _check_meta_length(path: Path, head: bytes) -> None:
    """The meta header's own length, which parsers skip by, must end within the file."""
    if head[132:140] == b"\x02\x00\x00\x00UL\x04\x00" and len(head) == 144:
        (length,) = struct.unpack("<I", head[140:])
        if len(head) + length > path.stat().st_size:
            raise UploadError(f"{path.name} claims a meta header of {length} bytes: it is cut off")


def _ascending_until_pixels(name: str) -> Callable[[BaseTag, str | None, int], bool]:
    """Ends before the pixels; the Standard (PS3.5, 7.1) has each tag once, in ascending order.

    Of two Rows one would be checked and the other obeyed.
    """
    last = -1

    def reached(tag: BaseTag, _vr: str | None, _length: int) -> bool:
        nonlocal last
        if tag <= last:
            raise UploadError(f"{name} has the element {tag} twice or out of order")
        last = int(tag)
        return last >= _PIXEL_DATA

    return reached


def _screen_volume(path: Path, kind: ImageKind, limits: DecodeLimits) -> None:
    try:
        shape = list(claimed_shape(path))
    except (MemoryError, CTError):
        raise
    except Exception as wrong:
        raise UploadError(f"{path.name} is not a readable {kind} file: {wrong}") from None
    while len(shape) > 3 and shape[-1] == 1:
        shape.pop()
    if len(shape) != 3:
        raise UploadError(f"{path.name} has {len(shape)} dimensions: one 3D volume is needed")
    # Which axis runs along the body is not known yet: the strictest reading is the shortest one.
    shortest, middle, longest = sorted(shape)
    _check_size(path.name, (shortest, middle, longest), limits)


def _check_size(name: str, size: tuple[int, int, int], limits: DecodeLimits) -> None:
    slices, rows, columns = size
    claims = f"{name} claims {slices} slices of {rows} x {columns} pixels"
    if min(size) < 1 or rows * columns > limits.max_pixels or slices > limits.max_slices:
        raise UploadError(
            f"{claims}: at most {limits.max_slices} slices of {limits.max_pixels} pixels are read"
        )
    if slices * rows * columns * BYTES_PER_VOXEL > limits.max_volume_bytes:
        raise UploadError(
            f"{claims}: a volume of at most {limits.max_volume_bytes >> 20} MB is read; send fewer"
        )
