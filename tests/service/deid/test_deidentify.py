"""De-identification: what passes, what never does, and that it can be run again."""

from __future__ import annotations

import json
import stat
from datetime import date, timedelta

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence
from pydicom.uid import RLELossless, SecondaryCaptureImageStorage

from retrieval.sources.dicom.series import read_dicom
from service.cli import main
from service.deid.image import ALLOWED, DeidentifyError, deidentify
from service.deid.pseudonyms import OwnIdentities, PseudonymError, PseudonymKey
from tests.service.dicom_samples import SeriesLabels, ct_series, write_files

KEY = PseudonymKey(bytes(range(32)))
LABELS = SeriesLabels("MRN-0017", "one", date(2021, 3, 4))
SECRETS = (
    "MRN-0017",
    "Doe",
    "Jane",
    "DOE",
    "House",
    "ACC-1",
    "19500102",
    "20210304",
    "secret",
    "SECRET",
)


@pytest.fixture
def hu():
    return np.random.default_rng(3).integers(-1000, 1500, (3, 20, 16)).astype(np.float32)


@pytest.fixture
def images(hu):
    return ct_series(hu, LABELS, spacing_mm_px=(0.7, 0.8), interval_mm=2.5)


@pytest.fixture
def key_file(tmp_path):
    PseudonymKey.create(tmp_path / "pseudonyms.key")
    return tmp_path / "pseudonyms.key"


def written(dataset):
    """The bytes of a file with the dataset."""
    buffer = pydicom.filebase.DicomBytesIO()
    dataset.save_as(buffer, enforce_file_format=True)
    return buffer.getvalue()


def poisoned(image):
    """A secret in every place a file can hold one."""
    image.add_new(0x00091001, "LO", "secret private")
    image.add_new(0x60003000, "OW", b"secret overlay  ")
    image.add_new(0x60000010, "US", 1)
    image.StudyDescription = image.ImageComments = "secret"
    image.ImageType = ["ORIGINAL", "PRIMARY", "SECRET"]
    item = Dataset()
    item.PatientID = "secret"
    image.ReferencedImageSequence = Sequence([item])
    image.file_meta.SourceApplicationEntityTitle = "secret"
    image.preamble = b"secret preamble".ljust(128, b"\0")
    return image


def test_nothing_but_the_allow_list_passes(images):
    made = deidentify(poisoned(images[0]), KEY)
    raw = written(made.dataset)
    assert b"secret" in written(images[0])
    for secret in SECRETS:
        assert secret.encode() not in raw
    for uid in (LABELS.study_uid, LABELS.series_uid, LABELS.instance_uid(0)):
        assert uid.encode() not in raw
    declared = {"PixelData", "PatientIdentityRemoved", "DeidentificationMethod"}
    declared.add("LongitudinalTemporalInformationModified")
    assert {element.keyword for element in made.dataset} <= set(ALLOWED) | declared
    assert made.dropped["private"] == 1
    assert made.dropped["overlay"] == 2
    assert made.dropped["sequence"] == 1
    assert made.dataset.ImageType == ["ORIGINAL", "PRIMARY"]


def test_pixels_and_geometry_stay(images, hu, tmp_path):
    folder = write_files([deidentify(image, KEY).dataset for image in images], tmp_path / "out")
    slab = read_dicom(folder)
    np.testing.assert_array_equal(slab.hu, hu)
    assert slab.spacing_mm_px == (0.7, 0.8)
    assert slab.slice_interval_mm == pytest.approx(2.5)


def test_text_in_bits_that_are_not_stored_is_gone(images, hu):
    values = np.frombuffer(images[0].PixelData, "<u2").copy()
    values[::3] |= 0x8000
    images[0].PixelData = values.tobytes()
    made = deidentify(images[0], KEY).dataset
    stored = np.frombuffer(made.PixelData, "<u2").reshape(hu[0].shape)
    np.testing.assert_array_equal(stored.astype(np.float32) - 1024, hu[0])


