"""gzip and zip taken apart within limits: what counts is what comes out, never what is declared.

A zip holds one series. The names of its entries give the order of its PNGs and nothing else; no
name is ever a path. An archive inside an archive is refused.
"""

from __future__ import annotations

import re
import stat
import struct
import zipfile
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from retrieval.image import CTError
from retrieval.sources.dicom.errors import DicomError
from retrieval.sources.dicom.file import plain_dicom
from retrieval.sources.query_image import ImageKind, kind_of
from retrieval.sources.volumes.reading import data_file_name
from service.decoding.limits import DecodeLimits, UploadError

GZIP = b"\x1f\x8b"
ZIP = (b"PK\x03\x04", b"PK\x05\x06")

_ARCHIVES = (
    GZIP,
    b"PK\x03\x04",
    b"PK\x05\x06",
    b"7z\xbc\xaf\x27\x1c",
    b"Rar!",
    b"BZh",
    b"\xfd7zXZ",
    b"\x28\xb5\x2f\xfd",
)
_END = struct.Struct("<4sHHHHIIH")
_END_MARK = b"PK\x05\x06"
_MAX_COMMENT = 0xFFFF
_MAX_DIRECTORY_BYTES_PER_FILE = 1024
_BROKEN = (
    zipfile.BadZipFile,
    zlib.error,
    struct.error,
    EOFError,
    OSError,
    NotImplementedError,
    RuntimeError,
)
_CHUNK = 1 << 18
_MAX_INPUT = 1 << 16


class Budget:
    """The bytes that one upload may still inflate to."""

    def __init__(self, max_bytes: int) -> None:
        self._max = max_bytes
        self._left = max_bytes

    def spend(self, count: int) -> None:
        """Takes bytes that came out; raises UploadError when there are none left."""
        self._left -= count
        if self._left < 0:
            raise UploadError(
                f"the upload inflates to more than {self._max >> 20} MB: send a part of it"
            )


def inflate_gzip(source: Path, target: Path, budget: Budget) -> None:
    """Writes what a gzip file holds, member after member.

    Raises:
        UploadError: damaged, cut off, larger than the budget, or an archive again.
    """
    with source.open("rb") as compressed, target.open("wb") as inflated:
        try:
            for chunk in _members(compressed):
                budget.spend(len(chunk))
                inflated.write(chunk)
        except (EOFError, zlib.error):
            raise UploadError("the gzip file is damaged or cut off: send it again") from None
    _refuse_archive(target, "a gzip file")


def inflate_dicom(path: Path, budget: Budget) -> None:
    """Turns a DICOM file of the deflated transfer syntax into a plain one.

    Raises:
        UploadError: damaged, or larger than the budget.
    """
    plain = path.with_name(path.name + "-plain")
    try:
        with plain.open("wb") as written:
            for chunk in plain_dicom(path):
                budget.spend(len(chunk))
                written.write(chunk)
    except (DicomError, zlib.error, struct.error, OSError) as wrong:
        raise UploadError(
            f"upload {path.name} is deflated and cannot be inflated: {wrong}"
        ) from None
    plain.rename(path)


def expand_zip(
    source: Path, folder: Path, limits: DecodeLimits, budget: Budget
) -> tuple[list[Path], int]:
    """Writes the images of a zip under numbers of our own, in order; counts the other files.

    What is of no kind that is read (a README) is left out; the data file of a volume's header is
    kept beside it.

    Raises:
        UploadError: too many entries, encrypted, links, names that leave the archive, another
            archive inside, damaged, or larger than the budget.
    """
    _check_directory(source, limits)
    try:
        with zipfile.ZipFile(source) as opened:
            entries = [entry for entry in opened.infolist() if not entry.is_dir()]
            if len(entries) > limits.max_files:
                raise UploadError(_too_many(len(entries), limits))
            for entry in entries:
                _check_entry(entry)
            entries.sort(key=lambda entry: _natural(entry.filename))
            found = []
            for number, entry in enumerate(entries, start=1):
                target = folder / f"{number:05d}"
                _copy_entry(opened, entry, target, budget)
                _refuse_archive(target, "a zip")
                found.append(target)
    except _BROKEN as wrong:
        raise UploadError(f"the zip cannot be unpacked: {wrong}") from None
    if not (images := _images_of(found)):
        raise UploadError(f"the zip holds {len(entries)} files, none of them CT: send one series")
    return images, len(entries) - len(images)


