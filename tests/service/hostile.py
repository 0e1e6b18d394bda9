"""Honest CT as bytes of every accepted kind, and the tools to spoil them."""

from __future__ import annotations

import gzip
import io
import struct
import zipfile
import zlib
from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import nibabel as nib
import numpy as np
from numpy.typing import NDArray
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.encaps import encapsulate
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

SIDE = 64
SPACING = "0.9,0.9,2.5"
BOX = "20,20,44,40"
SERIES_UID = "1.2.826.0.1.3680043.8.498.77"


def plane(seed: int = 0) -> NDArray[np.int16]:
    """(64, 64) whole HU: a bright ellipse on noise."""
    rows, columns = np.mgrid[:SIDE, :SIDE]
    noise = np.random.default_rng(seed).normal(40, 20, (SIDE, SIDE))
    inside = ((columns - 32) / 12) ** 2 + ((rows - 30) / 9) ** 2 < 1
    return np.rint(noise + np.where(inside, 90, 0)).astype(np.int16)


def png(hu: NDArray[np.int16] | None = None) -> bytes:
    """16-bit grey, HU + 32768."""
    hu = plane() if hu is None else hu
    return bytes(cv2.imencode(".png", (hu.astype(np.int32) + 32768).astype(np.uint16))[1])


def png_of(header: bytes, pixels: bytes, *, before: Sequence[tuple[bytes, bytes]] = ()) -> bytes:
    """A PNG of chunks with right checksums, whatever is in them."""
    chunks = [(b"IHDR", header), *before, (b"IDAT", zlib.compress(pixels)), (b"IEND", b"")]
    return b"\x89PNG\r\n\x1a\n" + b"".join(map(_chunk, chunks))


def _chunk(chunk: tuple[bytes, bytes]) -> bytes:
    kind, content = chunk
    checksum = zlib.crc32(kind + content)
    return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", checksum)


def png_header(columns: int, rows: int, bits: int = 16, colour: int = 0) -> bytes:
    return struct.pack(">IIBBBBB", columns, rows, bits, colour, 0, 0, 0)


def image(position_mm: float = 0.0, hu: NDArray[np.int16] | None = None, **changes: Any) -> Dataset:
    """One CT image; ``changes`` set elements, None removes one."""
    hu = plane() if hu is None else hu
    dataset = Dataset()
    dataset.preamble = b"\0" * 128
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.MediaStorageSOPClassUID = CTImageStorage
    dataset.file_meta.MediaStorageSOPInstanceUID = generate_uid(entropy_srcs=[str(position_mm)])
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID
    dataset.Modality = "CT"
    dataset.SliceThickness = 2.5
    dataset.StudyInstanceUID = SERIES_UID + ".1"
    dataset.SeriesInstanceUID = SERIES_UID
    dataset.ImagePositionPatient = [0, 0, position_mm]
    dataset.ImageOrientationPatient = [1, 0, 0, 0, 1, 0]
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.Rows, dataset.Columns = hu.shape
    dataset.PixelSpacing = [0.9, 0.9]
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    dataset.RescaleIntercept, dataset.RescaleSlope = 0, 1
    dataset.PixelData = hu.astype("<i2").tobytes()
    for name, value in changes.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    return dataset


def dicom(dataset: Dataset | None = None, **changes: Any) -> bytes:
    """The bytes of an image, as a file."""
    dataset = image(**changes) if dataset is None else dataset
    target = io.BytesIO()
    dataset.save_as(target, enforce_file_format=True)
    return target.getvalue()


def with_syntax(syntax: str, pixels: bytes, **changes: Any) -> bytes:
    """A file that says its pixels are encoded so, whatever they are."""
    dataset = image(**changes)
    dataset.file_meta.TransferSyntaxUID = syntax
    dataset.PixelData = encapsulate([pixels])
    dataset["PixelData"].VR = "OB"
    return dicom(dataset)


def element(group: int, number: int, vr: str, content: bytes) -> bytes:
    """One explicit little-endian element of a short VR."""
    return struct.pack("<HH2sH", group, number, vr.encode(), len(content)) + content


