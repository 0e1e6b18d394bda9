"""One body however a file holds it: bare, deflated, multi-frame, with a tail or high bits."""

from __future__ import annotations

import zlib
from pathlib import Path

import numpy as np
import pydicom
import pytest
import SimpleITK
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset
from pydicom.encaps import encapsulate, generate_frames
from pydicom.sequence import Sequence
from pydicom.uid import (
    HTJ2K,
    EnhancedCTImageStorage,
    ExplicitVRLittleEndian,
    HTJ2KLossless,
    HTJ2KLosslessRPCL,
    JPEG2000Lossless,
    JPEGExtended12Bit,
    LegacyConvertedEnhancedCTImageStorage,
)

from retrieval.sources.dicom.errors import DicomError
from retrieval.sources.dicom.file import plain_dicom
from retrieval.sources.dicom.series import read_dicom
from retrieval.sources.query_image import open_query_image
from tests.retrieval.sources.dicom.family_bodies import LENGTHS, body, phase
from tests.retrieval.sources.volumes.bodies import body as tissues


def test_files_without_preamble_or_meta_header_under_any_name(dicom, tmp_path):
    folder = tmp_path / "bare"
    folder.mkdir()
    for number, image in enumerate(phase(dicom, 6)):
        with (folder / f"IM{number}").open("wb") as file:
            if number % 2:
                pydicom.dcmwrite(file, image, enforce_file_format=True)
            else:
                _write_bare(file, image, implicit=number % 4 == 0)
    slab = open_query_image(folder)
    np.testing.assert_array_equal(slab.hu, body(6))
    np.testing.assert_array_equal(open_query_image(folder / "IM0").hu[0], body(6)[0])


def _write_bare(file, image, *, implicit):
    bare = Dataset({element.tag: element for element in image})
    pydicom.dcmwrite(file, bare, implicit_vr=implicit, little_endian=True, force_encoding=True)


def test_a_deflated_file_is_read_and_what_inflates_without_end_is_not(dicom, tmp_path):
    folder = dicom.write(tmp_path / "plain", phase(dicom, 6)[:1])
    (plain,) = folder.iterdir()
    content = plain.read_bytes()
    length = int.from_bytes(content[140:144], "little")
    meta = pydicom.filereader.read_file_meta_info(plain)
    dataset = content[144 + length :]
    assert meta.TransferSyntaxUID == ExplicitVRLittleEndian
    old, new = b"\x14\x00" + ExplicitVRLittleEndian.encode() + b"\0", b"\x16\x00"
    head = content[: 144 + length].replace(old, new + b"1.2.840.10008.1.2.1.99")
    head = head[:140] + (length + 2).to_bytes(4, "little") + head[144:]
    squeezer = zlib.compressobj(9, zlib.DEFLATED, -15)
    packed = squeezer.compress(dataset) + squeezer.flush()
    for name, file in (("whole", head + packed), ("cut", head + packed[:-30])):
        (tmp_path / name).write_bytes(file)
    np.testing.assert_array_equal(read_dicom(tmp_path / "whole").hu[0], body(6)[0])
    with pytest.raises(DicomError, match="cut off"):
        read_dicom(tmp_path / "cut")
    with pytest.raises(DicomError, match="inflates to more than"):
        list(plain_dicom(tmp_path / "whole", most_bytes=len(dataset) - 1))


