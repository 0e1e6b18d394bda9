"""``track``, ``fit-matcher`` and ``evaluate tracking`` as a user types them."""

from __future__ import annotations

import json

import pytest

from retrieval.tracking.fitting.on_archive import save_matcher
from retrieval.tracking.matcher import MatcherModel, bundled_matcher
from tests.service.samples import write_archive


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Patients with two lesions each, so that there are pairs of different lesions."""
    folder = tmp_path_factory.mktemp("several")
    write_archive(folder, patients=4, lesions=2)
    return folder


def test_track_writes_table_and_timeline_beside_its_answer(run, built_index, tmp_path):
    table, figure = tmp_path / "t.csv", tmp_path / "t.png"
    options = ["--patient", "000001", "--csv", table, "--figure", figure, "--json"]
    status, out, err = run("track", "--index", built_index, *options)
    assert status == 0, err
    document = json.loads(out)
    marks = sum(len(track["lesions"]) for track in document["tracks"])
    assert marks <= len(table.read_text().splitlines()) - 1
    assert figure.stat().st_size > 10_000
    assert document["response"]["guideline"].startswith("RECIST 1.1")
    assert err.splitlines()[-1] == f"warning: {document['warnings'][0]}"
    status, out, err = run("track", "--index", built_index)
    assert (status, err.count("warning:")) == (0, 1)
    assert "in order of study number" in out
    assert "Research use only" in out


def test_marks_are_declared_complete_and_taken_back(run, built_index):
    def told(*options):
        status, out, err = run("track", "--index", built_index, "--patient", "000001", *options)
        assert status == 0, err
        return out

    def marks(*options):
        status, out, err = run("index", "marks", "--index", built_index, *options, "--json")
        assert status == 0, err
        return json.loads(out)["marks"]

    def policy(*options):
        return json.loads(told("--json", *options))["response"]["policy"]["marks"]

    assert policy() == "incomplete"
    assert policy("--complete") == "complete"
    assert marks("--patient", "000001") == "complete"
    assert policy() == "complete"
    assert policy("--incomplete") == "incomplete"
    assert marks("--incomplete") == "incomplete"
    assert policy() == "incomplete"


def test_a_matcher_of_this_encoder_is_not_warned_of(run, built_index, tmp_path):
    status, out, err = run("track", "--index", built_index, "--patient", "000001", "--json")
    fingerprint = json.loads(out)["warnings"][0].split("of encoder ")[1].split(":")[0]
    fields = {**bundled_matcher().to_json(), "encoder": fingerprint}
    save_matcher(MatcherModel.from_json(fields), tmp_path / "own.json")
    options = ["--patient", "000001", "--matcher", tmp_path / "own.json", "--json"]
    status, out, err = run("track", "--index", built_index, *options)
    assert (status, err, json.loads(out)["warnings"]) == (0, "", [])


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["track", "--figure", "a.png"], "--patient"),
        (["track", "--matcher", "nothing.json"], "nothing.json cannot be read"),
        (["track", "--complete", "--incomplete"], "give one of both"),
        (["index marks", "--study", "1"], "needs its --patient"),
        (["index marks", "--patient", "nobody"], "no lesion of patient nobody"),
        (["track", "--patient", "000001", "--csv", "no/such/folder/a.csv"], "cannot be written"),
    ],
)
def test_misused_track_options_are_one_line(run, built_index, arguments, words):
    status, out, err = run(*arguments[0].split(), "--index", built_index, *arguments[1:])
    assert (status, out) == (2, "")
    assert err.startswith("error: ") or err.splitlines()[-1].startswith("error: ")
    assert words in err


def test_fit_matcher_writes_weights_bound_to_the_encoder_and_their_card(
    run, several, encoder_file, tmp_path
):
    out_file = tmp_path / "matcher.json"
    common = ["--archive", several, "--encoder", encoder_file]
    options = ["--split", "test", "--folds", "2", "--resamples", "20", "--out", out_file, "--json"]
    status, out, err = run("fit-matcher", *common, *options)
    assert status == 0, err
    facts = json.loads(out)
    model = MatcherModel.load(out_file)
    assert model.encoder == facts["encoder"]
    assert "split test: 4 patients" in model.fitted_on
    card = out_file.with_suffix(".md").read_text()
    assert model.encoder in card
    assert "Research use only" in card
    assert "| matcher, fitted in folds |" in card
    assert "| matcher |" not in card
    figure, page = tmp_path / "calibration.png", tmp_path / "report.md"
    options = ["--matcher", out_file, "--folds", "2", "--resamples", "20"]
    options += ["--figure", figure, "--out", page]
    status, out, err = run("evaluate", "tracking", *common, *options)
    assert (status, err) == (0, f"figure: {figure}\nreport: {page}\n")
    assert figure.stat().st_size > 10_000
    for words in ("exactly", "calibration of the matcher", "truly the same", "location absent"):
        assert words in out
    assert "| matcher's score | pairs |" in page.read_text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--out", "m.txt"], "must end in .json"),
        (["--out", "m.json", "--split", "everybody"], "everybody"),
        (["--out", "m.json", "--split", "train"], "0 patients|0 pairs"),
    ],
)
def test_misused_fit_options_are_one_line(run, several, encoder_file, options, words):
    status, out, err = run("fit-matcher", "--archive", several, "--encoder", encoder_file, *options)
    assert (status, out) == (2, "")
    assert any(word in err for word in words.split("|")), err


def test_a_calibration_figure_belongs_to_an_archive(run, tmp_path):
    options = ["--dls", tmp_path / "a", "--predictions", tmp_path / "b", "--figure", "c.png"]
    status, _, err = run("evaluate", "tracking", *options)
    assert status == 2
    assert "--archive" in err
