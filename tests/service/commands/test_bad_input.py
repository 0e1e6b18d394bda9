"""Each mistake a user can make: exit 2, one line that says what to do, and nothing changed."""

from __future__ import annotations

import json
import resource
from pathlib import Path

import cv2
import nibabel as nib
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian, generate_uid

from index.lesion_index import LesionIndex
from service.cli import main
from tests.service.samples import PATIENTS, STUDIES, write_archive, write_encoder

BOX = "30,30,60,60"
SPACING = "0.9,0.9,2.5"


@pytest.fixture
def refused(capsys):
    """Runs a command that must be refused; returns its one line."""

    def call(*arguments):
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        lines = captured.err.strip().splitlines()
        assert status == 2, captured
        assert captured.out == ""
        assert len(lines) == 1, captured.err
        assert lines[0].startswith("error: ")
        assert "Traceback" not in lines[0]
        return lines[0]

    return call


@pytest.fixture
def query_refused(refused, built_index, encoder_file):
    """A query against the sound index that must be refused and must leave the index alone."""

    def call(image, *options):
        before = contents(built_index)
        index = ("--index", built_index, "--encoder", encoder_file)
        line = refused("query", image, *index, *options)
        assert contents(built_index) == before
        return line

    return call


@pytest.fixture
def image(archive):
    """A sound query image."""
    return archive.root / archive.source(archive.lesions[0]).image


def contents(folder: Path) -> dict[str, bytes]:
    """Every file of a folder but what SQLite's readers may touch: shared memory, an empty log."""
    kept = {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix != ".sqlite-shm"
    }
    return {name: found for name, found in kept.items() if found or not name.endswith("-wal")}


def write_dicom(path: Path, *, position=0.0, orientation=(1, 0, 0, 0, 1, 0), **changes) -> None:
    """One axial CT slice of 32 x 32; ``changes`` set elements, None deletes one."""
    dataset = Dataset()
    dataset.SOPClassUID = CTImageStorage
    dataset.SOPInstanceUID = generate_uid()
    dataset.SeriesInstanceUID = "1.2.826.0.1.3680043.8.498.1"
    dataset.StudyInstanceUID = "1.2.826.0.1.3680043.8.498.2"
    dataset.FrameOfReferenceUID = "1.2.826.0.1.3680043.8.498.3"
    dataset.Modality = "CT"
    dataset.Rows = dataset.Columns = 32
    dataset.PixelSpacing = [0.9, 0.9]
    dataset.SliceThickness = 2.5
    dataset.ImagePositionPatient = [0, 0, position]
    dataset.ImageOrientationPatient = list(orientation)
    dataset.SamplesPerPixel = 1
    dataset.PhotometricInterpretation = "MONOCHROME2"
    dataset.BitsAllocated = dataset.BitsStored = 16
    dataset.HighBit = 15
    dataset.PixelRepresentation = 1
    dataset.RescaleSlope, dataset.RescaleIntercept = 1, 0
    dataset.PixelData = np.zeros((32, 32), np.int16).tobytes()
    for name, value in changes.items():
        if value is None:
            delattr(dataset, name)
        else:
            setattr(dataset, name, value)
    dataset.file_meta = FileMetaDataset()
    dataset.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    dataset.save_as(path, enforce_file_format=True)


def test_a_wrong_file_type(query_refused, tmp_path):
    (tmp_path / "notes.png").write_text("not a picture")
    assert "16-bit PNG" in query_refused(tmp_path / "notes.png", "--box", BOX)


def test_a_file_that_is_not_there(query_refused, tmp_path):
    assert "does not exist" in query_refused(tmp_path / "none.png", "--box", BOX)


def test_an_eight_bit_png(query_refused, tmp_path):
    cv2.imwrite(str(tmp_path / "8.png"), np.full((64, 64), 90, np.uint8))
    line = query_refused(tmp_path / "8.png", "--box", BOX, "--spacing", SPACING)
    assert "8-bit" in line
    assert "16-bit" in line


def test_a_colour_image(query_refused, tmp_path):
    cv2.imwrite(str(tmp_path / "c.png"), np.full((64, 64, 3), 900, np.uint16))
    assert "colour" in query_refused(tmp_path / "c.png", "--box", BOX, "--spacing", SPACING)


