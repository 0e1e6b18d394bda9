"""Marks written by other people's writers in every carrier come back as what they were."""

from __future__ import annotations

import json
from datetime import date

import numpy as np
import pytest
from highdicom.sr import srread
from pydicom import dcmread

from retrieval.lesion import Recist
from retrieval.sources.archive import open_archive
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.marks.meaning.judging import judge_marks
from retrieval.sources.marks.reading import read_marks
from service.cli import main
from tests.service.dicom_samples import write_files
from tests.service.jobs.mining.archive_as_dicom import series_with_pixels
from tests.service.jobs.mining.carriers import WRITERS, write_marks
from tests.service.jobs.mining.drawn import Drawn
from tests.service.jobs.mining.hospital import POINTS, Study, files_of

SOME = ("sr", "rtstruct", "aim")
"""The carriers that real lesions are written in here; benchmarks/mining.py takes all of them."""

BOX_PX, DIAMETER_MM = 0.01, 0.01


def mined(capsys, *words):
    assert main(["mine", *map(str, words), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


@pytest.fixture
def study(tmp_path):
    one = Study("MRN-1", 1, date(2020, 1, 2))
    datasets = one.datasets()
    write_files(datasets, tmp_path / "ct")
    recist = Recist(tuple((float(x), float(y)) for x, y in POINTS))
    return Drawn(datasets[one.key], recist)


@pytest.mark.parametrize("carrier", WRITERS)
def test_every_carrier_is_mined(study, carrier, tmp_path, capsys):
    write_marks(carrier, [study], tmp_path / "marks")
    told = mined(
        capsys, tmp_path / "ct", tmp_path / "marks", "--out", tmp_path / "a", "--table-only"
    )
    assert told["verdicts"] == {"kept": 1}
    (row,) = DeepLesionArchive.open(tmp_path / "a").rows
    off = max(abs(a - b) for a, b in zip(row.lesion.box.to_list(), (35, 40, 65, 61), strict=True))
    # Pixels of a mask hold no place better than half their size; stated lengths are exact.
    assert off <= (0.8 if carrier.startswith("seg") else BOX_PX)
    assert row.lesion.long_mm == pytest.approx(16.0, abs=1.5 if carrier == "seg" else DIAMETER_MM)


def test_all_carriers_together_are_one_lesion_with_a_picture(study, tmp_path, capsys):
    for carrier in WRITERS:
        write_marks(carrier, [study], tmp_path / "marks")
    words = [tmp_path / "ct", tmp_path / "marks", "--out", tmp_path / "a", "--no-locate"]
    told = mined(capsys, *words, "--figure", tmp_path / "sheet.png")
    copies = len(WRITERS) - 1 - 1  # the same segmentation twice is one mark
    assert told["verdicts"] == {"kept": 1, "duplicate of": copies}
    assert (tmp_path / "sheet.png").stat().st_size > 10_000
    before = files_of(tmp_path / "a")
    again = mined(capsys, *words)
    assert again["patients_mined_now"] == 0
    assert files_of(tmp_path / "a") == before


def test_a_patient_whose_mining_fails_keeps_nobody_out(tmp_path, capsys, monkeypatch):
    for number in (1, 2):
        one = Study(f"MRN-{number}", number, None)
        datasets = one.datasets()
        write_files(datasets, tmp_path / "ct" / str(number))
        recist = Recist(tuple((float(x), float(y)) for x, y in POINTS))
        write_marks("sr", [Drawn(datasets[one.key], recist)], tmp_path / "marks", str(number))
    calls = []

    def judge(marks, planes, options):
        calls.append(marks)
        if len(calls) == 1:
            raise RuntimeError("a defect")
        return judge_marks(marks, planes, options)

    monkeypatch.setattr("retrieval.sources.marks.meaning.judging.judge_marks", judge)
    words = [tmp_path / "ct", tmp_path / "marks", "--out", tmp_path / "a", "--table-only"]
    first = mined(capsys, *words)
    assert (first["lesions"], first["patients_failed"]) == (1, 1)
    second = mined(capsys, *words)
    assert (second["lesions"], second["patients_failed"], second["patients_mined_now"]) == (2, 0, 1)


def test_tracks_go_back_as_reports_that_others_read(tmp_path, capsys):
    recist = Recist(tuple((float(x), float(y)) for x, y in POINTS))
    for number in (1, 2):
        one = Study("MRN-1", number, date(2020, number, 2))
        datasets = one.datasets()
        write_files(datasets, tmp_path / "ct" / str(number))
        drawn = Drawn(datasets[one.key], recist, "Target", "2.25.4711")
        write_marks("gsps", [drawn], tmp_path / "marks", str(number))
    words = [tmp_path / "ct", tmp_path / "marks", "--out", tmp_path / "a", "--table-only"]
    told = mined(capsys, *words, "--reports", tmp_path / "reports")
    assert (told["tracks"], told["reports"]) == (1, 2)
    paths = sorted((tmp_path / "reports").iterdir())
    assert [path.name for path in paths] == [f"000001_2020-0{n}-02.dcm" for n in (1, 2)]
    for path in paths:
        content = srread(path).content
        assert not content.get_planar_roi_measurement_groups()
        (group,) = content.get_image_measurement_groups(tracking_uid="2.25.4711")
        values = {one.name.meaning: float(one.value) for one in group.get_measurements()}
        assert values["Long Axis"] == pytest.approx(16.0)
        assert values["Short Axis"] == pytest.approx(8.8)
        (mark,) = read_marks(path)
        assert mark.tracking_uid == "2.25.4711"
        read_as_ohif_does(path)
    before = files_of(tmp_path / "reports")
    mined(capsys, *words, "--reports", tmp_path / "reports")
    assert files_of(tmp_path / "reports") == before
    back = [tmp_path / "ct", tmp_path / "reports", "--out", tmp_path / "b", "--table-only"]
    assert mined(capsys, *back)["verdicts"] == {"kept": 2}
    rows = [row.lesion.box.to_list() for row in DeepLesionArchive.open(tmp_path / "b").rows]
    assert rows == [[35, 40, 65, 61]] * 2


def read_as_ohif_does(path):
    """What OHIF's public reader of reports takes for granted, or it shows nothing at all."""

    def named(items, value):
        (found,) = [one for one in items if one.ConceptNameCodeSequence[0].CodeValue == value]
        return found

    report = dcmread(path)
    assert report.ConceptNameCodeSequence[0].CodeValue == "126000"
    library = named(report.ContentSequence, "111028")
    images = named(library.ContentSequence, "126200").ContentSequence
    listed = {one.ReferencedSOPSequence[0].ReferencedSOPInstanceUID for one in images}
    groups = named(report.ContentSequence, "126010").ContentSequence
    uids = set()
    for group in groups:
        assert group.ConceptNameCodeSequence[0].CodeValue == "125007"
        items = group.ContentSequence
        assert named(items, "112040").ValueType == "UIDREF"
        # Measurements of one UID within a report would be one item, all lengths together.
        assert named(items, "112040").UID not in uids
        uids.add(named(items, "112040").UID)
        assert named(items, "112039").TextValue
        numbers = [one for one in items if one.ValueType == "NUM"]
        assert len(numbers) == 2
        for number in numbers:
            # Its only child is what it was drawn as; the image is that one's only child.
            (drawn,) = number.ContentSequence
            assert (drawn.ValueType, drawn.GraphicType) == ("SCOORD", "POLYLINE")
            (image,) = drawn.ContentSequence
            assert image.ReferencedSOPSequence[0].ReferencedSOPInstanceUID in listed
            (value,) = number.MeasuredValueSequence
            assert value.MeasurementUnitsCodeSequence[0].CodeValue == "mm"


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "give SOURCE folders"),
        (["nowhere"], "does not exist"),
        (["SOURCE", "--singles", "maybe"], "reject, square, ellipse"),
        (["SOURCE", "--columns", "points"], "field=column"),
        (["SOURCE", "--pacs", "http://127.0.0.1:1/dicom-web"], "give SOURCE folders, or"),
    ],
)
def test_a_user_s_mistake_is_one_line(words, told, tmp_path, capsys):
    words = [str(tmp_path) if word == "SOURCE" else word for word in words]
    assert main(["mine", *words, "--out", str(tmp_path / "a")]) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert told in error
    assert not (tmp_path / "a").exists()


