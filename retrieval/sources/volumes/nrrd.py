"""CT and masks from NRRD, attached or with a data file of its own (teem.sourceforge.net/nrrd).

pynrrd parses the header; the numbers are read here, so that a file never costs more than it claims
and a header never reads a file of another folder.
"""

from __future__ import annotations

import io
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
from numpy.typing import NDArray

from retrieval.sources.intensity.declared import DeclaredIntensity
from retrieval.sources.volumes.beside import data_file_beside
from retrieval.sources.volumes.blocks import Block, Packing, head_of, read_block
from retrieval.sources.volumes.stored import StoredVolume, VolumeError, one_line

MARK = b"NRRD000"
_MAX_HEADER = 1 << 20
_SPACES = {
    "left-posterior-superior": (1, 1, 1),
    "lps": (1, 1, 1),
    "right-anterior-superior": (-1, -1, 1),
    "ras": (-1, -1, 1),
    "left-anterior-superior": (1, -1, 1),
    "las": (1, -1, 1),
}
"""Space -> signs that lead to left, posterior, superior."""

_TYPES = {
    "i1": ("signed char", "int8", "int8_t"),
    "u1": ("uchar", "unsigned char", "uint8", "uint8_t"),
    "i2": ("short", "short int", "signed short", "signed short int", "int16", "int16_t"),
    "u2": ("ushort", "unsigned short", "unsigned short int", "uint16", "uint16_t"),
    "i4": ("int", "signed int", "int32", "int32_t"),
    "u4": ("uint", "unsigned int", "uint32", "uint32_t"),
    "i8": ("longlong", "long long", "long long int", "signed long long", "int64", "int64_t"),
    "u8": ("ulonglong", "unsigned long long", "unsigned long long int", "uint64", "uint64_t"),
    "f4": ("float",),
    "f8": ("double",),
}
_DTYPES = {name: code for code, names in _TYPES.items() for name in names}
_PACKINGS = {
    "raw": Packing.RAW,
    "gzip": Packing.DEFLATE,
    "gz": Packing.DEFLATE,
    "bzip2": Packing.BZIP2,
    "bz2": Packing.BZIP2,
}


@dataclass(frozen=True)
class NrrdHeader:
    """What a header says, checked.

    Attributes:
        fields: as pynrrd parses them, by their names in lower case.
        size: bytes before the data in an attached file.
        shape: (i, j, k).
        layers: of a segmentation whose segments overlap; 1 for any other volume.
    """

    path: Path
    fields: dict[str, Any]
    size: int
    shape: tuple[int, int, int]
    layers: int = 1

    @property
    def data_file(self) -> str | None:
        """The file that it names for its values; None if they follow the header."""
        named = str(self.fields.get("data file", self.fields.get("datafile", ""))).strip()
        return named or None


def read_nrrd_header(path: Path, *, is_mask: bool = False) -> NrrdHeader:
    """The header of an NRRD file; raises VolumeError unless it describes one 3D volume.

    Of a mask the first axis may be a list of layers.
    """
    head = head_of(path, _MAX_HEADER)
    ends = [(head.find(end), len(end)) for end in (b"\n\n", b"\r\n\r\n")]
    found = [(place, length) for place, length in ends if place >= 0]
    # A detached header may end with its file instead of with an empty line.
    place, length = min(found) if found else (len(head), 0)
    try:
        parsed = nrrd.read_header(io.BytesIO(head[: place + length] or b"\n"))
    except (nrrd.NRRDError, ValueError, TypeError, KeyError, IndexError, StopIteration) as wrong:
        raise VolumeError(f"{path.name} is not a readable NRRD file: {one_line(wrong)}") from None
    fields = {str(key).lower(): value for key, value in parsed.items()}
    layers = _layers(fields) if is_mask else 1
    return NrrdHeader(path, fields, place + length, _shape(path, fields, layers), layers)


def read_nrrd_layers(path: Path) -> list[StoredVolume]:
    """A mask's layers, each a volume with its own labels: segments of 3D Slicer may overlap.

    Raises VolumeError as ``read_nrrd`` does.
    """
    header = read_nrrd_header(path, is_mask=True)
    steps, origin = _geometry(header)
    block, file = _block(header)
    packed = read_block(file, block, has_header=file == path)
    i, j, k = header.shape
    values = packed.reshape(k, j, i, header.layers)
    declared = _declared(header, 8 * block.dtype.itemsize)
    return [
        StoredVolume(
            path.name,
            np.ascontiguousarray(values[..., layer]),
            steps,
            origin,
            declared,
            label_names=_label_names(header.fields, layer),
        )
        for layer in range(header.layers)
    ]


def read_nrrd(path: Path) -> StoredVolume:
    """One 3D volume of an NRRD file.

    Raises:
        VolumeError: not NRRD, not three-dimensional, no orientation, another unit of length,
            an encoding or type that is not read, or damaged.
    """
    header = read_nrrd_header(path)
    steps, origin = _geometry(header)
    block, file = _block(header)
    values = read_block(file, block, has_header=file == path)
    bits = 8 * block.dtype.itemsize
    return StoredVolume(
        path.name,
        values,
        steps,
        origin,
        _declared(header, bits),
        label_names=_label_names(header.fields),
    )


