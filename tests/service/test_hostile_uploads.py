"""Hostile uploads: each is a problem document in bounded time, and the service goes on.

The names of the cases say what is wrong; the words that must be answered show that it was found
for what it is, and not by accident.
"""

from __future__ import annotations

import gzip
import io
import struct
import time
import zipfile
import zlib
from pathlib import Path

import numpy as np
import psutil
import pydicom
import pytest
from pydicom.uid import (
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)
from starlette.testclient import TestClient

from retrieval.ct import CTSlab
from retrieval.lesion import Box
from service.app import create_app
from service.settings import Settings
from tests.service import hostile as h

BOUND_S = 25.0
"""No case may take longer: the decoder has 10 s, the rest is for a busy machine."""

LIMITS = {
    "max_body_mb": 4,
    "max_volume_mb": 8,
    "max_files": 40,
    "max_slices": 30,
    "max_pixels": 1 << 20,
    "decode_s": 10,
    "decode_memory_mb": 512,
}


@pytest.fixture(scope="module")
def client(engine):
    settings = Settings(index=engine.index.path, **LIMITS)
    with TestClient(create_app(settings, engine=engine)) as opened:
        yield opened


@pytest.fixture(scope="module")
def expected(engine):
    """What the engine itself finds for the honest slice."""
    slab = CTSlab(h.plane()[np.newaxis].astype(np.float32), (0.9, 0.9), 2.5)
    box = [float(edge) for edge in h.BOX.split(",")]
    return engine.search(slab, Box(*box)).to_json()["hits"]


def ask(client, *contents, **fields):
    """Sends files to the search, under names that lead out of every folder."""
    name = "file" if len(contents) == 1 else "files"
    files = [(name, ("../../../etc/cron.d/x", content)) for content in contents]
    return client.post("/v1/search", files=files, data={"box": h.BOX, **fields})


def assert_honest_query_is_right(client, expected):
    answer = ask(client, h.png(), spacing=h.SPACING)
    assert answer.status_code == 200, answer.text
    assert answer.json()["hits"] == expected


def assert_refused(client, expected, contents, words, **fields):
    start = time.monotonic()
    answer = ask(client, *contents, **fields)
    spent = time.monotonic() - start
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    detail = answer.json()["detail"]
    assert words in detail
    assert "/tmp" not in detail
    assert "lesion-search-" not in detail
    assert spent < BOUND_S
    assert_honest_query_is_right(client, expected)


PNGS = {
    "no bytes": (b"", "of no kind"),
    "zeros": (bytes(5000), "of no kind"),
    "random": (np.random.default_rng(1).bytes(5000), "of no kind"),
    "signature alone": (b"\x89PNG\r\n\x1a\n", "not a PNG"),
    "cut off in its header": (h.png()[:25], "not a PNG"),
    "cut off in its pixels": (h.png()[:-900], "not a PNG"),
    "cut off before its end": (h.png()[:-5], "not a PNG"),
    "a zip follows": (h.png() + h.zipped({"a": b"b"}), "more follows"),
    "100,000 x 100,000": (h.png_of(h.png_header(100_000, 100_000), bytes(100)), "100000 x 100000"),
    "2^32-1 x 2^32-1": (h.png_of(h.png_header(2**32 - 1, 2**32 - 1), b""), "4294967295"),
    "65536 x 65536, 32-bit product 0": (h.png_of(h.png_header(65536, 65536), b""), "65536"),
    "0 x 64": (h.png_of(h.png_header(64, 0), b""), "0 x 64"),
    "fewer pixels than claimed": (h.png_of(h.png_header(64, 64), bytes(129)), "cannot be decoded"),
    "a deflate bomb as pixels": (
        h.png_of(h.png_header(64, 64, 8), bytes(24 << 20)),
        "8-bit",
    ),
    "a wrong checksum": (
        h.png()[:60] + bytes([h.png()[60] ^ 1]) + h.png()[61:],
        "checksum",
    ),
    "a 16-bit palette": (h.png_of(h.png_header(64, 64, 16, 3), bytes(8256)), "colour type 3"),
    "palette indices beyond the palette": (
        h.png_of(
            h.png_header(64, 64, 8, 3), (b"\0" + b"\xff" * 64) * 64, before=[(b"PLTE", bytes(3))]
        ),
        "colour type 3",
    ),
    "a palette of 1,000 colours": (
        h.png_of(h.png_header(64, 64, 8, 3), bytes(65 * 64), before=[(b"PLTE", bytes(3000))]),
        "colour type 3",
    ),
    "grey of 3 bits": (h.png_of(h.png_header(64, 64, 3), bytes(2000)), "3-bit"),
    "colour": (h.png_of(h.png_header(64, 64, 16, 2), bytes(64 * 385)), "colour type 2"),
}


