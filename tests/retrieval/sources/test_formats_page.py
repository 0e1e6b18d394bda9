"""docs/formats.md says what is read and what is refused: every row is made and opened."""

from __future__ import annotations

import gzip
import re
from collections.abc import Callable
from pathlib import Path

import cv2
import nibabel as nib
import nrrd
import numpy as np
import pytest
import SimpleITK
from pydicom.uid import DeflatedExplicitVRLittleEndian, ImplicitVRLittleEndian, RLELossless

from retrieval.lesion import LesionSearchError
from retrieval.sources.query_image import open_query_image
from tests.retrieval.sources.volumes.bodies import SPACING_MM, body, stored_image, written

PAGE = Path(__file__).parents[3] / "docs" / "formats.md"
SPACING = (0.8, 0.9, 3.0)
AFFINE = np.diag([-0.8, -0.9, 3.0, 1.0])
READ, SAID, REFUSED = "read", "read, and said", "refused"

Maker = Callable[..., Path]


def volume(ending: str, *, packed: bool = False, name: str | None = None) -> Maker:
    def make(folder: Path, _dicom) -> Path:
        path = written(stored_image(body()), folder / f"ct{ending}", packed=packed)
        return path if name is None else path.rename(folder / name)

    return make


def array(values: np.ndarray, ending: str = ".nii") -> Maker:
    def make(folder: Path, _dicom) -> Path:
        image = SimpleITK.GetImageFromArray(values)
        image.SetSpacing(SPACING_MM)
        return written(image, folder / f"ct{ending}")

    return make


def nifti(**header: object) -> Maker:
    def make(folder: Path, _dicom) -> Path:
        image = nib.Nifti1Image(body().transpose(2, 1, 0), AFFINE)
        for key, value in header.items():
            image.header[key] = value
        nib.save(image, folder / "ct.nii")
        return folder / "ct.nii"

    return make


def unplaced(folder: Path, _dicom) -> Path:
    nib.save(nib.Nifti1Image(body().transpose(2, 1, 0), None), folder / "ct.nii")
    return folder / "ct.nii"


def two_forms(qform: np.ndarray, sform: np.ndarray = AFFINE) -> Maker:
    def make(folder: Path, _dicom) -> Path:
        image = nib.Nifti1Image(body().transpose(2, 1, 0), AFFINE)
        image.set_sform(sform, 1)
        image.set_qform(qform, 1)
        nib.save(image, folder / "ct.nii")
        return folder / "ct.nii"

    return make


def turned(degrees: float) -> np.ndarray:
    angle = np.radians(degrees)
    turn = np.eye(4)
    turn[:2, :2] = [[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]]
    return turn @ AFFINE


def four_dimensions(folder: Path, _dicom) -> Path:
    values = np.stack([body().transpose(2, 1, 0)] * 2, axis=-1)
    nib.save(nib.Nifti1Image(values, AFFINE), folder / "ct.nii")
    return folder / "ct.nii"


def analyze(folder: Path, _dicom) -> Path:
    nib.AnalyzeImage(body().transpose(2, 1, 0), AFFINE).to_filename(folder / "ct.hdr")
    return folder / "ct.hdr"


def nrrd_without_space(folder: Path, _dicom) -> Path:
    nrrd.write(str(folder / "ct.nrrd"), body(), {"spacings": [1, 1, 1]})
    return folder / "ct.nrrd"


def edited(ending: str, old: str, new: str) -> Maker:
    def make(folder: Path, _dicom) -> Path:
        path = written(stored_image(body()), folder / f"ct{ending}")
        path.write_bytes(path.read_bytes().replace(old.encode(), new.encode(), 1))
        return path

    return make


def series(**changes: object) -> Maker:
    def make(folder: Path, dicom) -> Path:
        datasets = dicom.series(body() + np.int16(1024))
        for dataset in datasets:
            for key, value in changes.items():
                setattr(dataset, key, value)
        return dicom.write(folder / "series", datasets)

    return make


