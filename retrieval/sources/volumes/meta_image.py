"""CT and masks from MetaImage: MHA, and MHD with its data file (the format of ITK and LUNA16)."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.sources.intensity.declared import DeclaredIntensity
from retrieval.sources.volumes.beside import data_file_beside
from retrieval.sources.volumes.blocks import Block, Packing, head_of, read_block
from retrieval.sources.volumes.stored import StoredVolume, VolumeError

_MAX_HEADER = 1 << 16
_FIELD = re.compile(rb"[ \t]*([A-Za-z][A-Za-z0-9_]{0,63})[ \t]*=[ \t]*([^\r\n]*)\r?\n?")
_FIRST_FIELDS = (b"ObjectType", b"NDims", b"Comment", b"ObjectSubType")
_DTYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_MATRIX = ("TransformMatrix", "Rotation", "Orientation")
_ORIGIN = ("Offset", "Position", "Origin")


@dataclass(frozen=True)
class MetaImageHeader:
    """What a header says, checked.

    Attributes:
        fields: by the names of the format.
        size: bytes before the data in a file that holds both.
        shape: (i, j, k).
    """

    path: Path
    fields: dict[str, str]
    size: int
    shape: tuple[int, int, int]

    @property
    def data_file(self) -> str | None:
        """The file that it names for its values; None if they follow the header."""
        named = self.fields["ElementDataFile"]
        return None if named.upper() == "LOCAL" else named


def is_meta_image(head: bytes) -> bool:
    """Whether a file begins as a MetaImage header does."""
    field = _FIELD.match(head)
    return field is not None and field.group(1) in _FIRST_FIELDS and b"ElementDataFile" in head


def read_meta_image_header(path: Path) -> MetaImageHeader:
    """The header of a MetaImage; raises VolumeError unless it describes one 3D volume."""
    head = head_of(path, _MAX_HEADER)
    fields: dict[str, str] = {}
    place = 0
    while (field := _FIELD.match(head, place)) is not None:
        key, value = (part.decode("ascii", "replace").strip() for part in field.groups())
        place = field.end()
        if key in fields:
            raise VolumeError(f"{path.name} says {key} twice: one of them must go")
        fields[key] = value
        if key == "ElementDataFile":
            # The format's last field: what follows is data.
            return MetaImageHeader(path, fields, place, _shape(path, fields))
    raise VolumeError(f"{path.name} is not a readable MetaImage: it names no ElementDataFile")


def read_meta_image(path: Path) -> StoredVolume:
    """One 3D volume of an MHA file, or of an MHD file with its data file beside it.

    Raises:
        VolumeError: not MetaImage, not three-dimensional, no orientation, several values a
            voxel, a type or layout that is not read, or damaged.
    """
    header = read_meta_image_header(path)
    steps, origin = _geometry(header)
    block, file = _block(header)
    values = read_block(file, block, has_header=file == path)
    modality = header.fields.get("Modality", "").upper().removeprefix("MET_MOD_")
    declared = DeclaredIntensity(
        modality="" if modality in {"UNKNOWN", "OTHER"} else modality,
        stored_bits=8 * block.dtype.itemsize,
    )
    return StoredVolume(path.name, values, steps, origin, declared)


def _shape(path: Path, fields: dict[str, str]) -> tuple[int, int, int]:
    try:
        sizes = [int(size) for size in fields.get("DimSize", "").split()]
    except ValueError:
        sizes = []
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    channels = fields.get("ElementNumberOfChannels", "1")
    if len(sizes) != 3 or min(sizes) < 1 or channels != "1":
        raise VolumeError(
            f"{path.name} has the DimSize {fields.get('DimSize', 'none')!r} with {channels} "
            "values a voxel: one 3D volume of single numbers is read; save a single volume"
        )
    return sizes[0], sizes[1], sizes[2]


def _geometry(header: MetaImageHeader) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    name, fields = header.path.name, header.fields
    dimensions = len(fields["DimSize"].split())
    key = next((key for key in _MATRIX if key in fields), None)
    if key is None:
        raise VolumeError(
            f"{name} has no TransformMatrix: left and right would be a guess; save it with its "
            "orientation"
        )
    matrix = _numbers(header, key, dimensions**2).reshape(dimensions, dimensions)[:3, :3]
    spacing = _numbers(header, _first(fields, "ElementSpacing", "ElementSize"), dimensions)[:3]
    origin = _numbers(header, _first(fields, *_ORIGIN), dimensions)[:3]
    # A row of the matrix is the direction of one axis, in x to the left, y to the back, z up.
    return matrix * spacing[:, None], origin


def _first(fields: dict[str, str], *keys: str) -> str:
    return next((key for key in keys if key in fields), keys[0])


def _numbers(header: MetaImageHeader, key: str, count: int) -> NDArray[np.float64]:
    text = header.fields.get(key)
    try:
        values = np.asarray([float(part) for part in (text or "").split()], np.float64)
    except ValueError:
        values = np.zeros(0)
    if len(values) != count or not np.isfinite(values).all():
        raise VolumeError(f"{header.path.name} has the {key} {text!r}: {count} numbers are needed")
    return values


def _block(header: MetaImageHeader) -> tuple[Block, Path]:
    path, fields = header.path, header.fields
    kind = fields.get("ElementType", "").upper()
    if kind not in _DTYPES:
        raise VolumeError(
            f"{path.name} holds values of the type {kind or 'none'!r}: plain numbers are read"
        )
    if not _is_true(fields.get("BinaryData", "True")):
        raise VolumeError(f"{path.name} holds its values as text: BinaryData = True is read")
    named = header.data_file or ""
    if named.upper().startswith("LIST") or "%" in named:
        raise VolumeError(
            f"{path.name} spreads its values over several data files: one is read; save it as one"
        )
    is_big = _is_true(fields.get("BinaryDataByteOrderMSB", fields.get("ElementByteOrderMSB", "")))
    dtype = np.dtype(_DTYPES[kind]).newbyteorder("big" if is_big else "little")
    packing = Packing.DEFLATE if _is_true(fields.get("CompressedData", "")) else Packing.RAW
    i, j, k = header.shape
    if not named:
        return Block(header.size, packing, dtype, (k, j, i)), path
    skipped = _header_size(header)
    return Block(skipped, packing, dtype, (k, j, i)), data_file_beside(path, named)


def _header_size(header: MetaImageHeader) -> int:
    text = header.fields.get("HeaderSize", "0")
    try:
        size = int(text)
    except ValueError:
        size = -2
    if size < -1:
        raise VolumeError(f"{header.path.name} has the HeaderSize {text!r}: a number from -1")
    return size


def _is_true(text: str) -> bool:
    return text.strip().lower() in {"true", "1", "t", "yes", "y"}