@pytest.mark.parametrize("case", PNGS)
def test_png(client, expected, case):
    content, words = PNGS[case]
    assert_refused(client, expected, [content], words, spacing=h.SPACING)


def test_a_grey_png_with_transparency_or_palette_is_refused_or_read_as_it_is(client, expected):
    """libpng may turn either into colour; HU must come out, or nothing."""
    rows = (h.plane().astype(np.int32) + 32768).astype(">u2")
    pixels = b"".join(b"\0" + row.tobytes() for row in rows)
    for kind, content in ((b"tRNS", b"\x80\x28"), (b"PLTE", bytes(768)), (b"PLTE", bytes(7))):
        spoilt = h.png_of(h.png_header(64, 64), pixels, before=[(kind, content)])
        answer = ask(client, spoilt, spacing=h.SPACING)
        assert answer.status_code in {200, 422}
        if answer.status_code == 200:
            assert answer.json()["hits"] == expected
    assert ask(client, h.png_of(h.png_header(64, 64), pixels), spacing=h.SPACING).is_success


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
    "preamble alone": (lambda: bytes(128) + b"DICM", "transfer syntax none"),
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
    "a billion frames": (lambda: h.dicom(NumberOfFrames=10**9), "multi-frame"),
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
    "a deflated dataset": (lambda: deflated(h.dicom()[400:]), "transfer syntax"),
    "a deflated dataset of 12 MB": (lambda: deflated(bytes(12 << 20)), "transfer syntax"),
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
    "slices of several sizes": ([h.dicom(), h.dicom(position_mm=2.5, hu=h.plane()[:32])], "sizes"),
    "slices of two series": (
        [h.dicom(), h.dicom(position_mm=2.5, SeriesInstanceUID="1.2.3")],
        "2 series",
    ),
    "two slices at one position": ([h.dicom(), h.dicom(InstanceNumber=2)], "same position"),
    "slices with a gap": ([h.series(4)[n] for n in (0, 1, 3)], "missing"),
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


def _floats(bad: float) -> bytes:
    values = np.stack([h.plane(seed).T for seed in range(3)], axis=-1).astype(np.float32)
    values[5, 5, 1] = bad
    return h.nifti(values)


def _affine(*rows) -> bytes:
    return h.nifti_with(srow_x=rows[0], srow_y=rows[1], srow_z=rows[2], qform_code=0)


NIFTIS = {
    "not a number": (_floats(np.nan), "NaN"),
    "infinite": (_floats(np.inf), "infinite"),
    "minus infinite": (_floats(-np.inf), "infinite"),
    "a scale that makes it infinite": (h.nifti_with(scl_slope=3e38, scl_inter=0), "infinite"),
    "cut off in its header": (h.nifti()[:348], ""),
    "cut off in its values": (h.nifti()[:-9000], ""),
    "32,767 voxels a side": (h.nifti_with(dim=[3, 32767, 32767, 32767, 1, 1, 1, 1]), "32767"),
    "negative sides": (h.nifti_with(dim=[3, -64, 64, 3, 1, 1, 1, 1]), ""),
    "no sides": (h.nifti_with(dim=[3, 0, 0, 0, 1, 1, 1, 1]), ""),
    "nine dimensions": (h.nifti_with(dim=[9, 64, 64, 3, 1, 1, 1, 1]), ""),
    "five dimensions": (h.nifti_with(dim=[5, 64, 32, 3, 1, 2, 1, 1]), "dimensions"),
    "values that begin before the file": (h.nifti_with(vox_offset=-1e9), ""),
    "values that begin after the file": (h.nifti_with(vox_offset=1e9), ""),
    "values that begin nowhere": (h.nifti_with(vox_offset=np.nan), ""),
    "complex values": (h.nifti_with(datatype=32, bitpix=64), ""),
    "colours": (h.nifti_with(datatype=128, bitpix=24), ""),
    "values of a type there is none of": (h.nifti_with(datatype=999), ""),
    "eight bits": (h.nifti(np.zeros((64, 64, 3), np.uint8)), "16 bits"),
    "no orientation": (h.nifti_with(qform_code=0, sform_code=0), "orientation"),
    "an affine of zeros": (_affine([0] * 4, [0] * 4, [0] * 4), ""),
    "an affine that is no number": (_affine([np.nan] * 4, [0, 1, 0, 0], [0, 0, 1, 0]), ""),
    "axes that are one": (_affine([1, 1, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0]), ""),
    "metres": (h.nifti_with(xyzt_units=1), "metre"),
    "a header without its image": (
        h.nifti_with(magic=b"ni1", vox_offset=0)[:352],
        "",
    ),
    "gzip cut off": (h.gzipped(h.nifti())[:-40], "damaged"),
    "gzip with a wrong checksum": (
        h.gzipped(h.nifti())[:-8] + b"\0\0\0\0" + h.gzipped(h.nifti())[-4:],
        "damaged",
    ),
    "gzip followed by anything": (h.gzipped(h.nifti()) + b"anything at all", "damaged"),
    "a gzip bomb": (h.gzipped(bytes(12 << 20)), "more than 8 MB"),
    "a gzip bomb of many members": (gzip.compress(bytes(1 << 20)) * 40, "more than 8 MB"),
    "gzip inside gzip": (h.gzipped(h.nifti(), times=2), "inside a gzip"),
    "a gzip bomb inside gzip": (h.gzipped(bytes(12 << 20), times=3), "inside a gzip"),
    "a zip inside gzip": (h.gzipped(h.zipped({"1": h.dicom()})), "inside a gzip"),
}


