"""Tracks by names and by UIDs, dates of studies, points, names of what was refused."""

from __future__ import annotations

import csv
import json
import time
from datetime import date

import numpy as np
import pytest

from retrieval.lesion import LesionType, Recist
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.folder_lock import alone_in
from retrieval.sources.marks.mark import Mark
from retrieval.sources.marks.meaning.findings import is_vocabulary
from retrieval.sources.marks.planes import ImagePlane
from retrieval.sources.marks.reading import read_marks
from retrieval.sources.mining.folder import FolderSource
from retrieval.sources.mining.links import NAME_ALONE, linked_tracks
from service.cli import main
from tests.service.dicom_samples import write_files
from tests.service.jobs.mining.carriers import write_marks
from tests.service.jobs.mining.drawn import Drawn
from tests.service.jobs.mining.hospital import POINTS, Study, kept_mark


def kept(study, name, *, x=0.0, scale=1.0, kind=LesionType.UNKNOWN, uid=""):
    points = (POINTS - POINTS.mean(axis=0)) * scale + POINTS.mean(axis=0) + (x, 0)
    recist = Recist(tuple((float(a), float(b)) for a, b in points))
    mark = study.mark(f"{name}-{x}-{scale}", tracking_id=name, tracking_uid=uid, points=points)
    plane = ImagePlane(study.image, "CT", 512, 512, (0.8, 0.8), np.zeros(3))
    return kept_mark(mark, plane, recist, lesion_type=kind)


FIRST, LATER = Study("A", 1, date(2020, 1, 2)), Study("A", 2, date(2020, 3, 2))


@pytest.mark.parametrize(
    ("first", "later", "heights", "is_linked"),
    [
        # A name that tells something, a place and a size that fit.
        ({"name": "liver dome"}, {"name": "liver dome", "x": 20}, None, True),
        # The same counter for other lesions: far across, far up, of another size or type.
        ({"name": "Lesion 1"}, {"name": "Lesion 1"}, None, False),
        ({"name": "Lesion 1"}, {"name": "Lesion 1"}, (0.40, 0.43), True),
        ({"name": "Lesion 1"}, {"name": "Lesion 1"}, (0.40, 0.60), False),
        ({"name": "T1"}, {"name": "t1"}, (0.40, None), False),
        ({"name": "liver dome"}, {"name": "liver dome"}, (0.40, 0.60), False),
        ({"name": "liver dome"}, {"name": "liver dome", "x": 80}, None, False),
        ({"name": "liver dome"}, {"name": "liver dome", "scale": 2.0}, None, False),
        (
            {"name": "liver dome", "kind": LesionType.LIVER},
            {"name": "liver dome", "kind": LesionType.LUNG},
            None,
            False,
        ),
        # A tracking UID is taken at its word.
        ({"name": "a", "uid": "1.5"}, {"name": "b", "uid": "1.5", "x": 80}, None, True),
    ],
)
def test_what_links(first, later, heights, is_linked):
    marks = [kept(FIRST, **first), kept(LATER, **later)]
    studies = {one.plane.image.study_uid: n for n, one in enumerate(marks, start=1)}
    known = {
        one.mark.mark_id: height
        for one, height in zip(marks, heights or (None, None), strict=True)
        if height is not None
    }
    links = linked_tracks(marks, {}, studies, known)
    assert len(links.tracks) == (2 if is_linked else 0)
    assert set(links.dropped.values()) == (set() if is_linked else {NAME_ALONE})


def test_a_hostile_name_takes_no_time():
    marks = [kept(study, "a" * 60_000 + "!") for study in (FIRST, LATER)]
    start = time.process_time()
    linked_tracks(marks, {}, {one.plane.image.study_uid: 1 for one in marks})
    assert is_vocabulary("liver " * 10_000)
    assert not is_vocabulary("liver" * 10_000)
    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("name", "is_plain"),
    [
        ("Left kidney 2", True),
        ("Vertebrae_L3", True),
        ("GTV-node right", True),
        ("Liverpool", False),
        ("Lung Doe^Jane", False),
        ("Jane", False),
        ("4711", False),
        ("", False),
    ],
)
def test_which_names_may_stand_in_a_reason(name, is_plain):
    assert is_vocabulary(name) is is_plain


