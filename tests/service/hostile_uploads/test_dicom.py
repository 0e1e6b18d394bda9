from __future__ import annotations

import struct
import zlib

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    JPEG2000Lossless,
)

from tests.service import hostile as h
from tests.service.hostile_uploads.asking import assert_refused


def _twice(keyword_bytes: bytes, other: bytes) -> bytes:
    """A file with an element twice: first as it is, then with another value."""
    file = h.dicom()
    assert file.count(keyword_bytes) == 1
    return file.replace(keyword_bytes, keyword_bytes + other)


ROWS = h.element(0x28, 0x10, "US", struct.pack("<H", 64))
RLE, J2K, JPEG = (
    "1.2.840.10008.1.2.5",
    "1.2.840.10008.1.2.4.90",
    "1.2.840.10008.1.2.4.70",
)


def j2k() -> bytes:
    """A JPEG 2000 codestream of the honest slice."""
    dataset = h.image()
    dataset.compress(JPEG2000Lossless)
    return next(pydicom.encaps.generate_frames(dataset.PixelData, number_of_frames=1))


def j2k_claiming(columns: int, rows: int) -> bytes:
    """The codestream with other dimensions in its SIZ marker and tiles as large."""
    stream = bytearray(j2k())
    place = stream.index(b"\xff\x51") + 6
    struct.pack_into(">II", stream, place, columns, rows)
    struct.pack_into(">II", stream, place + 16, columns, rows)
    return bytes(stream)


def jpeg() -> bytes:
    return h.jpeg_lossless(h.plane().view(np.uint16))


def jpeg_claiming(rows: int, columns: int) -> bytes:
    stream = bytearray(jpeg())
    struct.pack_into(">HH", stream, stream.index(b"\xff\xc3") + 5, rows, columns)
    return bytes(stream)


def deflated(content: bytes) -> bytes:
    """The file with its dataset deflated, or with ``content`` in its place."""
    plain = h.dicom()
    (meta_length,) = struct.unpack("<I", plain[140:144])
    meta = plain[: 144 + meta_length]
    uid = b"\x02\x00\x10\x00UI\x14\x00" + b"1.2.840.10008.1.2.1\0"
    longer = b"\x02\x00\x10\x00UI\x16\x00" + b"1.2.840.10008.1.2.1.99"
    meta = h.replaced(meta, uid, longer)
    meta = meta[:140] + struct.pack("<I", meta_length + 2) + meta[144:]
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return meta + squeezer.compress(content) + squeezer.flush()


