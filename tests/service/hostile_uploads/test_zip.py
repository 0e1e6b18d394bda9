from __future__ import annotations

import struct
import zipfile

import pytest

from tests.service import hostile as h
from tests.service.hostile_uploads.asking import assert_refused


def lying_end_record() -> bytes:
    """A zip of 200 files whose end record says that there is one."""
    archive = bytearray(h.zipped({str(n): b"x" for n in range(200)}))
    place = archive.rindex(b"PK\x05\x06")
    struct.pack_into("<HH", archive, place + 8, 1, 1)
    return bytes(archive)


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
