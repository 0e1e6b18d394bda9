"""An Orthanc with marks of every DICOM carrier: mined over DICOMweb, killed twice, complete."""

from __future__ import annotations

import copy
import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path

import pytest
from pydicom.dataset import Dataset

from retrieval.sources.archive import open_archive
from retrieval.synthesis.phantom.patient import make_patient
from service.cli import main
from service.pacs.mining import PacsSource
from tests.service.dicom_samples import SeriesLabels, ct_series
from tests.service.jobs.mining.carriers import WRITERS
from tests.service.jobs.mining.drawn import Drawn, uid_of
from tests.service.jobs.mining.hospital import files_of
from tests.service.pacs.orthanc.phantom_study import PHANTOM, PHANTOM_NUMBER, stacked
from tests.service.pacs.orthanc.server import PASSWORD, USER, running_orthanc

CARRIERS = ("sr", "gsps", "seg", "rtstruct")
OTHERS = (3,)
"""Further phantom patients, so that a query has somebody to be alike."""

PATIENCE_S = 120.0


def marked_studies(number: int, patient) -> list[tuple[list[Dataset], list[Drawn]]]:
    """Each study of a phantom patient as DICOM, with its lesions under one UID a track."""
    found = []
    for study in sorted({run.study for run in patient.images}):
        rows = [one for one in patient.lesions if one.row.study == study]
        numbers, images = stacked(patient, study)
        first = rows[0].row
        day = date(2021, 1, 5) + timedelta(days=60 * study)
        labels = SeriesLabels(f"MINE-{number}", str(study), day)
        datasets = ct_series(
            images,
            labels,
            spacing_mm_px=first.spacing_mm_px,
            interval_mm=first.slice_interval_mm,
        )
        for dataset, slice_number in zip(datasets, numbers, strict=True):
            dataset.ImagePositionPatient[2] = -900.0 - first.slice_interval_mm * slice_number
        drawn = [
            Drawn(
                datasets[numbers.index(one.row.key_slice)],
                one.row.recist,
                one.track_id,
                uid_of("track", one.track_id),
                one.row.lesion_type,
            )
            for one in rows
        ]
        found.append((datasets, drawn))
    return found


def traps(datasets: list[Dataset], drawn: Drawn) -> list[Dataset]:
    """A mark on a CT that is not there, and one on a scout that is."""
    gone = copy.deepcopy(drawn.header)
    gone.SeriesInstanceUID, gone.SOPInstanceUID = uid_of("gone series"), uid_of("gone")
    scout = copy.deepcopy(datasets[0])
    scout.SeriesInstanceUID, scout.SOPInstanceUID = uid_of("scout series"), uid_of("scout")
    scout.file_meta.MediaStorageSOPInstanceUID = scout.SOPInstanceUID
    scout.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
    marks = [Drawn(header, drawn.recist, "trap") for header in (gone, scout)]
    return [scout, *(report for mark in marks for report in WRITERS["sr"]([mark]))]


@pytest.fixture(autouse=True)
def no_reports():
    """Unlike elsewhere, the reports in the PACS are what is looked for."""


@pytest.fixture(scope="module")
def pacs(tmp_path_factory):
    """A PACS of its own: all that it holds is mined."""
    with running_orthanc(tmp_path_factory.mktemp("hospital")) as running:
        yield running


@pytest.fixture(scope="module")
def hospital(pacs, patient):
    """Three patients in the PACS; returns how many lesions they have and one of the studies."""
    lesions = 0
    for number in (*OTHERS, PHANTOM_NUMBER):
        person = patient if number == PHANTOM_NUMBER else make_patient(PHANTOM, number)
        for place, (datasets, drawn) in enumerate(marked_studies(number, person)):
            lesions += len(drawn)
            pacs.store(datasets)
            for position, one in enumerate(drawn):
                carrier = CARRIERS[(place + position) % len(CARRIERS)]
                pacs.store(WRITERS[carrier]([one]))
            # Everything is drawn a second time, by another program.
            pacs.store(WRITERS["gsps"](drawn))
            if number == PHANTOM_NUMBER and place == 0:
                pacs.store(traps(datasets, drawn[0]))
    return lesions


@pytest.fixture
def environment(monkeypatch):
    monkeypatch.setenv("LESION_SEARCH_PACS_USER", USER)
    monkeypatch.setenv("LESION_SEARCH_PACS_PASSWORD", PASSWORD)