@pytest.mark.parametrize("case", NIFTIS)
def test_nifti(client, expected, case):
    content, words = NIFTIS[case]
    assert_refused(client, expected, [content], words)


def lying_end_record() -> bytes:
    """A zip of 200 files whose end record says that there is one."""
    archive = bytearray(h.zipped({str(n): b"x" for n in range(200)}))
    place = archive.rindex(b"PK\x05\x06")
    struct.pack_into("<HH", archive, place + 8, 1, 1)
    return bytes(archive)


def overlapping() -> bytes:
    """Twenty entries of the directory that share one file's bytes."""
    single = h.zipped({"1.dcm": h.dicom()})
    start, end = single.index(b"PK\x01\x02"), single.rindex(b"PK\x05\x06")
    directory = single[start:end] * 20
    tail = bytearray(single[end:])
    struct.pack_into("<HHII", tail, 8, 20, 20, len(directory), start)
    return single[:start] + directory + bytes(tail)


FALSE_SIZE = h.zipped({"1.nii": h.nifti() + bytes(12 << 20)})
ZIPS = {
    "no entries": (h.zipped({}), "none of them CT"),
    "cut off": (h.zipped({"1": h.dicom()})[:-30], "damaged"),
    "its signature alone": (b"PK\x03\x04" + bytes(400), "damaged"),
    "a smaller size declared than inflates": (
        h.with_declared_size(FALSE_SIZE, 1000),
        "cannot be unpacked",
    ),
    "a larger size declared than inflates": (
        h.with_declared_size(h.zipped({"1.dcm": h.dicom()}), 2**32 - 2),
        "declares",
    ),
    "a bomb": (FALSE_SIZE, "more than 8 MB"),
    "a bomb of many entries": (
        h.zipped({str(n): bytes(1 << 20) for n in range(30)}),
        "more than 8 MB",
    ),
    "too many entries": (h.zipped({str(n): b"x" for n in range(41)}), "holds 41 files"),
    "more entries than its end record says": (lying_end_record(), ""),
    "entries that overlap": (overlapping(), ""),
    "a name that leads out": (h.zipped({"../../etc/cron.d/x": h.dicom()}), "leads out"),
    "a name that leads out in the middle": (h.zipped({"a/../../x": h.dicom()}), "leads out"),
    "an absolute name": (h.zipped({"/etc/cron.d/x": h.dicom()}), "leads out"),
    "a name of a drive": (h.zipped({"C:\\x.dcm": h.dicom()}), "leads out"),
    "a name with backslashes": (h.zipped({"..\\..\\x": h.dicom()}), "leads out"),
    "a link": (h.zip_of_link("/etc/passwd"), "a link"),
    "encrypted": (h.with_flag(h.zipped({"1.dcm": h.dicom()}), 1), "encrypted"),
    "LZMA": (h.zipped({"1": h.dicom()}, method=zipfile.ZIP_LZMA), "another method"),
    "a zip inside": (h.zipped({"1.zip": h.zipped({"1": h.dicom()})}), "inside a zip"),
    "a gzip inside": (h.zipped({"1.nii.gz": h.gzipped(h.nifti())}), "inside a zip"),
    "a bomb inside": (
        h.zipped({"a.zip": h.zipped({"b": bytes(12 << 20)}), "1.dcm": h.dicom()}),
        "inside a zip",
    ),
    "no CT": (h.zipped({"readme.txt": b"hello", "x.exe": b"MZ"}), "none of them CT"),
    "two kinds": (h.zipped({"1.png": h.png(), "2.dcm": h.dicom()}), "mixes"),
    "two series": (
        h.zipped({"1": h.dicom(), "2": h.dicom(position_mm=2.5, SeriesInstanceUID="1.2.3")}),
        "2 series",
    ),
    "behind a picture": (b"GIF89a" + bytes(20) + h.zipped({"1": h.dicom()}), "of no kind"),
    "a spoilt slice": (h.zipped({"1": h.dicom(), "2": h.dicom()[:400]}), ""),
    "zip64": (
        h.zipped({"1": h.dicom()})[:-22]
        + struct.pack("<4sHHHHIIH", b"PK\x05\x06", 0, 0, 0xFFFF, 0xFFFF, 2**32 - 1, 2**32 - 1, 0),
        "zip64",
    ),
}


