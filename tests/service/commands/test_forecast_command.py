"""``lesion-search forecast``: one lesion, one patient, and what is refused."""

from __future__ import annotations

import json

import pytest

from tests.service.growing import growing_index

LAST = "000003_03_01_a"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    path = tmp_path_factory.mktemp("growing") / "index"
    growing_index(path, 12).close()
    return path


def test_one_lesion_as_json(run, folder):
    status, out, _ = run("forecast", "--index", folder, "--lesion", LAST, "--json")
    document = json.loads(out)
    assert status == 0
    assert document["lesion"]["lesion_id"] == LAST
    assert document["state"] == "forecast"
    assert [one["level_pct"] for one in document["outlook"]["ranges"]] == [50, 80, 95]


def test_one_patient_in_words(run, folder):
    status, out, _ = run("forecast", "--index", folder, "--patient", "000003")
    assert status == 0
    for words in ("median", "95 %", "growth of 20 %", "11 similar lesions", "Research use only"):
        assert words in out


def test_an_abstention_shows_what_all_lesions_did(run, tmp_path):
    growing_index(tmp_path / "index", 3).close()
    status, out, _ = run("forecast", "--index", tmp_path / "index", "--lesion", LAST)
    assert status == 0
    assert "2 known, 8 needed" in out
    assert "what all lesions of that size and type did" in out


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ([], "either --lesion or --patient"),
        (["--lesion", LAST, "--patient", "000003"], "either --lesion or --patient"),
        (["--lesion", LAST, "--days", "4000"], "1 to 3650 days"),
        (["--lesion", LAST, "--measure", "area"], "long_mm or volume_mm3"),
        (
            ["--patient", "000003", "--measure", "volume_mm3", "--figure", "fan.png"],
            "long diameters",
        ),
        (["--lesion", "nobody"], "'nobody' is not in the index"),
        (["--patient", "nobody"], "'nobody' is not among the 12 patients"),
    ],
)
def test_a_mistake_is_one_line(run, folder, options, words):
    status, out, error = run("forecast", "--index", folder, *options)
    assert (status, out, error.count("\n")) == (2, "", 1)
    assert words in error