def killed_when(words: list[str], is_time: Callable[[], bool]) -> bool:
    """Runs ``mine`` and kills it once it is time; whether it still ran."""
    process = subprocess.Popen([sys.executable, "-m", "service.cli", *words])
    deadline = time.monotonic() + PATIENCE_S
    while process.poll() is None and time.monotonic() < deadline and not is_time():
        time.sleep(0.02)
    still = process.poll() is None
    process.send_signal(signal.SIGKILL)
    process.wait()
    return still


def carriers_read(work: Path) -> int:
    """How many carriers a run has read so far."""
    if not (work / "work.sqlite").exists():
        return 0
    with sqlite3.connect(f"file:{work / 'work.sqlite'}?mode=ro", uri=True) as connection:
        try:
            (count,) = connection.execute("SELECT count(*) FROM carriers").fetchone()
        except sqlite3.OperationalError:
            return 0
    connection.close()
    return int(count)


def test_mined_over_dicomweb_killed_twice_complete(
    pacs, hospital, environment, tmp_path, capsys, monkeypatch
):
    out = tmp_path / "archive"
    work = tmp_path / "archive.mining"
    words = ["mine", "--pacs", pacs.url, "--out", str(out), "--json"]
    fast = [*words, "--no-locate"]
    assert killed_when(fast, lambda: carriers_read(work) >= 3)
    images = out / "Images_png"
    assert killed_when(fast, lambda: images.exists() and any(images.rglob("*.png")))
    retrieved = []
    read = PacsSource.read
    monkeypatch.setattr(
        PacsSource, "read", lambda self, header: (retrieved.append(header), read(self, header))[1]
    )
    assert main(words) == 0, capsys.readouterr().err
    told = json.loads(capsys.readouterr().out)
    assert told["lesions"] == hospital
    assert told["patients"] == len(OTHERS) + 1
    assert told["verdicts"] == {
        "kept": hospital,
        "duplicate of": told["verdicts"]["duplicate of"],
        "no image": 1,
        "not axial CT": 1,
    }
    assert told["verdicts"]["duplicate of"] >= hospital // 2
    archive = open_archive(out)
    assert not archive.problems
    # Whoever was finished before the second kill was mined without positions.
    assert any(lesion.location_error is not None for lesion in archive.lesions)
    before = files_of(out)
    retrieved.clear()
    assert main(words) == 0
    again = json.loads(capsys.readouterr().out)
    assert (again["patients_mined_now"], len(retrieved)) == (0, 0)
    assert files_of(out) == before
    held = b"".join(content for _, content in before.values())
    assert b"MINE-" not in held
    assert b"Doe" not in held
    searched(archive, out, tmp_path / "index", capsys)


def searched(archive, out: Path, index: Path, capsys) -> None:
    """An index of the mined archive answers with hits of others and this patient's follow-ups."""
    assert main(["index", "build", "--archive", str(out), "--out", str(index), "--json"]) == 0
    capsys.readouterr()
    tracks = archive.track_ids
    linked = next(
        lesion
        for lesion in archive.lesions
        if sum(track == tracks.get(lesion.lesion_id) for track in tracks.values()) == 2
    )
    assert main(["query", "--lesion", linked.lesion_id, "--index", str(index), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert {hit["lesion"]["patient_id"] for hit in answer["hits"]} <= {
        lesion.patient_id for lesion in archive.lesions
    } - {linked.patient_id}
    assert answer["hits"]
    persistent = [one for one in answer["follow_ups"] if one["state"] == "persistent"]
    same_track = {other for other, track in tracks.items() if track == tracks[linked.lesion_id]}
    assert {one["lesion"]["lesion_id"] for one in persistent} <= same_track - {linked.lesion_id}
    assert persistent


def test_a_pacs_that_goes_away_costs_no_verdict(pacs, hospital, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("LESION_SEARCH_PACS_USER", USER)
    monkeypatch.setenv("LESION_SEARCH_PACS_PASSWORD", PASSWORD)
    words = ["mine", "--pacs", pacs.url, "--out", str(tmp_path / "a"), "--patient", "MINE-3"]
    words += ["--no-locate", "--json"]

    def gone(self, header):
        from retrieval.sources.mining.planes import SourceUnavailableError

        raise SourceUnavailableError("the PACS cannot be reached")

    with monkeypatch.context() as patched:
        patched.setattr(PacsSource, "read", gone)
        assert main(words) == 2
    assert "cannot be reached" in capsys.readouterr().err
    assert main(words) == 0
    told = json.loads(capsys.readouterr().out)
    assert told["patients"] == 1
    assert set(told["verdicts"]) == {"kept", "duplicate of"}
    assert os.path.exists(tmp_path / "a" / "DL_info.csv")