@pytest.mark.parametrize("tail", [b"", b"\xff", b"\0", b"\xff\0", b"\0\0\0\xff", b"\x0d\x0a"])
def test_what_follows_the_end_of_a_codestream_does_not_matter(dicom, tmp_path, tail):
    hu = tissues(size=(3, 64, 64))[1]
    image = dicom.image(0, hu, RescaleIntercept=0)
    image.compress(JPEG2000Lossless, generate_instance_uid=False)
    frame = next(pydicom.encaps.generate_frames(image.PixelData, number_of_frames=1))
    whole = frame[: frame.rindex(b"\xff\xd9") + 2]
    image.PixelData = pydicom.encaps.encapsulate([whole + tail])
    (file,) = dicom.write(tmp_path / "one", [image]).iterdir()
    np.testing.assert_array_equal(read_dicom(file).hu[0], hu)
    image.PixelData = pydicom.encaps.encapsulate([whole[: len(whole) // 2]])
    (file,) = dicom.write(tmp_path / "half", [image]).iterdir()
    with pytest.raises(DicomError, match="no whole codestream"):
        read_dicom(file)


@pytest.mark.parametrize(
    "sop_class", [EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage]
)
@pytest.mark.parametrize("shared", [True, False])
def test_multi_frame_ct_is_read_frame_by_frame(dicom, tmp_path, sop_class, shared):
    hu = body(8)
    image = multi_frame(dicom, hu, sop_class, shared=shared)
    (file,) = dicom.write(tmp_path / "multi", [image]).iterdir()
    slab = open_query_image(file)
    np.testing.assert_array_equal(slab.hu, hu)
    assert (*slab.spacing_mm_px, slab.slice_interval_mm) == pytest.approx(LENGTHS)
    del image.PerFrameFunctionalGroupsSequence[-1]
    (file,) = dicom.write(tmp_path / "short", [image]).iterdir()
    with pytest.raises(DicomError, match="claims 7 frames and describes 6"):
        read_dicom(file)


def multi_frame(dicom, hu, sop_class, *, shared):
    """A volume as one enhanced image, its frames in another order than the slices'."""
    order = np.random.default_rng(1).permutation(len(hu))
    image = dicom.image(0, hu[0], NumberOfFrames=len(hu), SOPClassUID=sop_class)
    image.PixelData = np.ascontiguousarray(hu[order]).tobytes()
    for keyword in (
        "ImagePositionPatient",
        "ImageOrientationPatient",
        "PixelSpacing",
        "SliceThickness",
        "RescaleSlope",
        "RescaleIntercept",
    ):
        delattr(image, keyword)
    common = Dataset()
    common.PlaneOrientationSequence = [_item(ImageOrientationPatient=[1, 0, 0, 0, 1, 0])]
    common.PixelMeasuresSequence = [_item(PixelSpacing=[0.8, 0.7], SliceThickness=2.5)]
    common.PixelValueTransformationSequence = [
        _item(RescaleSlope=1, RescaleIntercept=0, RescaleType="HU")
    ]
    frames = []
    for place in order:
        frame = Dataset()
        frame.PlanePositionSequence = [_item(ImagePositionPatient=[0, 0, 2.5 * int(place)])]
        if not shared:
            for element in common:
                frame[element.tag] = element
        frames.append(frame)
    image.SharedFunctionalGroupsSequence = Sequence([common if shared else Dataset()])
    image.PerFrameFunctionalGroupsSequence = Sequence(frames)
    return image


def _item(**values):
    item = Dataset()
    for keyword, value in values.items():
        setattr(item, keyword, value)
    return item


@pytest.mark.parametrize(
    ("stored", "high", "signed"), [(12, 15, 0), (12, 13, 0), (12, 15, 1), (13, 14, 1)]
)
def test_bits_above_the_lowest_are_read_and_told(dicom, tmp_path, stored, high, signed):
    hu = body(9)[:1]
    values = hu.astype(np.int32) + (0 if signed else 1024)
    raw = (values << (high + 1 - stored)).astype(np.int64) & 0xFFFF
    raw = (raw & ((1 << (high + 1)) - 1)).astype(np.uint16)
    pixels = raw.view(np.int16) if signed else raw
    image = dicom.image(
        0, pixels[0], BitsStored=stored, HighBit=high, RescaleIntercept=0 if signed else -1024
    )
    (file,) = dicom.write(tmp_path / "upper", [image]).iterdir()
    slab = read_dicom(file)
    np.testing.assert_array_equal(slab.hu, hu)
    assert f"HighBit is {high} with {stored} bits stored" in slab.notes[0]


def _encapsulated(image: Dataset, frame: bytes, syntax: str, bits: int) -> Dataset:
    image.file_meta.TransferSyntaxUID = syntax
    image.BitsStored, image.HighBit = bits, bits - 1
    image.PixelData = encapsulate([frame])
    image["PixelData"].VR, image["PixelData"].is_undefined_length = "OB", True
    return image


@pytest.mark.parametrize("syntax", [HTJ2KLossless, HTJ2KLosslessRPCL, HTJ2K])
def test_high_throughput_jpeg_2000_is_read(dicom, tmp_path, syntax):
    """The codestream was made by OpenJPH from the values that stand here."""
    y, x = np.mgrid[-1:1:40j, -1:1:48j]
    wanted = np.where(np.hypot(x, y) < 0.8, np.rint(60 * np.sin(9 * x) * np.cos(7 * y)), -1000)
    frame = (Path(__file__).parent / "disc.j2c").read_bytes()
    plain = dicom.image(0.0, np.zeros((40, 48), np.uint16))
    folder = dicom.write(tmp_path / "whole", [_encapsulated(plain, frame, syntax, 16)])
    np.testing.assert_array_equal(read_dicom(folder, assume_hu=True).hu[0], wanted)
    cut = dicom.image(0.0, np.zeros((40, 48), np.uint16))
    folder = dicom.write(tmp_path / "cut", [_encapsulated(cut, frame[:-200], syntax, 16)])
    with pytest.raises(DicomError, match="no whole codestream"):
        read_dicom(folder, assume_hu=True)


def test_jpeg_extended_with_12_bits_is_read_as_simpleitk_reads_it_and_said_to_be_lossy(
    dicom, tmp_path
):
    file = get_testdata_file("JPGExtended.dcm")
    coded = pydicom.dcmread(file)
    frame = next(generate_frames(coded.PixelData, number_of_frames=1))
    image = dicom.image(0.0, np.zeros((coded.Rows, coded.Columns), np.uint16))
    folder = dicom.write(tmp_path / "series", [_encapsulated(image, frame, JPEGExtended12Bit, 12)])
    slab = read_dicom(folder, assume_hu=True)
    wanted = SimpleITK.GetArrayFromImage(SimpleITK.ReadImage(str(file)))[0].astype(np.float32)
    assert np.abs(slab.hu[0] - (wanted - 1024)).max() <= 1
    assert any("compressed with loss" in note for note in slab.notes)