def replaced(file: bytes, old: bytes, new: bytes) -> bytes:
    """The file with one occurrence of ``old`` replaced; it must be there."""
    assert file.count(old) >= 1
    return file.replace(old, new, 1)


def nifti(values: NDArray[Any] | None = None, affine: NDArray[Any] | None = None) -> bytes:
    """A volume of 64 x 64 x 3, as .nii."""
    if values is None:
        values = np.stack([plane(seed).T for seed in range(3)], axis=-1)
    affine = np.diag([-0.9, -0.9, 2.5, 1.0]) if affine is None else affine
    volume = nib.Nifti1Image(values, affine)
    return bytes(volume.to_bytes())


def nifti_with(**fields: Any) -> bytes:
    """A volume whose header fields are overwritten, unchecked, after the pixels are in place."""
    content = bytearray(nifti())
    header = np.frombuffer(content, nib.nifti1.header_dtype, count=1)
    for name, value in fields.items():
        header[name] = value
    return bytes(content)


def zipped(entries: Mapping[str, bytes], *, method: int = zipfile.ZIP_DEFLATED) -> bytes:
    target = io.BytesIO()
    with zipfile.ZipFile(target, "w", method) as file:
        for name, content in entries.items():
            file.writestr(name, content)
    return target.getvalue()


def with_declared_size(archive: bytes, size: int) -> bytes:
    """The zip of one entry with another size declared, in both places that declare it."""
    content = bytearray(archive)
    struct.pack_into("<I", content, 22, size)
    struct.pack_into("<I", content, archive.rindex(b"PK\x01\x02") + 24, size)
    return bytes(content)


def with_flag(archive: bytes, flag: int) -> bytes:
    """The zip of one entry with a general-purpose flag set, in both places."""
    content = bytearray(archive)
    for place in (6, archive.rindex(b"PK\x01\x02") + 8):
        struct.pack_into("<H", content, place, flag)
    return bytes(content)


def zip_of_link(target: str) -> bytes:
    entry = zipfile.ZipInfo("1.dcm")
    entry.create_system = 3
    entry.external_attr = 0o120777 << 16
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(entry, target)
    return archive.getvalue()


def series(count: int = 3) -> list[bytes]:
    """The files of one series, feet to head."""
    return [dicom(position_mm=2.5 * n, hu=plane(n)) for n in range(count)]


def gzipped(content: bytes, *, times: int = 1) -> bytes:
    for _ in range(times):
        content = gzip.compress(content)
    return content


def jpeg_lossless(pixels: NDArray[np.uint16]) -> bytes:
    """ITU-T T.81 process 14, predictor 1: the encoder that no library here has.

    One Huffman table: 17 categories, each with a code of five bits.
    """
    rows, columns = pixels.shape
    values = pixels.astype(np.int64)
    predicted = np.empty_like(values)
    predicted[:, 1:] = values[:, :-1]
    predicted[1:, 0] = values[:-1, 0]
    predicted[0, 0] = 1 << 15
    bits = []
    for difference in ((values - predicted + 32768) % 65536 - 32768).ravel():
        size = int(abs(difference)).bit_length()
        bits.append(f"{size:05b}")
        if 0 < size < 16:
            extra = difference if difference > 0 else difference + (1 << size) - 1
            bits.append(f"{int(extra):0{size}b}")
    text = "".join(bits)
    text += "1" * (-len(text) % 8)
    scan = int(text, 2).to_bytes(len(text) // 8, "big").replace(b"\xff", b"\xff\x00")
    frame = struct.pack(">BHHB", 16, rows, columns, 1) + bytes([1, 0x11, 0])
    table = bytes([0]) + bytes([0, 0, 0, 0, 17] + [0] * 11) + bytes(range(17))
    start = bytes([1, 1, 0, 1, 0, 0])
    parts = [(0xC3, frame), (0xC4, table), (0xDA, start)]
    segments = [struct.pack(">BBH", 0xFF, mark, len(body) + 2) + body for mark, body in parts]
    return b"\xff\xd8" + b"".join(segments) + scan + b"\xff\xd9"