def test_signed_pixels_keep_their_sign(images):
    values = np.random.default_rng(1).integers(-2048, 2047, (20, 16)).astype("<i2")
    images[0].PixelRepresentation = 1
    images[0].PixelData = values.tobytes()
    images[0].add_new("PixelPaddingValue", "SS", -2000)
    made = deidentify(images[0], KEY).dataset
    np.testing.assert_array_equal(np.frombuffer(made.PixelData, "<i2"), values.ravel())
    assert made["PixelPaddingValue"].value == -2000
    assert len(written(made)) > 640


def test_compressed_pixels_are_written_plainly(images):
    plain = images[0].PixelData
    images[0].compress(RLELossless, generate_instance_uid=False)
    made = deidentify(images[0], KEY).dataset
    assert made.PixelData == plain


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"BurnedInAnnotation": "YES"}, "BurnedInAnnotation is YES"),
        ({"SOPClassUID": SecondaryCaptureImageStorage}, "Secondary Capture"),
        ({"Modality": "OT"}, "modality 'OT'"),
        ({"ImageType": ["DERIVED", "SECONDARY", "SCREEN SAVE"]}, "picture of a screen"),
        ({"ConversionType": "WSD"}, "secondary capture"),
        ({"SamplesPerPixel": 3}, "colour"),
        ({"PatientID": ""}, "no PatientID"),
        ({"SOPInstanceUID": None}, "no SOPInstanceUID"),
        ({"StudyInstanceUID": "secret 17"}, "no UID"),
        ({"PixelData": b"\0\0"}, "decoded"),
        ({"HighBit": 15}, "HighBit"),
        ({"BitsAllocated": 32}, "bits a pixel"),
    ],
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR UI")
def test_what_is_refused(images, changes, why):
    for keyword, value in changes.items():
        if value is None:
            delattr(images[0], keyword)
        else:
            setattr(images[0], keyword, value)
    with pytest.raises(DeidentifyError, match=why) as refused:
        deidentify(images[0], KEY)
    assert "secret" not in str(refused.value)


def test_a_derived_image_is_flagged_unless_it_says_no(images):
    images[0].ImageType = ["DERIVED", "SECONDARY", "MPR"]
    assert "look at it" in deidentify(images[0], KEY).flags[0]
    images[0].BurnedInAnnotation = "NO"
    assert deidentify(images[0], KEY).flags == ()


def test_names_follow_from_key_and_patient_alone():
    other = PseudonymKey(bytes(32))
    assert KEY.patient(" MRN-0017 ") == KEY.patient("MRN-0017") != other.patient("MRN-0017")
    assert KEY.patient("MRN-0017") != KEY.patient("MRN-0018")
    uid = KEY.uid(LABELS.study_uid)
    assert pydicom.uid.UID(uid).is_valid
    assert uid.startswith("2.25.")
    assert uid != other.uid(LABELS.study_uid)
    assert OwnIdentities().uid(uid) == uid
    assert "00" * 4 not in repr(other)


@settings(max_examples=50, deadline=None)
@given(
    st.text(min_size=1, max_size=64),
    st.dates(date(1950, 1, 1), date(2100, 1, 1)),
    st.integers(0, 9000),
)
def test_intervals_stay(patient, day, days):
    later = day + timedelta(days=days)
    assert KEY.day(patient, later) - KEY.day(patient, day) == timedelta(days=days)
    assert 365 <= (day - KEY.day(patient, day)).days <= 3650


def test_the_key_file_is_the_owners_alone(key_file):
    assert stat.S_IMODE(key_file.stat().st_mode) == 0o600
    assert PseudonymKey.load(key_file) == PseudonymKey.load(key_file)
    with pytest.raises(PseudonymError, match="exists"):
        PseudonymKey.create(key_file)
    key_file.chmod(0o640)
    with pytest.raises(PseudonymError, match="chmod 600"):
        PseudonymKey.load(key_file)
    key_file.chmod(0o600)
    key_file.write_text("not a key")
    with pytest.raises(PseudonymError, match="64 hexadecimal"):
        PseudonymKey.load(key_file)
    with pytest.raises(PseudonymError, match="cannot be read"):
        PseudonymKey.load(key_file.parent / "absent")