def mined(capsys, *words):
    assert main(["mine", *map(str, words), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def rows_of(path):
    with path.open(newline="") as file:
        return list(csv.DictReader(file))


@pytest.fixture
def source(tmp_path):
    """Two studies: a lesion in the first, an arrow beside it, a kidney and a named region."""
    for number, name in ((1, "Lesion 1"), (2, "Lesion 1")):
        one = Study("MRN-1", number, date(2020, number, 2), turned=number == 2)
        datasets = one.datasets()
        key = datasets[one.key]
        write_files(datasets, tmp_path / "source" / str(number))
        recist = Recist(tuple((float(x), float(y)) for x, y in POINTS))
        write_marks("sr", [Drawn(key, recist, name)], tmp_path / "source", str(number))
        (arrow,) = _arrows(key, (30.0, 40.0))
        arrow.save_as(tmp_path / "source" / f"arrow-{number}.dcm", enforce_file_format=True)
        regions = [Drawn(key, recist, "Left kidney"), Drawn(key, recist, "Doe Jane 3")]
        made = _regions(regions)
        made.save_as(tmp_path / "source" / f"regions-{number}.dcm", enforce_file_format=True)
    return tmp_path / "source"


def _arrows(header, tip):
    from pydicom.dataset import Dataset

    from tests.service.jobs.mining.words import text_on_image

    made = text_on_image(header, "here", None, "arrow")
    arrow = Dataset()
    arrow.CompoundGraphicType, arrow.CompoundGraphicUnits = "ARROW", "PIXEL"
    arrow.GraphicData = [5.5, 5.5, tip[0] + 0.5, tip[1] + 0.5]
    annotation = made.GraphicAnnotationSequence[0]
    annotation.CompoundGraphicSequence = [arrow]
    del annotation.TextObjectSequence
    return [made]


def _regions(drawn):
    from tests.service.jobs.mining.carriers import WRITERS

    (made,) = WRITERS["rtstruct"](drawn)
    for one in made.RTROIObservationsSequence:
        one.RTROIInterpretedType = ""
    return made


def test_points_dates_and_names(source, tmp_path, capsys):
    words = [source, "--out", tmp_path / "a", "--table-only"]
    told = mined(capsys, *words, "--arrows")
    assert told["verdicts"] == {
        "kept": 2,
        "anatomy": 4,
        "kept as point": 2,
        "not a lesion": 4,
    }
    archive = DeepLesionArchive.open(tmp_path / "a")
    assert not archive.problems
    # Dates are moved, and stay as far apart as they were.
    days = sorted(lesion.study_date for lesion in archive.lesions)
    assert (days[1] - days[0]).days == 31
    assert days[0] != date(2020, 1, 2)
    points = rows_of(tmp_path / "a" / "points.csv")
    found = {(one["series_id"], one["key_slice_index"]): one for one in points}
    for lesion in archive.lesions:
        # On the slice of the lesion; the second study's pixels are turned to the display.
        one = found[lesion.series_id, str(lesion.key_slice_index)]
        x = 30.0 if lesion.study_id.endswith("01") else 95 - 30.0
        assert (float(one["x"]), float(one["y"])) == pytest.approx((x, 40.0))
        assert one["kind"] == "arrow"
    # "Lesion 1" of two studies, whose heights nobody knows, is no track.
    assert told["tracks"] == 0
    reasons = [
        json.loads(line)["reason"]
        for line in (tmp_path / "a" / "mined.jsonl").read_text().splitlines()
    ]
    assert any("'Left kidney'" in reason for reason in reasons)
    assert not any("Jane" in reason for reason in reasons)
    names = {one["name"]: one for one in rows_of(tmp_path / "a.mining" / "names.csv")}
    assert names["Doe Jane 3"]["verdict"] == "not a lesion"
    held = (tmp_path / "a" / "points.csv").stat().st_mtime_ns
    assert mined(capsys, *words, "--arrows")["patients_mined_now"] == 0
    assert (tmp_path / "a" / "points.csv").stat().st_mtime_ns == held
    mined(capsys, *words)
    assert not (tmp_path / "a" / "points.csv").exists()


def test_store_sends_the_reports_to_the_pacs_and_the_same_ones_again(tmp_path, capsys, monkeypatch):
    for number in (1, 2):
        one = Study("MRN-1", number, date(2020, number, 2))
        datasets = one.datasets()
        write_files(datasets, tmp_path / "pacs" / str(number))
        recist = Recist(tuple((float(x), float(y)) for x, y in POINTS))
        drawn = Drawn(datasets[one.key], recist, "Target", "2.25.4711")
        write_marks("gsps", [drawn], tmp_path / "pacs", str(number))
    stored = []

    class Pacs:
        def __init__(self, settings):
            assert settings.url == "http://pacs.test/dicom-web"

        def store(self, datasets):
            stored.extend(datasets)

    def images_of(client, *, patient_id):
        return FolderSource([tmp_path / "pacs"])

    monkeypatch.setattr("service.pacs.client.PacsClient", Pacs)
    monkeypatch.setattr("service.pacs.mining.PacsSource", images_of)
    words = ["--out", tmp_path / "a", "--table-only", "--pacs", "http://pacs.test/dicom-web"]
    assert mined(capsys, *words)["reports"] == 0
    assert not stored
    assert mined(capsys, *words, "--store")["reports"] == 2, "one for each study"
    assert len({report.StudyInstanceUID for report in stored}) == 2
    for report in stored:
        assert (report.PatientID, report.Modality) == ("MRN-1", "SR")
        marks = [one for one in read_marks(report) if isinstance(one, Mark)]
        assert [one.tracking_uid for one in marks] == ["2.25.4711"]
    # Stored again they are the same instances, which a PACS holds once.
    mined(capsys, *words, "--store")
    uids = [report.SOPInstanceUID for report in stored]
    assert uids[2:] == uids[:2]


def test_two_runs_never_write_one_archive(tmp_path, capsys):
    (tmp_path / "source").mkdir()
    with alone_in(tmp_path / "a.mining", RuntimeError()):
        assert main(["mine", str(tmp_path / "source"), "--out", str(tmp_path / "a")]) == 2
        assert "another run of `mine`" in capsys.readouterr().err
    assert mined(capsys, tmp_path / "source", "--out", tmp_path / "a", "--table-only")["marks"] == 0


@pytest.mark.parametrize("names", [[], ["--own-ids"]])
def test_an_output_that_cannot_be_written_is_one_line(names, tmp_path, capsys):
    (tmp_path / "source").mkdir()
    (tmp_path / "file").write_text("")
    words = ["mine", str(tmp_path / "source"), "--out", str(tmp_path / "file" / "a"), *names]
    assert main(words) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