def coded(syntax: str) -> Maker:
    def make(folder: Path, dicom) -> Path:
        datasets = dicom.series(body() + np.int16(1024))
        for dataset in datasets:
            if syntax == RLELossless:
                dataset.compress(syntax)
            else:
                dataset.file_meta.TransferSyntaxUID = syntax
        return dicom.write(folder / "series", datasets)

    return make


def png(values: np.ndarray, *, spaced: bool = True) -> Maker:
    def make(folder: Path, _dicom) -> Path:
        cv2.imwrite(str(folder / "ct_5.png"), values)
        return folder / "ct_5.png"

    make.spacing = SPACING if spaced else None  # type: ignore[attr-defined]
    return make


def gzipped(folder: Path, dicom) -> Path:
    path = volume(".nrrd")(folder, dicom)
    (folder / "ct").write_bytes(gzip.compress(path.read_bytes()))
    return folder / "ct"


HU = body()[4].astype(np.int32) + 32768
ROWS: list[tuple[str, str, str, Maker]] = [
    ("DICOM", "CT, one file a slice, plain", READ, series()),
    ("DICOM", "implicit little endian", READ, coded(ImplicitVRLittleEndian)),
    ("DICOM", "deflated", READ, coded(DeflatedExplicitVRLittleEndian)),
    ("DICOM", "RLE", READ, coded(RLELossless)),
    ("DICOM", "RescaleType HU", READ, series(RescaleType="HU")),
    ("DICOM", "RescaleType US (unspecified), values like HU", SAID, series(RescaleType="US")),
    ("DICOM", "RescaleType Z_EFF, MGML, ED, PCT", REFUSED, series(RescaleType="Z_EFF")),
    (
        "DICOM",
        "ImageType of a perfusion, material or effective-Z map",
        REFUSED,
        series(ImageType=["DERIVED", "PRIMARY", "AXIAL", "PERFUSION"]),
    ),
    (
        "DICOM",
        "virtual monoenergetic images (VMI)",
        SAID,
        series(ImageType=["DERIVED", "PRIMARY", "AXIAL", "VMI"]),
    ),
    ("DICOM", "a lost intercept: no air anywhere", REFUSED, series(RescaleIntercept=0)),
    ("DICOM", "MR, PET and other modalities", REFUSED, series(Modality="MR")),
    ("NIfTI", ".nii", READ, volume(".nii")),
    ("NIfTI", ".nii.gz", READ, volume(".nii.gz", packed=True)),
    ("NIfTI", "a pair, .hdr and .img", READ, volume(".hdr")),
    ("NIfTI", "any other file name", READ, volume(".nii.gz", packed=True, name="scan")),
    ("NIfTI", "sform and qform that agree", READ, two_forms(AFFINE)),
    ("NIfTI", "sform and qform turned by 1 to 5 degrees", SAID, two_forms(turned(3))),
    (
        "NIfTI",
        "sform and qform that disagree about a side",
        REFUSED,
        two_forms(AFFINE @ np.diag([-1.0, 1, 1, 1])),
    ),
    ("NIfTI", "neither sform nor qform", REFUSED, unplaced),
    ("NIfTI", "oblique by more than 5 degrees", REFUSED, two_forms(turned(12), turned(12))),
    ("NIfTI", "lengths in micrometres or metres", REFUSED, nifti(xyzt_units=3)),
    ("NIfTI", "several volumes (4D)", REFUSED, four_dimensions),
    (
        "NIfTI",
        "8-bit values, with a slope or without",
        REFUSED,
        array(np.clip(body(), 0, 255).astype(np.uint8)),
    ),
    (
        "NIfTI",
        "floating point, whole or fractional HU",
        READ,
        array(body().astype(np.float32) + 0.25),
    ),
    (
        "NIfTI",
        "NaN within the picture, or infinite values",
        REFUSED,
        array(np.where(body() > 100, np.nan, body()).astype(np.float32)),
    ),
    (
        "NIfTI",
        "NaN outside the field of view",
        SAID,
        array(np.where(np.arange(body().shape[2]) < 4, np.nan, body()).astype(np.float32)),
    ),
    ("NIfTI", "an intent as t test or p value", REFUSED, nifti(intent_code=3)),
    ("Analyze 7.5", "header without an orientation", REFUSED, analyze),
    ("NRRD", "attached, raw", READ, volume(".nrrd")),
    ("NRRD", "attached, gzip", READ, volume(".nrrd", packed=True)),
    ("NRRD", "detached (.nhdr), raw or gzip", READ, volume(".nhdr", packed=True)),
    ("NRRD", "the whole file in gzip", READ, gzipped),
    ("NRRD", "no space, or one that is no patient's", REFUSED, nrrd_without_space),
    (
        "NRRD",
        "text or hexadecimal values",
        REFUSED,
        edited(".nrrd", "encoding: raw", "encoding: ascii"),
    ),
    (
        "NRRD",
        "a data file in another folder",
        REFUSED,
        edited(".nhdr", "data file: ct", "data file: ../ct"),
    ),
    ("MetaImage", ".mha, raw", READ, volume(".mha")),
    ("MetaImage", ".mha, compressed", READ, volume(".mha", packed=True)),
    ("MetaImage", ".mhd with .raw or .zraw", READ, volume(".mhd", packed=True)),
    (
        "MetaImage",
        "no TransformMatrix",
        REFUSED,
        edited(".mha", "TransformMatrix", "XransformMatrix"),
    ),
    (
        "MetaImage",
        "Modality MET_MOD_MR",
        REFUSED,
        edited(".mha", "NDims = 3", "NDims = 3\nModality = MET_MOD_MR"),
    ),
    ("PNG", "16-bit, HU + 32768, with a spacing", READ, png(HU.astype(np.uint16))),
    (
        "PNG",
        "16-bit without a spacing, outside an archive",
        REFUSED,
        png(HU.astype(np.uint16), spaced=False),
    ),
    ("PNG", "8-bit, or in colour", REFUSED, png(np.full((40, 48), 90, np.uint8))),
    (
        "any",
        "normalised to 0..1, -1..1, or standardised",
        REFUSED,
        array((body() / 1000).astype(np.float32)),
    ),
    (
        "any",
        "a window of 256 grey values",
        REFUSED,
        array((np.clip((body() + 160) / 400, 0, 1) * 255).astype(np.int16)),
    ),
    (
        "any",
        "HU cut off at a window's ends",
        SAID,
        array(np.clip(body(), -160, 240).astype(np.int16)),
    ),
]


def outcome(make: Maker, folder: Path, dicom) -> str:
    folder.mkdir()
    path = make(folder, dicom)
    try:
        slab = open_query_image(path, spacing_mm=getattr(make, "spacing", None))
    except LesionSearchError as refused:
        return REFUSED if "\n" not in str(refused) else "refused in several lines"
    return SAID if slab.notes else READ


@pytest.mark.filterwarnings("ignore::UserWarning")
@pytest.mark.parametrize(
    ("kind", "what", "expected", "make"), ROWS, ids=[f"{r[0]}: {r[1]}" for r in ROWS]
)
def test_a_row_is_true(kind, what, expected, make, dicom, tmp_path):
    assert outcome(make, tmp_path / "case", dicom) == expected, (kind, what)


def test_the_page_has_exactly_these_rows():
    shown = re.findall(
        r"^\| ([^|]+) \| ([^|]+) \| (read|read, and said|refused) \|$", PAGE.read_text(), re.M
    )
    expected = [(kind, what, result) for kind, what, result, _ in ROWS]
    assert shown == expected, "\n".join(f"| {a} | {b} | {c} |" for a, b, c in expected)
