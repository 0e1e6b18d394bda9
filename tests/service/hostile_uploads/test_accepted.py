from __future__ import annotations

import io
import struct

import numpy as np
import pydicom
import pytest
from pydicom.uid import (
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGLSLossless,
    RLELossless,
)

from tests.service import hostile as h


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


def zip_of_one_file_twenty_times() -> bytes:
    """Twenty entries of the directory that share one file's bytes."""
    single = h.zipped({"1.dcm": h.dicom()})
    start, end = single.index(b"PK\x01\x02"), single.rindex(b"PK\x05\x06")
    directory = single[start:end] * 20
    tail = bytearray(single[end:])
    struct.pack_into("<HHII", tail, 8, 20, 20, len(directory), start)
    return single[:start] + directory + bytes(tail)


@pytest.mark.parametrize(
    ("files", "warnings"),
    [
        ([h.series(4)[n] for n in (0, 1, 3)], ["2.50 to 5.00 mm apart: of 3, the 2 even ones"]),
        ([zip_of_one_file_twenty_times()], ["left out: 19 copies of slices (1.dcm, 1.dcm"]),
        (
            [h.zipped({"a.dcm": h.dicom(), "DIRFILE": dicomdir(), "README": b"text"})],
            ["left out: 1 files of other kinds", "left out: 1 media directory"],
        ),
    ],
)
def test_what_was_left_out_is_told(client, files, warnings):
    sent = [("files", (f"{number}.dcm", content)) for number, content in enumerate(files)]
    # Noise without air is no CT to the judgement of HU, whose own note is not looked at here.
    answer = client.post("/v1/uploads", files=sent, data={"assume_hu": "true"})
    assert answer.status_code == 201, answer.text
    told = [note for note in answer.json()["warnings"] if "HU" not in note]
    assert len(told) == len(warnings)
    for said, wanted in zip(told, warnings, strict=True):
        assert wanted in said
