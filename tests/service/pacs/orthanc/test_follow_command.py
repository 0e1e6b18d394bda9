"""A lesion followed into another series of the PACS by the command line, each step a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from index.lesion_index import LesionIndex
from index.reports import ReaderDecision
from service.engine.search_engine import binding_of
from tests.service.pacs.orthanc.phantom_study import one_run_each
from tests.service.pacs.orthanc.server import PASSWORD, USER

NAME = "MRN-4719"


@pytest.fixture
def lesion_search(pacs, filled, key_file, tmp_path):
    """Runs a command on an index of its own; returns exit status, stdout and stderr."""
    encoder, _ = filled
    folder = tmp_path / "index"
    LesionIndex.create(folder, binding_of(encoder)).close()
    credentials = {"LESION_SEARCH_PACS_USER": USER, "LESION_SEARCH_PACS_PASSWORD": PASSWORD}

    def run(*words: str) -> tuple[int, str, str]:
        command = [sys.executable, "-m", "service.cli", *words, "--index", str(folder)]
        if words[0] == "pacs":
            command += ["--pacs", pacs.url, "--key", str(key_file)]
        done = subprocess.run(
            command,
            env={**os.environ, **credentials},
            capture_output=True,
            text=True,
            timeout=300,
            check=False,
        )
        return done.returncode, done.stdout, done.stderr

    run.folder = folder
    return run


def answered(run, *words):
    status, out, err = run(*words, "--json")
    assert status == 0, err
    return json.loads(out)


def test_what_is_accepted_is_a_lesion_with_a_confirmed_link(pacs, phantom, patient, lesion_search):
    marks = one_run_each(pacs, phantom, patient, NAME)
    recist = ",".join(str(value) for point in marks[2].recist.points for value in point)
    first, later = marks[2].labels.series_uid, marks[4].labels.series_uid
    slice_uid = marks[2].reference.sop_uid
    prior = answered(
        lesion_search, "pacs", "add", "--series", first, "--instance", slice_uid, "--recist", recist
    )["lesion_id"]
    follow = ("pacs", "follow", "--lesion", prior)

    looked = answered(lesion_search, *follow, "--series", later, "--no-keep")
    assert looked["accepted"] is None
    assert looked["candidates"]
    with LesionIndex.open(lesion_search.folder) as index:
        assert [one.lesion_id for one in index.page(limit=9)] == [prior], "looking adds nothing"

    for words, status in (
        (("--series", later, "--accept", "99"), "candidate 99 cannot be accepted"),
        (("--series", first, "--accept", "1"), "study"),
        (("--series", "1.2.3", "--accept", "1"), "no series"),
    ):
        code, out, err = lesion_search(*follow, *words)
        assert code not in {0, 70}, out
        assert status in err
        assert "Traceback" not in err
    with LesionIndex.open(lesion_search.folder) as index:
        assert len(index.page(limit=9)) == 1, "nothing refused was added"

    found = answered(lesion_search, *follow, "--series", later, "--accept", "1")
    accepted = found["accepted"]
    assert accepted["key_slice_index"] == found["candidates"][0]["key_slice_index"]
    assert accepted["box"] == pytest.approx(found["candidates"][0]["box"])
    again = answered(lesion_search, *follow, "--series", later, "--accept", "1")["accepted"]
    assert again["lesion_id"] == accepted["lesion_id"], "what is there already is linked"
    with LesionIndex.open(lesion_search.folder) as index:
        (match,) = index.matches(accepted["patient_id"])
        assert {match.lesion_a, match.lesion_b} == {prior, accepted["lesion_id"]}
        assert match.verdict is ReaderDecision.CONFIRMED
        assert len(index.page(limit=9)) == 2
        (kept,) = index.searches.of(accepted["patient_id"])
        assert kept.study_id == accepted["study_id"]

    tracks = answered(lesion_search, "track", "--patient", accepted["patient_id"])
    assert NAME not in json.dumps([found, tracks])
    (link,) = tracks["links"]
    assert link["score"] == 1.0
    assert {link["earlier"], link["later"]} == {prior, accepted["lesion_id"]}
