from __future__ import annotations

import numpy as np
import pytest

from tests.service import hostile as h
from tests.service.hostile_uploads.asking import ask, assert_refused

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