def entry_names(source: Path, limits: DecodeLimits) -> list[str]:
    """What a zip calls its files, in the order of their numbers; raises UploadError."""
    _check_directory(source, limits)
    try:
        with zipfile.ZipFile(source) as opened:
            names = [entry.filename for entry in opened.infolist() if not entry.is_dir()]
            return sorted(names, key=_natural)
    except _BROKEN as wrong:
        raise UploadError(f"the zip cannot be unpacked: {wrong}") from None


def _members(compressed: BinaryIO) -> Iterator[bytes]:
    """What comes out of a gzip file, in chunks of bounded size whatever went in."""
    inflater = zlib.decompressobj(wbits=31)
    pending = b""
    while True:
        pending = pending or compressed.read(_MAX_INPUT)
        if inflater.eof:
            pending = pending.lstrip(b"\0")
            if not pending:
                if compressed.read(1) == b"":
                    return
                compressed.seek(-1, 1)
                continue
            inflater = zlib.decompressobj(wbits=31)
        elif not pending:
            raise EOFError
        yield inflater.decompress(pending, _CHUNK)
        pending = inflater.unused_data if inflater.eof else inflater.unconsumed_tail


def _check_directory(source: Path, limits: DecodeLimits) -> None:
    """Looks at the zip's end record before a directory of any length is read into memory."""
    size = source.stat().st_size
    with source.open("rb") as file:
        file.seek(max(0, size - _MAX_COMMENT - _END.size))
        tail = file.read()
    start = tail.rfind(_END_MARK)
    if start < 0 or len(tail) - start < _END.size:
        raise UploadError("the zip is damaged or cut off: send it again")
    _, _, _, _, entries, directory_bytes, _, _ = _END.unpack_from(tail, start)
    if entries == 0xFFFF or directory_bytes == 0xFFFFFFFF:
        raise UploadError("the zip is in the zip64 format, for huge archives: send one series")
    if entries > limits.max_files:
        raise UploadError(_too_many(entries, limits))
    if directory_bytes > (limits.max_files + 1) * _MAX_DIRECTORY_BYTES_PER_FILE:
        raise UploadError("the zip's list of files is longer than any series needs")


def _check_entry(entry: zipfile.ZipInfo) -> None:
    if entry.flag_bits & 1:
        raise UploadError("the zip is encrypted: send it without a password")
    if entry.compress_type not in {zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED}:
        raise UploadError("the zip is compressed by another method than deflate: pack it again")
    mode = entry.external_attr >> 16
    if stat.S_IFMT(mode) not in {0, stat.S_IFREG}:
        raise UploadError("the zip holds a link or a device: pack the files alone")
    parts = re.split(r"[/\\]", entry.filename)
    if ".." in parts or parts[0] == "" or re.match(r"[A-Za-z]:", entry.filename):
        raise UploadError("the zip holds a name that leads out of it: pack the files alone")


def _copy_entry(
    opened: zipfile.ZipFile, entry: zipfile.ZipInfo, target: Path, budget: Budget
) -> None:
    """Writes one entry; ``ZipFile`` itself stops at the declared size and checks the checksum."""
    written_bytes = 0
    with opened.open(entry) as stream, target.open("wb") as written:
        while chunk := stream.read(_CHUNK):
            budget.spend(len(chunk))
            written_bytes += written.write(chunk)
    if written_bytes != entry.file_size:
        raise UploadError(
            f"the zip cannot be unpacked: an entry declares {entry.file_size} bytes and has "
            f"{written_bytes}"
        )


def _images_of(found: list[Path]) -> list[Path]:
    """The images, and the data file of a volume whose header has one; the others are removed."""
    images = [path for path in found if kind_of(path) is not ImageKind.UNKNOWN]
    others = [path for path in found if path not in images]
    if len(images) == len(others) == 1 and kind_of(images[0]).is_volume:
        try:
            if data_file_name(images[0]) is not None:
                return found
        except CTError as wrong:
            raise UploadError(str(wrong)) from None
    for path in others:
        path.unlink()
    return images


def _refuse_archive(path: Path, where: str) -> None:
    with path.open("rb") as file:
        if file.read(8).startswith(_ARCHIVES):
            raise UploadError(f"an archive inside {where} is not unpacked: send the images alone")


def _too_many(count: int, limits: DecodeLimits) -> str:
    return f"the zip holds {count} files: 1 to {limits.max_files} are accepted"


def _natural(name: str) -> list[tuple[int, str]]:
    """Slice 9 before slice 10."""
    return [
        (int(part), "") if part.isdecimal() else (-1, part)
        for part in re.split(r"(\d{1,18})", name)
    ]