DICOMS = {
    "cut off in its meta header": (lambda: h.dicom()[:150], ""),
    "cut off in its dataset": (lambda: h.dicom()[:600], ""),
    "cut off in its pixels": (lambda: h.dicom()[:-1000], "cannot be decoded"),
    "preamble alone": (lambda: bytes(128) + b"DICM", "unnamed object"),
    "random after the preamble": (
        lambda: bytes(128) + b"DICM" + np.random.default_rng(2).bytes(4000),
        "",
    ),
    "broken meta header: a length beyond the file": (
        lambda: h.replaced(h.dicom(), b"\x02\x00\x10\x00UI", b"\x02\x00\x10\x00UN"),
        "",
    ),
    "broken meta header: group length of 4 GB": (
        lambda: h.dicom()[:140] + b"\xff\xff\xff\xff" + h.dicom()[144:],
        "",
    ),
    "broken meta header: no transfer syntax": (
        lambda: h.replaced(h.dicom(), b"\x02\x00\x10\x00UI", b"\x02\x00\x11\x00UI"),
        "transfer syntax none",
    ),
    "a sequence inside a sequence, 2,000 deep": (
        lambda: h.replaced(
            h.dicom(),
            h.element(0x08, 0x60, "CS", b"CT"),
            (b"\x08\x00\x60\x11SQ\0\0\xff\xff\xff\xff\xfe\xff\x00\xe0\xff\xff\xff\xff") * 2000,
        ),
        "",
    ),
    "an executable as preamble": (lambda: b"MZ" + h.dicom()[2:], "another kind"),
    "a page as preamble": (lambda: b"<html>" + h.dicom()[6:], "another kind"),
    "a zip as preamble": (lambda: b"PK\x07\x08" + h.dicom()[4:], "another kind"),
    "a PNG as preamble": (lambda: b"\x89PNG\r\n\x1a\n" + h.dicom()[8:], "not a PNG"),
    "no Rows": (lambda: h.dicom(Rows=None), "Rows"),
    "no Columns": (lambda: h.dicom(Columns=None), "Columns"),
    "no pixels": (lambda: h.dicom(PixelData=None), "no pixels"),
    "no BitsAllocated": (
        lambda: h.replaced(h.dicom(), h.element(0x28, 0x100, "US", b"\x10\0"), b""),
        "BitsAllocated",
    ),
    "no PixelRepresentation": (
        lambda: h.replaced(h.dicom(), h.element(0x28, 0x103, "US", b"\1\0"), b""),
        "PixelRepresentation",
    ),
    "no RescaleSlope": (lambda: h.dicom(RescaleSlope=None), "RescaleSlope"),
    "no PixelSpacing": (lambda: h.dicom(PixelSpacing=None), "PixelSpacing"),
    "no ImagePositionPatient": (lambda: h.dicom(ImagePositionPatient=None), "ImagePosition"),
    "no ImageOrientationPatient": (lambda: h.dicom(ImageOrientationPatient=None), "Orientation"),
    "no Modality": (lambda: h.dicom(Modality=None), "modality"),
    "Rows twice": (
        lambda: _twice(ROWS, h.element(0x28, 0x10, "US", struct.pack("<H", 32))),
        "twice or out of order",
    ),
    "Rows twice, the other far away": (
        lambda: _twice(
            h.element(0x28, 0x103, "US", struct.pack("<H", 1)),
            h.element(0x28, 0x10, "US", struct.pack("<H", 8192)),
        ),
        "twice or out of order",
    ),
    "two values of Rows": (
        lambda: h.replaced(
            h.dicom(), ROWS, h.element(0x28, 0x10, "US", struct.pack("<HH", 64, 64))
        ),
        "Rows",
    ),
    "Rows of 32 bits, 100,000 x 100,000": (
        lambda: h.replaced(
            h.replaced(h.dicom(), ROWS, h.element(0x28, 0x10, "UL", struct.pack("<I", 100_000))),
            h.element(0x28, 0x11, "US", struct.pack("<H", 64)),
            h.element(0x28, 0x11, "UL", struct.pack("<I", 100_000)),
        ),
        "100000 x 100000",
    ),
    "Rows of 32 bits, product 2^32 * 2^32": (
        lambda: h.replaced(
            h.replaced(h.dicom(), ROWS, h.element(0x28, 0x10, "UL", b"\xff\xff\xff\xff")),
            h.element(0x28, 0x11, "US", struct.pack("<H", 64)),
            h.element(0x28, 0x11, "UL", b"\xff\xff\xff\xff"),
        ),
        "4294967295",
    ),
    "65,535 x 65,535": (lambda: h.dicom(Rows=65535, Columns=65535), "65535 x 65535"),
    "more rows than pixels": (lambda: h.dicom(Rows=128), "cannot be decoded"),
    "0 rows": (lambda: h.dicom(Rows=0), "0 x 64"),
    "more bits stored than allocated": (lambda: h.dicom(BitsStored=24), "contradicts itself"),
    "several values of BitsAllocated": (
        lambda: h.replaced(
            h.dicom(),
            h.element(0x28, 0x100, "US", b"\x10\0"),
            h.element(0x28, 0x100, "US", b"\x10\0\x10\0"),
        ),
        "contradicts itself",
    ),
    "a high bit elsewhere": (lambda: h.dicom(HighBit=3), "contradicts itself"),
    "64 bits a pixel": (lambda: h.dicom(BitsAllocated=64), "contradicts itself"),
    "a sign of 7": (lambda: h.dicom(PixelRepresentation=7), "contradicts itself"),
    "a billion frames": (lambda: h.dicom(NumberOfFrames=10**9), "1000000000 slices"),
    "two frames without places": (lambda: h.dicom(NumberOfFrames=2), "no place for each"),
    "-1 frames": (lambda: h.dicom(NumberOfFrames=-1), ""),
    "three samples": (lambda: h.dicom(SamplesPerPixel=3), "colour"),
    "a palette with indices beyond it": (
        lambda: h.dicom(
            PhotometricInterpretation="PALETTE COLOR",
            RedPaletteColorLookupTableDescriptor=[65535, 0, 16],
            RedPaletteColorLookupTableData=b"\0\0",
        ),
        "colour",
    ),
    "spacing 0": (lambda: h.dicom(PixelSpacing=[0, 0.9]), "not > 0"),
    "spacing one number": (
        lambda: h.replaced(h.dicom(), b"0.9\\0.9 ", b"0.900000"),
        "PixelSpacing",
    ),
    "spacing in words": (lambda: h.replaced(h.dicom(), b"0.9\\0.9 ", b"abc\\def "), ""),
    "spacing infinite": (lambda: h.replaced(h.dicom(), b"0.9\\0.9 ", b"inf\\inf "), ""),
    "a slope of 1e38": (lambda: h.dicom(RescaleSlope="1e38"), "infinite"),
    "a slope that is no number": (
        lambda: h.replaced(h.dicom(RescaleSlope="7.25"), b"DS\x04\x007.25", b"DS\x04\x00nan "),
        "slope",
    ),
    "a slope that is text": (
        lambda: h.replaced(h.dicom(RescaleSlope="7.25"), b"DS\x04\x007.25", b"DS\x04\x00a\\b "),
        "",
    ),
    "no transfer syntax of any standard": (
        lambda: h.replaced(h.dicom(), b"1.2.840.10008.1.2.1\0", b"1.2.840.99999.1.2.1\0"),
        "transfer syntax 1.2.840.99999.1.2.1",
    ),
    "JPEG baseline, which loses HU": (
        lambda: h.with_syntax("1.2.840.10008.1.2.4.50", b"\xff\xd8\xff\xd9"),
        "transfer syntax",
    ),
    "a film": (
        lambda: h.with_syntax("1.2.840.10008.1.2.4.102", b"\0" * 64),
        "transfer syntax",
    ),
    "a deflated dataset": (lambda: deflated(h.dicom()[400:]), ""),
    "a deflated dataset of 12 MB": (lambda: deflated(bytes(12 << 20)), "inflates to more than"),
    "RLE of nothing": (lambda: h.with_syntax(RLE, b"\0\0"), "cannot be decoded"),
    "RLE with segments beyond the frame": (
        lambda: h.with_syntax(RLE, struct.pack("<16I", 2, 4_000_000_000, 64, *[0] * 13)),
        "cannot be decoded",
    ),
    "RLE with 2^32-1 segments": (
        lambda: h.with_syntax(RLE, struct.pack("<16I", 2**32 - 1, *[64] * 15) + b"\x81\0" * 500),
        "cannot be decoded",
    ),
    "RLE of too few bytes": (
        lambda: h.with_syntax(RLE, struct.pack("<16I", 2, 64, 84, *[0] * 13) + b"\x81\0" * 20),
        "cannot be decoded",
    ),
    "RLE of one segment where two are needed": (
        lambda: h.with_syntax(RLE, struct.pack("<16I", 1, 64, *[0] * 14) + b"\x81\0" * 32),
        "cannot be decoded",
    ),
    "RLE with a literal beyond its end": (
        lambda: h.with_syntax(RLE, struct.pack("<16I", 2, 64, 66, *[0] * 13) + b"\x7f\0\x7f\0"),
        "cannot be decoded",
    ),
    "JPEG 2000 cut off": (lambda: h.with_syntax(J2K, j2k()[:90]), "cannot be decoded"),
    "JPEG 2000 of random bytes": (
        lambda: h.with_syntax(J2K, j2k()[:60] + np.random.default_rng(3).bytes(900)),
        "",
    ),
    "JPEG 2000 of other dimensions": (
        lambda: h.with_syntax(J2K, j2k_claiming(32, 32)),
        "its codestream",
    ),
    "JPEG 2000 of 2^32-1 x 2^32-1": (
        lambda: h.with_syntax(J2K, j2k_claiming(2**32 - 1, 2**32 - 1)),
        "its codestream",
    ),
    "JPEG 2000 of 60,000 x 60,000": (
        lambda: h.with_syntax(J2K, j2k_claiming(60_000, 60_000)),
        "its codestream",
    ),
    "lossless JPEG cut off": (lambda: h.with_syntax(JPEG, jpeg()[:300]), "no whole codestream"),
    "lossless JPEG of random bytes": (
        lambda: h.with_syntax(JPEG, jpeg()[:80] + np.random.default_rng(4).bytes(900)),
        "",
    ),
    "lossless JPEG of 65,535 x 65,535": (
        lambda: h.with_syntax(JPEG, jpeg_claiming(65535, 65535)),
        "its codestream",
    ),
    "lossless JPEG of other dimensions": (
        lambda: h.with_syntax(JPEG, jpeg_claiming(32, 32)),
        "its codestream",
    ),
    "JPEG-LS that is none": (
        lambda: h.with_syntax("1.2.840.10008.1.2.4.80", jpeg()),
        "no whole codestream",
    ),
    "encapsulated without being so": (
        lambda: replaced_syntax(h.dicom(), RLE),
        "",
    ),
}


