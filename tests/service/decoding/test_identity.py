"""Whose an upload is: read from DICOM headers or DeepLesion's file names, or honestly unknown."""

from __future__ import annotations

import io
import zipfile
from datetime import date

import pytest

from service.decoding.identity import IdentitySource, told_name
from service.decoding.limits import DecodeLimits, UploadError
from service.decoding.pool import DecoderPool
from service.decoding.reading import UploadOptions
from tests.service import hostile as h
from tests.service.dicom_samples import SeriesLabels, ct_series

SPACING = (0.9, 0.9, 2.5)
LABELS = SeriesLabels("MRN-7", "first", date(2024, 5, 17), description="chest 2.5")


@pytest.fixture(scope="module")
def pool():
    with DecoderPool(DecodeLimits(), size=1) as opened:
        yield opened


def dicom_files(labels, planes=2, **changes):
    hu = [h.plane(number) for number in range(planes)]
    files = []
    for image in ct_series(hu, labels, spacing_mm_px=(0.9, 0.9), interval_mm=2.5):
        for keyword, value in changes.items():
            setattr(image, keyword, value)
        file = io.BytesIO()
        image.save_as(file, enforce_file_format=True)
        files.append(file)
    return files


def identity_of_pngs(pool, *names):
    files = [io.BytesIO(h.png()) for _ in names]
    options = UploadOptions(spacing_mm=SPACING, names=names)
    return pool.decode(files, options).identity


def zipped(entries):
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, content in entries.items():
            archive.writestr(name, content)
    return packed


def test_a_dicom_series_says_whose_it_is(pool):
    found = pool.decode(dicom_files(LABELS), UploadOptions(names=("a", "b"))).identity
    assert found.source is IdentitySource.DICOM
    assert (found.patient_id, found.study_date) == ("MRN-7", date(2024, 5, 17))
    assert (found.study_id, found.series_id) == (LABELS.study_uid, LABELS.series_uid)
    assert found.series_name == "chest 2.5"


def test_a_header_is_believed_before_a_name(pool):
    files = dicom_files(LABELS, planes=1)
    names = ("000053_03_01_044.png",)
    assert pool.decode(files, UploadOptions(names=names)).identity.patient_id == "MRN-7"


def test_a_zip_of_dicom_says_whose_it_is(pool):
    entries = {f"series/{n}": file.getvalue() for n, file in enumerate(dicom_files(LABELS))}
    packed = zipped({**entries, "README.txt": b"read me"})
    assert pool.decode([packed], UploadOptions(names=("x.zip",))).identity.patient_id == "MRN-7"


def test_files_of_two_patients_are_refused(pool):
    files = [*dicom_files(LABELS)[:1], *dicom_files(LABELS, PatientID="MRN-8")[1:]]
    with pytest.raises(UploadError, match="of 2 patients") as refused:
        pool.decode(files, UploadOptions(names=("a", "b")))
    assert "MRN" not in str(refused.value)
    with pytest.raises(UploadError, match="of 2 patients"):
        identity_of_pngs(pool, "000053_03_01_044.png", "000078_01_01_124.png")


@pytest.mark.parametrize("value", ["", "   ", "\x07\x00"])
def test_an_empty_patient_id_is_no_identity_of_a_patient(pool, value):
    found = pool.decode(dicom_files(LABELS, 1, PatientID=value), UploadOptions(names=("a",)))
    assert found.identity.patient_id is None
    assert found.identity.study_id == LABELS.study_uid


@pytest.mark.parametrize(
    "name", ["000053_03_01_044.png", "Images_png/000053_03_01/044.png", r"x\000053_03_01\044.png"]
)
def test_a_deeplesion_name_says_whose_it_is(pool, name):
    found = identity_of_pngs(pool, told_name(name))
    assert found.source is IdentitySource.FILE_NAME
    assert (found.patient_id, found.study_id) == ("000053", "000053_03")
    assert (found.series_id, found.study_date) == ("000053_03_01", None)


@pytest.mark.parametrize("name", ["slice.png", "044.png", "x000053_03_01_044.png", "", "a" * 500])
def test_other_names_say_nothing(pool, name):
    assert identity_of_pngs(pool, told_name(name)) is None


def test_one_unnamed_slice_leaves_the_patient_open(pool):
    assert identity_of_pngs(pool, "000053_03_01_044.png", "045.png") is None


def test_slices_of_two_studies_are_of_one_patient_and_no_study(pool):
    found = identity_of_pngs(pool, "000053_03_01_044.png", "000053_04_01_042.png")
    assert (found.patient_id, found.study_id) == ("000053", None)


def test_a_zip_of_deeplesion_pngs_says_whose_it_is(pool):
    entries = {f"Images_png/000053_03_01/{n:03d}.png": h.png(h.plane(n)) for n in (9, 10, 11)}
    packed = zipped({**entries, "README.md": b"read me"})
    options = UploadOptions(spacing_mm=SPACING, names=("series.zip",))
    assert pool.decode([packed], options).identity.study_id == "000053_03"