def run_json(arguments, capsys):
    assert main([*arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_a_folder_file_by_file_and_again(images, tmp_path, key_file, capsys):
    images[1].BurnedInAnnotation = "YES"
    images[2].ImageType = ["DERIVED", "SECONDARY"]
    source = write_files(images, tmp_path / "in" / "DOE")
    (source / "notes.txt").write_text("Jane Doe")
    command = ["deidentify", str(source), str(tmp_path / "out"), "--key", str(key_file)]
    report = tmp_path / "report.jsonl"
    first = run_json([*command, "--report", str(report)], capsys)
    assert first["counts"] == {"written": 2, "there_already": 0, "refused": 1, "not_DICOM": 1}
    by_name = {entry["source"]: entry for entry in first["files"]}
    assert "BurnedIn" in by_name["DOE_JANE_1.dcm"]["reason"]
    assert by_name["DOE_JANE_2.dcm"]["flags"]
    assert by_name["DOE_JANE_0.dcm"]["dropped"]["public"] >= 5
    assert len(report.read_text().splitlines()) == 4
    assert stat.S_IMODE((tmp_path / "out").stat().st_mode) == 0o700
    outputs = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(outputs) == 2
    for output in outputs:
        raw = output.read_bytes() + str(output.relative_to(tmp_path)).encode()
        assert not any(secret.encode() in raw for secret in SECRETS)
    times = {output: output.stat().st_mtime_ns for output in outputs}
    again = run_json(command, capsys)
    assert again["counts"]["there_already"] == 2
    assert {output: output.stat().st_mtime_ns for output in outputs} == times


def test_a_killed_run_leaves_no_half_file(images, tmp_path, key_file, monkeypatch):
    source = write_files(images, tmp_path / "in")

    def interrupted(*_, **__):
        raise KeyboardInterrupt

    monkeypatch.setattr(Dataset, "save_as", interrupted)
    command = ["deidentify", str(source), str(tmp_path / "out"), "--key", str(key_file)]
    assert main(command) == 130
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_no_value_of_a_file_reaches_a_log(images, tmp_path, key_file, caplog, capsys):
    source = write_files(images[:1], tmp_path / "in")
    (file,) = source.iterdir()
    file.write_bytes(file.read_bytes().replace(b"20210304", b"Doe^Jane").replace(b"0.8", b"Doe"))
    command = ["deidentify", str(source), str(tmp_path / "out"), "--key", str(key_file)]
    assert main(command) == 0
    assert "Doe" not in caplog.text + capsys.readouterr().err
    (output,) = (tmp_path / "out").rglob("*.dcm")
    assert b"Doe" not in output.read_bytes()
    assert "StudyDate" not in pydicom.dcmread(output)


@pytest.mark.parametrize("out", ["in", "in/below", "."])
def test_source_and_target_stay_apart(images, tmp_path, key_file, out, capsys):
    source = write_files(images, tmp_path / "in")
    command = ["deidentify", str(source), str(tmp_path / out), "--key", str(key_file)]
    assert main(command) == 2
    assert "lie in one another" in capsys.readouterr().err
    assert len(list(source.iterdir())) == 3


def test_the_report_stays_with_the_source(images, tmp_path, key_file, capsys):
    source = write_files(images, tmp_path / "in")
    out = tmp_path / "out"
    command = ["deidentify", str(source), str(out), "--key", str(key_file)]
    assert main([*command, "--report", str(out / "report.jsonl")]) == 2
    assert "may name patients" in capsys.readouterr().err


def test_a_real_series_reads_the_same(real_data, tmp_path, key_file):
    folder = real_data / "sarcoma_ct" / "dicom" / "STS_007" / "CT" / "image"
    files = sorted(folder.iterdir())[:6]
    source = tmp_path / "in"
    source.mkdir()
    for file in files:
        (source / file.name).write_bytes(file.read_bytes())
    command = ["deidentify", str(source), str(tmp_path / "out"), "--key", str(key_file)]
    assert main(command) == 0
    (series,) = {path.parent for path in (tmp_path / "out").rglob("*.dcm")}
    np.testing.assert_array_equal(read_dicom(series).hu, read_dicom(source).hu)