def replaced_syntax(file: bytes, syntax: str) -> bytes:
    """Plain pixels under the name of an encapsulated transfer syntax of equal length."""
    return h.replaced(file, b"1.2.840.10008.1.2.1\0", syntax.encode() + b"\0")


@pytest.mark.parametrize("case", DICOMS)
def test_dicom(client, expected, case):
    make, words = DICOMS[case]
    assert_refused(client, expected, [make()], words)


SERIES = {
    "slices of several sizes": (
        [h.dicom(), h.dicom(position_mm=2.5, hu=h.plane()[:32])],
        "2 series",
    ),
    "slices of two series": (
        [h.dicom(), h.dicom(position_mm=2.5, SeriesInstanceUID="1.2.3")],
        "2 series",
    ),
    "two slices at one position": (
        [h.dicom(), h.dicom(InstanceNumber=2, hu=h.plane(3))],
        "pass 2",
    ),
    "PNG beside DICOM": ([h.png(), h.dicom()], "mixes"),
    "two volumes": ([h.nifti(), h.nifti()], "send one"),
    "a zip beside a slice": ([h.zipped({"1": h.dicom()}), h.dicom()], "send it alone"),
    "more files than accepted": ([h.png()] * 41, "1 to 40"),
    "more slices than accepted": ([h.png()] * 31, "30"),
    "one slice of nothing": ([h.png(), b""], "of no kind"),
    "slices that are too many pixels together": (
        [h.png(np.zeros((512, 512), np.int16))] * 9,
        "8 MB",
    ),
}


@pytest.mark.parametrize("case", SERIES)
def test_series(client, expected, case):
    contents, words = SERIES[case]
    png = contents[0].startswith(b"\x89PNG")
    fields = {"spacing": h.SPACING} if png else {}
    assert_refused(client, expected, contents, words, **fields)