def test_an_empty_folder(query_refused, tmp_path):
    assert "is empty" in query_refused(tmp_path, "--box", BOX)


def test_a_png_of_unknown_spacing(query_refused, image, tmp_path):
    (tmp_path / "a.png").write_bytes(image.read_bytes())
    assert "spacing" in query_refused(tmp_path / "a.png", "--box", BOX)


def test_dicom_without_pixel_spacing(query_refused, tmp_path):
    write_dicom(tmp_path / "a.dcm", PixelSpacing=None)
    assert "PixelSpacing" in query_refused(tmp_path / "a.dcm", "--box", "5,5,20,20")


def test_a_series_of_mixed_orientations(query_refused, tmp_path):
    for number in range(3):
        turned = (0, 1, 0, 0, 0, -1) if number == 2 else (1, 0, 0, 0, 1, 0)
        write_dicom(tmp_path / f"{number}.dcm", position=2.5 * number, orientation=turned)
    assert "orientation" in query_refused(tmp_path, "--box", "5,5,20,20").lower()


def test_two_series_in_one_folder(query_refused, tmp_path):
    for number in range(6):
        series = f"1.2.{number // 3}"
        place = 2.5 * (number % 3)
        write_dicom(tmp_path / f"{number}.dcm", position=place, SeriesInstanceUID=series)
    told = query_refused(tmp_path, "--box", "5,5,20,20")
    assert "2 series" in told
    assert "--series N" in told


def test_not_a_number_in_the_image(query_refused, tmp_path):
    volume = np.zeros((40, 40, 5), np.float32)
    volume[20, 20, 2] = np.nan
    nib.Nifti1Image(volume, np.diag([-1.0, -1.0, 2.0, 1.0])).to_filename(tmp_path / "a.nii")
    assert "NaN" in query_refused(tmp_path / "a.nii", "--box", "10,10,30,30")


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ("900,900,950,950", "outside the image"),
        ("60,60,30,30", "inverted"),
        ("nan,1,2,3", "not a finite number"),
        ("1,2,3", "x1,y1,x2,y2"),
        ("a,b,c,d", "not numbers"),
    ],
)
def test_a_box_that_cannot_be(query_refused, image, box, words):
    assert words in query_refused(image, "--box", box)


def test_no_box_and_no_detector(query_refused, image, tmp_path, monkeypatch):
    missing = tmp_path / "none.safetensors"
    monkeypatch.setattr("retrieval.detection.detector.BUNDLED_DETECTOR", missing)
    assert "x1,y1,x2,y2" in query_refused(image)


def test_a_mark_that_cannot_be(query_refused, image):
    assert "RECIST" in query_refused(image, "--recist", "1,2,3,4")


def test_an_unknown_patient(query_refused, image, tmp_path):
    """Of an image that is not indexed: of one that is, the conflict is told instead."""
    pixels = cv2.imread(str(image), cv2.IMREAD_UNCHANGED)
    other = tmp_path / "011.png"
    cv2.imwrite(str(other), pixels + 1)
    line = query_refused(other, "--box", BOX, "--spacing", SPACING, "--patient", "3")
    assert "'3'" in line
    assert "000003" in line


def test_an_unknown_lesion(refused, built_index, encoder_file):
    arguments = ("--index", built_index, "--encoder", encoder_file)
    assert "'nobody'" in refused("query", "--lesion", "nobody", *arguments)


def test_an_unknown_filter(query_refused, image):
    assert "colour" in query_refused(image, "--box", BOX, "--where", "colour=red")


def test_a_figure_of_unknown_kind(query_refused, image, tmp_path):
    line = query_refused(image, "--box", BOX, "--figure", tmp_path / "out.bmp")
    assert ".png" in line
    assert not (tmp_path / "out.bmp").exists()


def test_an_index_of_another_encoder(refused, built_index, archive_folder, image, tmp_path):
    other = write_encoder(tmp_path / "other.safetensors", seed=1)
    before = contents(built_index)
    line = refused("query", image, "--index", built_index, "--encoder", other, "--box", BOX)
    assert "index build" in line
    fingerprints = [word for word in line.replace(",", " ").split() if len(word.strip(":")) == 16]
    assert len({word.strip(":") for word in fingerprints}) >= 2
    arguments = ("--archive", archive_folder, "--out", built_index, "--encoder", other)
    assert "index build" in refused("index", "build", *arguments)
    assert contents(built_index) == before