def _layers(fields: dict[str, Any]) -> int:
    """How many layers a mask has along its first axis."""
    kinds, sizes = list(fields.get("kinds", [])), np.atleast_1d(fields.get("sizes", []))
    is_layered = len(sizes) == 4 and len(kinds) == 4 and str(kinds[0]).lower() == "list"
    return max(int(sizes[0]), 1) if is_layered else 1


def _shape(path: Path, fields: dict[str, Any], layers: int) -> tuple[int, int, int]:
    sizes = [int(size) for size in np.atleast_1d(fields.get("sizes", []))]
    if layers > 1:
        sizes = sizes[1:]
    while len(sizes) > 3 and sizes[-1] == 1:
        sizes.pop()
    if len(sizes) != 3 or min(sizes) < 1:
        raise VolumeError(
            f"{path.name} has the sizes {sizes}: one 3D volume is read; save a single volume, "
            "without a time or colour axis"
        )
    return sizes[0], sizes[1], sizes[2]


def _geometry(header: NrrdHeader) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    name, fields = header.path.name, header.fields
    space = str(fields.get("space", "")).strip().lower()
    if space not in _SPACES:
        raise VolumeError(
            f"{name} has the space {space or 'none'!r}: left and right would be a guess; "
            "left-posterior-superior (or RAS, LAS) is read; save it with its orientation"
        )
    units = {str(unit).strip().strip('"').lower() for unit in fields.get("space units", [])}
    if units - {"mm", "millimeter", "millimeters", "millimetre", ""}:
        raise VolumeError(f"{name} measures in {', '.join(sorted(units))}: millimetres are read")
    directions = np.atleast_2d(_numbers(fields.get("space directions", [])))
    if directions.shape[-1:] != (3,) or len(directions) < 3:
        raise VolumeError(f"{name} has no space directions of three axes: its geometry is unknown")
    # Of layers the first axis has no direction.
    steps = directions[-3:] if header.layers > 1 else directions[:3]
    origin = _numbers(fields.get("space origin", np.zeros(3)))
    if not (np.isfinite(steps).all() and origin.shape == (3,) and np.isfinite(origin).all()):
        raise VolumeError(
            f"{name} has the space directions {steps.tolist()} and origin {origin.tolist()}: "
            "three numbers for each axis are needed"
        )
    signs = np.asarray(_SPACES[space], np.float64)
    return steps * signs, origin * signs


def _numbers(value: Any) -> NDArray[np.float64]:
    """What pynrrd parsed as numbers; empty where it left text."""
    try:
        return np.asarray(value, np.float64)
    except (TypeError, ValueError):
        return np.zeros(0)


def _block(header: NrrdHeader) -> tuple[Block, Path]:
    path, fields = header.path, header.fields
    kind = str(fields.get("type", "")).strip().lower()
    encoding = str(fields.get("encoding", "")).strip().lower()
    if kind not in _DTYPES:
        raise VolumeError(f"{path.name} holds values of the type {kind!r}: plain numbers are read")
    if encoding not in _PACKINGS:
        raise VolumeError(
            f"{path.name} has the encoding {encoding!r}: {', '.join(_PACKINGS)} are read"
        )
    endian = str(fields.get("endian", "little")).strip().lower()
    dtype = np.dtype(_DTYPES[kind]).newbyteorder("big" if endian == "big" else "little")
    i, j, k = header.shape
    named = header.data_file or ""
    lines, skipped = (_whole(header, key) for key in ("line skip", "byte skip"))
    if named.upper().startswith("LIST") or "%" in named:
        raise VolumeError(
            f"{path.name} spreads its values over several data files: one is read; save it as one"
        )
    file, offset = (data_file_beside(path, named), 0) if named else (path, header.size)
    offset += _bytes_of_lines(file, offset, lines)
    is_raw_end = skipped == -1 and _PACKINGS[encoding] is Packing.RAW
    block = Block(
        -1 if is_raw_end else offset,
        _PACKINGS[encoding],
        dtype,
        (k, j, i * header.layers),
        max(skipped, 0),
    )
    return block, file


def _whole(header: NrrdHeader, key: str) -> int:
    value = header.fields.get(key, header.fields.get(key.replace(" ", ""), 0))
    try:
        number = int(value)
    except (TypeError, ValueError):
        number = -2
    if number < -1:
        raise VolumeError(f"{header.path.name} has the {key} {value!r}: a whole number from -1")
    return number


def _bytes_of_lines(file: Path, offset: int, lines: int) -> int:
    if lines <= 0:
        return 0
    with file.open("rb") as content:
        content.seek(offset)
        return sum(len(content.readline(_MAX_HEADER)) for _ in range(min(lines, 10_000)))


def _declared(header: NrrdHeader, bits: int) -> DeclaredIntensity:
    fields = header.fields
    modality = str(fields.get("modality", "")).strip()
    unit = str(fields.get("sample units", "")).strip().strip('"')
    return DeclaredIntensity(modality=modality, rescale_type=unit, stored_bits=bits)


def _label_names(fields: dict[str, Any], layer: int = 0) -> dict[int, str]:
    """What a segmentation of 3D Slicer calls the values of a layer."""
    names: dict[int, str] = {}
    for key, value in fields.items():
        place = re.fullmatch(r"(segment\d+)_name", key)
        if place and str(fields.get(f"{place.group(1)}_layer", "0")).strip() != str(layer):
            continue
        number = place and str(fields.get(f"{place.group(1)}_labelvalue", ""))
        if number and number.isdigit() and str(value).strip():
            names[int(number)] = str(value).strip()
    return names