@pytest.mark.parametrize("case", ZIPS)
def test_zip(client, expected, case):
    content, words = ZIPS[case]
    assert_refused(client, expected, [content], words)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"spacing": "nan,nan,nan"}, "spacing"),
        ({"spacing": "inf,1,1"}, "spacing"),
        ({"spacing": "-1,1,1"}, "spacing"),
        ({"spacing": "1,1,1e-300"}, "each from"),
        ({"spacing": "1e300,1e300,1"}, "each from"),
        ({"spacing": h.SPACING, "box": "nan,nan,nan,nan"}, ""),
        ({"spacing": h.SPACING, "box": "-inf,0,inf,10"}, ""),
        ({"spacing": h.SPACING, "box": "1e308,1e308,1.1e308,1.1e308"}, ""),
        ({"spacing": h.SPACING, "recist": "nan,0,0,0,0,0,0,0"}, ""),
        ({"spacing": h.SPACING, "k": "9" * 400}, ""),
        ({"spacing": h.SPACING, "key_slice_index": "9" * 30}, ""),
        ({"spacing": h.SPACING, "key_slice_index": "-9" + "9" * 3000}, ""),
        ({"spacing": h.SPACING, "patient_id": "\0"}, None),
        ({"spacing": h.SPACING, "where": "long_mm=1e999.."}, None),
    ],
)
def test_fields_of_an_honest_slice(client, expected, fields, words):
    """A refusal is told; what can be answered is."""
    answer = ask(client, h.png(), **{"box": h.BOX, **fields})
    if words is None:
        assert answer.status_code in {200, 422}
    else:
        assert answer.status_code in {200, 422} if words == "" else answer.status_code == 422
        assert words in answer.text
    assert_honest_query_is_right(client, expected)


def test_a_compressed_body_is_refused(client, expected):
    bomb = gzip.compress(bytes(12 << 20))
    headers = {"Content-Encoding": "gzip", "Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/search", content=bomb, headers=headers)
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"
    assert_honest_query_is_right(client, expected)


@pytest.mark.parametrize("length", [5 << 20, 2**63, 10**18])
def test_an_unbounded_content_length_is_refused(client, expected, length):
    headers = {
        "Content-Length": str(length),
        "Content-Type": "multipart/form-data; boundary=b",
    }
    answer = client.post("/v1/search", content=b"--b", headers=headers)
    assert answer.status_code in {400, 413}
    assert answer.headers["content-type"] == "application/problem+json"
    assert_honest_query_is_right(client, expected)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"--b\r\n\r\n",
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xff"\r\n\r\nx\r\n--b--',
        b'--b\r\nContent-Disposition: form-data; name="\xed\xa0\x80"\r\n\r\nx\r\n--b--\r\n',
        b"--b\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; name="box"\r\n\r\n' + b"1" * 2_000_000,
        b"".join(
            b'--b\r\nContent-Disposition: form-data; name="a%d"\r\n\r\n\r\n' % n
            for n in range(3000)
        )
        + b"--b--\r\n",
    ],
    ids=["empty", "cut", "no headers", "no name", "bytes", "surrogate", "header", "field", "many"],
)
def test_a_broken_form_is_refused(client, expected, body):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/search", content=body, headers=headers)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert_honest_query_is_right(client, expected)


