"""One DICOM file as a dataset: with or without preamble and meta header, deflated or not.

Only what CT needs is parsed, and pixels are left in the file until they are wanted.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pydicom
from pydicom.dataset import FileMetaDataset
from pydicom.errors import InvalidDicomError
from pydicom.filebase import DicomBytesIO
from pydicom.filereader import read_file_meta_info
from pydicom.filewriter import write_file_meta_info
from pydicom.tag import BaseTag, Tag
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from retrieval.sources.dicom.errors import DicomError
from retrieval.sources.dicom.sniffing import MARK, PREAMBLE_BYTES
from retrieval.sources.dicom.syntaxes import DEFLATED

TAGS = [
    "SOPClassUID",
    "SOPInstanceUID",
    "Modality",
    "ImageType",
    "ConversionType",
    "SeriesInstanceUID",
    "SeriesNumber",
    "SeriesDescription",
    "InstanceNumber",
    "AcquisitionNumber",
    "TemporalPositionIdentifier",
    "ContrastBolusAgent",
    "ConvolutionKernel",
    "EchoNumbers",
    "KVP",
    "SliceThickness",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SamplesPerPixel",
    "PhotometricInterpretation",
    "PlanarConfiguration",
    "NumberOfFrames",
    "SharedFunctionalGroupsSequence",
    "PerFrameFunctionalGroupsSequence",
    "Rows",
    "Columns",
    "PixelSpacing",
    "BitsAllocated",
    "BitsStored",
    "HighBit",
    "PixelRepresentation",
    "PixelPaddingValue",
    "PixelPaddingRangeLimit",
    "RescaleIntercept",
    "RescaleSlope",
    "RescaleType",
    "BurnedInAnnotation",
    "LossyImageCompression",
    "LossyImageCompressionRatio",
    "PixelData",
]
"""All that is ever read of a file: pixels, geometry, and what tells one series from another."""

_NUMBERS: list[BaseTag] = [Tag(keyword) for keyword in TAGS]

_META_LENGTH = struct.Struct("<HH2sHI")
"""The first element of the meta header: (0002,0000), UL, 4 bytes, the length of the rest."""

_DEFER_BYTES = 16384
MOST_INFLATED_BYTES = 1 << 30
"""What a deflated dataset may inflate to."""

_CHUNK = 1 << 18
_BROKEN = (
    InvalidDicomError,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    AttributeError,
    TypeError,
    struct.error,
    zlib.error,
)


def read_dataset(path: Path, *, pixels_later: bool = False) -> Any:
    """The elements of ``TAGS``; with ``pixels_later`` pixels stay in the file until wanted.

    Raises:
        DicomError: no DICOM, damaged, or a deflated dataset of more than is inflated.
    """
    defer_bytes = _DEFER_BYTES if pixels_later else None
    try:
        with path.open("rb") as file:
            head = file.read(1024)
            file.seek(0)
            if head[PREAMBLE_BYTES : PREAMBLE_BYTES + len(MARK)] != MARK:
                dataset = pydicom.dcmread(
                    file, force=True, defer_size=defer_bytes, specific_tags=_NUMBERS
                )
                return with_syntax(dataset)
            if DEFLATED.encode() not in head:
                return pydicom.dcmread(file, defer_size=defer_bytes, specific_tags=_NUMBERS)
        return pydicom.dcmread(BytesIO(b"".join(plain_dicom(path))), specific_tags=_NUMBERS)
    except _BROKEN as wrong:
        if isinstance(wrong, DicomError):
            raise
        raise DicomError(f"{path.name} is not a readable DICOM file: {wrong}") from None


def is_deflated(path: Path) -> bool:
    """Whether a file has the deflated transfer syntax; False for what is no DICOM."""
    with path.open("rb") as file:
        head = file.read(1024)
    if head[PREAMBLE_BYTES : PREAMBLE_BYTES + len(MARK)] != MARK or DEFLATED.encode() not in head:
        return False
    try:
        return str(read_file_meta_info(path).get("TransferSyntaxUID", "")) == DEFLATED
    except _BROKEN:
        return False


def plain_dicom(path: Path, *, most_bytes: int = MOST_INFLATED_BYTES) -> Iterator[bytes]:
    """A file of the deflated transfer syntax as the same file in explicit little endian.

    Raises:
        DicomError: damaged, or more than ``most_bytes`` come out of it.
    """
    with path.open("rb") as file:
        head = file.read(PREAMBLE_BYTES + len(MARK) + _META_LENGTH.size)
        group, element, kind, _, length = _META_LENGTH.unpack_from(head, PREAMBLE_BYTES + len(MARK))
        if (group, element, kind) != (2, 0, b"UL"):
            raise DicomError(f"{path.name} is deflated and has no length of its meta header")
        file.seek(len(head) + length)
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        for keyword in ("MediaStorageSOPClassUID", "MediaStorageSOPInstanceUID"):
            if (value := read_file_meta_info(path).get(keyword)) is not None:
                setattr(meta, keyword, value)
        written = DicomBytesIO()
        written.is_little_endian, written.is_implicit_VR = True, False
        write_file_meta_info(written, meta, enforce_standard=False)
        yield head[: PREAMBLE_BYTES + len(MARK)] + written.getvalue()
        inflater, left = zlib.decompressobj(-zlib.MAX_WBITS), most_bytes
        while chunk := inflater.unconsumed_tail or file.read(_CHUNK):
            plain = inflater.decompress(chunk, _CHUNK)
            left -= len(plain)
            if left < 0:
                raise DicomError(
                    f"{path.name} inflates to more than {most_bytes >> 20} MB: send a part of it"
                )
            yield plain
            if inflater.eof:
                return
        raise DicomError(f"{path.name} is not a readable DICOM file: its deflated part is cut off")


def with_syntax(dataset: Any) -> Any:
    """A dataset without a meta header, told the transfer syntax in which it was found to be."""
    if "TransferSyntaxUID" not in dataset.file_meta:
        is_implicit, _ = dataset.original_encoding
        syntax = ImplicitVRLittleEndian if is_implicit else ExplicitVRLittleEndian
        dataset.file_meta.TransferSyntaxUID = syntax
    return dataset
