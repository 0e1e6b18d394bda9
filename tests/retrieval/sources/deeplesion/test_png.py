"""Reading 16-bit PNGs: the coding, and a plain error for everything else."""

from __future__ import annotations

import resource
import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from retrieval.sources.deeplesion.png import decode_deeplesion_pixels, read_deeplesion_png
from retrieval.sources.errors import ArchiveError
from retrieval.sources.row_problem import ProblemReason, RowError


def encode(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


GREY16 = (np.arange(12 * 10, dtype=np.uint16) * 30 + 32768 - 1024).reshape(12, 10)


def test_real_slices_match_pillow(real_data: Path) -> None:
    paths = sorted((real_data / "deeplesion_sample" / "Images_png").glob("*/*.png"))
    assert len(paths) == 109
    for path in paths[::7]:
        hu = read_deeplesion_png(path)
        with Image.open(path) as picture:
            pixels = np.asarray(picture).astype(np.int64)
        assert hu.dtype == np.float32
        np.testing.assert_array_equal(hu, pixels - 32768)


def with_header(encoded: bytes, columns: int, rows: int) -> bytes:
    header = b"IHDR" + struct.pack(">II", columns, rows) + encoded[24:29]
    return encoded[:12] + header + struct.pack(">I", zlib.crc32(header)) + encoded[33:]


def with_bad_pixels() -> bytes:
    """Sound chunks whose compressed pixels are not zlib data."""
    whole = encode(GREY16)
    chunk = b"IDAT" + b"no zlib data here"
    ending = whole[-12:]
    packed = struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return whole[:33] + packed + ending


BAD = {
    "8-bit": (encode(GREY16.astype(np.uint8)), ProblemReason.EIGHT_BIT_IMAGE, "8-bit PNG"),
    "colour": (encode(np.zeros((8, 8, 3), np.uint16)), ProblemReason.COLOUR_IMAGE, "plain grey"),
    "alpha": (encode(np.zeros((8, 8, 4), np.uint8)), ProblemReason.COLOUR_IMAGE, "plain grey"),
    "empty": (b"", ProblemReason.UNDECODABLE_IMAGE, "not a PNG"),
    "text": (b"patient,study\n" * 9, ProblemReason.UNDECODABLE_IMAGE, "not a PNG"),
    "jpeg": (
        cv2.imencode(".jpg", np.zeros((8, 8), np.uint8))[1].tobytes(),
        ProblemReason.UNDECODABLE_IMAGE,
        "not a PNG",
    ),
    "cut off": (encode(GREY16)[:-20], ProblemReason.UNDECODABLE_IMAGE, "cut off after"),
    "no end": (encode(GREY16)[:-12], ProblemReason.UNDECODABLE_IMAGE, "cut off after"),
    "flipped": (
        encode(GREY16)[:60] + b"\x00\xff" + encode(GREY16)[62:],
        ProblemReason.UNDECODABLE_IMAGE,
        "checksum is wrong at byte",
    ),
    "not zlib": (with_bad_pixels(), ProblemReason.UNDECODABLE_IMAGE, "cannot be decoded"),
    "bomb": (
        with_header(encode(GREY16), 2**31 - 1, 2**31 - 1),
        ProblemReason.WRONG_IMAGE_SIZE,
        "1 to 4096 a side",
    ),
    "no pixels": (with_header(encode(GREY16), 0, 5), ProblemReason.WRONG_IMAGE_SIZE, "claims"),
    "plain HU + 1024": (
        encode(GREY16 - np.uint16(32768 - 1024)),
        ProblemReason.NOT_HOUNSFIELD,
        "below air",
    ),
}


@pytest.mark.parametrize("kind", BAD)
def test_other_files_are_refused(kind: str, tmp_path: Path) -> None:
    encoded, reason, words = BAD[kind]
    path = tmp_path / "slice.png"
    path.write_bytes(encoded)
    with pytest.raises(ArchiveError, match=words) as caught:
        read_deeplesion_png(path)
    assert isinstance(caught.value, RowError)
    assert caught.value.reason is reason
    assert "slice.png" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_size_and_presence_are_checked(tmp_path: Path) -> None:
    assert decode_deeplesion_pixels(encode(GREY16), name="a", image_size=(12, 10)).shape == (12, 10)
    with pytest.raises(RowError, match="12 x 10 pixels: its table row says 10 x 12") as caught:
        decode_deeplesion_pixels(encode(GREY16), name="a", image_size=(10, 12))
    assert caught.value.reason is ProblemReason.WRONG_IMAGE_SIZE
    with pytest.raises(RowError, match="does not exist") as caught:
        read_deeplesion_png(tmp_path / "none.png")
    assert caught.value.reason is ProblemReason.MISSING_FILE
    with pytest.raises(RowError, match="directory"):
        read_deeplesion_png(tmp_path)


@pytest.mark.parametrize(
    ("sides", "words"), [((39_000, 39_000), "claims 39000 x 39000"), ((64, 64), "more than 33 MB")]
)
def test_of_a_file_of_gigabytes_only_the_beginning_is_read(
    tmp_path: Path, sides: tuple[int, int], words: str
) -> None:
    """3 GB in an archive took 3 GB of memory before its header was looked at."""
    path = tmp_path / "slice.png"
    path.write_bytes(with_header(encode(GREY16), *sides))
    with path.open("r+b") as file:
        file.truncate(3 << 30)  # without blocks on the disk
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with pytest.raises(RowError, match=words):
        read_deeplesion_png(path)
    grown_mb = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) >> 10
    assert grown_mb < 100