def test_every_accepted_kind_is_read(client):
    """The limits refuse no honest upload."""
    slices = h.series()
    zipped = h.zipped({f"series/{n}.dcm": file for n, file in enumerate(slices)})
    extras = h.zipped(
        {"DICOMDIR": dicomdir(), "README.TXT": b"a viewer", "a/": b""}
        | {f"a/IM{n}": file for n, file in enumerate(slices)}
    )
    pictures = h.zipped({f"{n}.png": h.png(h.plane(n)) for n in (9, 10, 11)})
    for contents, fields, count in (
        (slices, {}, 3),
        ([zipped], {}, 3),
        ([extras], {}, 3),
        ([pictures], {"spacing": h.SPACING}, 3),
        ([h.nifti()], {}, 3),
        ([h.gzipped(h.nifti())], {}, 3),
        ([h.zipped({"a.nii": h.nifti()})], {}, 3),
        ([h.dicom()], {}, 1),
    ):
        name = "file" if len(contents) == 1 else "files"
        files = [(name, ("x", content)) for content in contents]
        answer = client.post("/v1/uploads", files=files, data=fields)
        assert answer.status_code == 201, answer.text
        held = answer.json()
        assert (held["slices"], held["rows"], held["columns"]) == (count, 64, 64)
        for position in range(count):
            number = held["first_slice_index"] + position
            path = f"/v1/uploads/{held['upload_id']}/slices/{number}"
            hu = np.frombuffer(client.get(path).content, "<i2").reshape(64, 64)
            np.testing.assert_array_equal(
                hu, h.plane(9 + position if "spacing" in fields else position)
            )


def dicomdir() -> bytes:
    dataset = h.image(PixelData=None, SOPClassUID="1.2.840.10008.1.3.10")
    dataset.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.1.3.10"
    return h.dicom(dataset)


@pytest.mark.parametrize(
    "syntax",
    [
        ImplicitVRLittleEndian,
        ExplicitVRBigEndian,
        RLELossless,
        JPEG2000Lossless,
        JPEGLSLossless,
        "1.2.840.10008.1.2.4.57",
        "1.2.840.10008.1.2.4.70",
    ],
)
@pytest.mark.parametrize("signed", [0, 1])
def test_a_transfer_syntax_gives_the_pixels_of_the_plain_file(client, syntax, signed):
    hu = h.plane() if signed else h.plane() + 1024
    dataset = h.image(hu=hu, PixelRepresentation=signed, RescaleIntercept=0 if signed else -1024)
    if "2.4.57" in syntax or "2.4.70" in syntax:
        dataset.file_meta.TransferSyntaxUID = syntax
        dataset.PixelData = pydicom.encaps.encapsulate([h.jpeg_lossless(hu.view(np.uint16))])
        dataset["PixelData"].VR = "OB"
        content = h.dicom(dataset)
    elif pydicom.uid.UID(syntax).is_compressed:
        dataset.compress(syntax)
        content = h.dicom(dataset)
    else:
        dataset.file_meta.TransferSyntaxUID = syntax
        if syntax == ExplicitVRBigEndian:
            dataset.PixelData = hu.astype(">i2").tobytes()
        target = io.BytesIO()
        dataset["PixelData"].VR = "OW"
        dataset.save_as(target)
        content = target.getvalue()
    held = client.post("/v1/uploads", files={"file": ("x", content)})
    assert held.status_code == 201, held.text
    answer = client.get(f"/v1/uploads/{held.json()['upload_id']}/slices/0")
    np.testing.assert_array_equal(np.frombuffer(answer.content, "<i2").reshape(64, 64), h.plane())


def test_at_the_end_as_many_decoders_run_as_may_and_their_folders_are_empty(client):
    decoders = client.app.state.service.decoders
    running = decoders.process_ids()
    assert 1 <= len(running) <= client.app.state.service.settings.workers
    for number in running:
        process = psutil.Process(number)
        assert process.is_running()
        folder = process.cmdline()[-2]
        assert "lesion-search-" in folder
        assert list(Path(folder).iterdir()) == []