def test_the_sample_s_lesions_come_back(real_data, tmp_path, capsys):
    """23 real lesions with their pixels: all found, exactly where they were, and nothing else."""
    official = DeepLesionArchive.open(real_data / "deeplesion_sample")
    for number, (datasets, drawn) in enumerate(series_with_pixels(official)):
        write_files(datasets, tmp_path / "ct" / str(number))
        for carrier in SOME:
            write_marks(carrier, drawn, tmp_path / carrier, str(number))
    for carrier in SOME:
        words = [tmp_path / "ct", tmp_path / carrier, "--out", tmp_path / f"a-{carrier}"]
        told = mined(capsys, *words, "--no-locate" if carrier == "sr" else "--table-only")
        assert told["verdicts"] == {"kept": len(official.rows)}
        expected = sorted(place_of(row) for row in official.rows)
        rows = DeepLesionArchive.open(tmp_path / f"a-{carrier}").rows
        found = sorted(place_of(row) for row in rows)
        assert np.abs(np.array(found) - np.array(expected)).max() < BOX_PX
    lesions = open_archive(tmp_path / "a-sr")
    assert not lesions.problems
    slab = lesions.slab(lesions.lesions[0], half_depth_mm=5.0)
    assert slab.hu.shape[0] > 1


def place_of(row):
    """Box and diameters, those that decide the order first."""
    return (*row.lesion.box.to_list(), row.lesion.long_mm, row.lesion.short_mm)