def test_no_index_there(refused, image, encoder_file, tmp_path):
    arguments = ("--index", tmp_path / "none", "--encoder", encoder_file, "--box", BOX)
    assert "index build" in refused("query", image, *arguments)
    assert not (tmp_path / "none").exists()


def test_a_folder_that_is_no_archive(refused, encoder_file, tmp_path):
    (tmp_path / "empty").mkdir()
    arguments = ("--archive", tmp_path / "empty", "--out", tmp_path / "index")
    assert "DL_info.csv" in refused("index", "build", *arguments, "--encoder", encoder_file)
    assert not (tmp_path / "index").exists()


def test_an_archive_without_one_readable_image(refused, encoder_file, tmp_path):
    write_archive(tmp_path / "archive", patients=1)
    for png in (tmp_path / "archive").rglob("*.png"):
        png.unlink()
    arguments = ("--archive", tmp_path / "archive", "--out", tmp_path / "index")
    line = refused("index", "build", *arguments, "--encoder", encoder_file)
    assert f"none of the {STUDIES} lesions" in line


def test_a_folder_of_something_else_is_not_made_an_index(
    refused, archive_folder, encoder_file, tmp_path
):
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "a.txt").write_text("dear reader")
    arguments = ("--archive", archive_folder, "--out", tmp_path / "letters")
    refused("index", "build", *arguments, "--encoder", encoder_file)
    assert contents(tmp_path / "letters") == {"a.txt": b"dear reader"}


def test_an_encoder_that_is_none(refused, archive_folder, tmp_path):
    (tmp_path / "e.safetensors").write_bytes(b"not weights")
    arguments = ("--archive", archive_folder, "--out", tmp_path / "index")
    line = refused("index", "build", *arguments, "--encoder", tmp_path / "e.safetensors")
    assert "encoder" in line
    assert not (tmp_path / "index").exists()


def test_removing_what_is_not_there_removes_nothing(refused, built_index, archive):
    before = contents(built_index)
    known = archive.lesions[0].lesion_id
    assert "'nobody'" in refused("index", "remove", known, "nobody", "--index", built_index)
    assert contents(built_index) == before


def test_an_archive_that_is_not_hu_leaves_no_index(refused, run, encoder_file, tmp_path):
    write_archive(tmp_path / "lost", patients=1)
    for path in (tmp_path / "lost").rglob("*.png"):
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED) + np.uint16(1024))
    out = tmp_path / "index"
    build = ["index", "build", "--archive", tmp_path / "lost", "--out", out]
    line = refused(*build, "--encoder", encoder_file)
    assert "does not hold HU" in line
    assert "--assume-hu" in line
    assert not out.exists()
    status, text, err = run(*build, "--encoder", encoder_file, "--assume-hu", "--json")
    assert status == 0, err
    document = json.loads(text)
    assert document["added"] == document["doubtful_hu"] > 0


def test_misused_options(refused, built_index, image):
    assert "--lesion" in refused("query", "--index", built_index)
    assert "--nosuch" in refused("query", image, "--index", built_index, "--nosuch", "1")
    assert "No such command 'nothing'" in refused("import", "nothing", "a", "b")
    assert "--dls" in refused("evaluate", "tracking")
    assert "did you mean 000003" in refused("track", "--index", built_index, "--patient", "3")
    assert "split" in refused("evaluate", "retrieval", "--archive", image, "--split", "half")


def test_a_full_disk_while_building(refused, archive_folder, encoder_file, tmp_path, capsys):
    """A limit on file sizes stands for the full disk: what was stored stays, the build goes on."""
    index, few = tmp_path / "index", tmp_path / "few"
    write_archive(few, patients=1, first_patient=80)
    build = ["index", "build", "--encoder", str(encoder_file), "--out", str(index), "--archive"]
    assert main([*build, str(few)]) == 0
    capsys.readouterr()
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (16 << 10, limits[1]))
    try:
        line = refused(*build, archive_folder)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "disk" in line or "space" in line
    with LesionIndex.open(index) as opened:
        assert opened.count() == STUDIES
        assert opened.verify().sound
    assert main([*build, str(archive_folder)]) == 0
    with LesionIndex.open(index) as opened:
        assert opened.count() == STUDIES + PATIENTS * STUDIES
        assert opened.verify().sound
