"""From the command line: evaluations to JSON, and the model card from those files."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pytest

from retrieval.evaluation.reporting.card_facts import read_card_facts
from retrieval.lesion import LesionType, Recist, Split
from retrieval.sources.deeplesion.series_images import SeriesImages
from retrieval.sources.deeplesion.writer import ArchiveRow, DeepLesionWriter
from service.cli import main
from tests.service.samples import write_archive

FACTS = """
purpose = "Exercises the command."
training = ["Nothing: the weights are drawn at random."]
held_apart = "Nobody was trained on."
limits = ["It knows nothing."]
"""
SIDE = 64
QUICK = ("--resamples", 20)


def write_nodules(root, *, patients):
    """Nodules whose brightness is their malignancy, each again on its next slice."""
    columns, rows = np.meshgrid(np.arange(SIDE), np.arange(SIDE))
    with DeepLesionWriter(root) as writer:
        for patient in range(1, patients + 1):
            rating, radius = 1.0 + patient % 5, 4 + patient % 3
            rng = np.random.default_rng(patient)
            inside = np.hypot(columns - 32, rows - 32) < radius
            hu = rng.normal(-800, 20, (5, SIDE, SIDE)) + np.where(inside, 300 + 80 * rating, 0)
            writer.write_slices(SeriesImages(patient, 1, 1, 10, hu))
            mark = Recist(((32 - radius, 32), (32 + radius, 32), (32, 28), (32, 36)))
            for following in (0, 1):
                row = ArchiveRow(
                    patient=patient,
                    study=1,
                    series=1,
                    key_slice=12 + following,
                    recist=mark,
                    box=mark.box(),
                    location=(0.5, 0.5, 0.4),
                    lesion_type=LesionType.LUNG,
                    split=Split.TEST if patient % 2 else Split.TRAIN,
                    spacing_mm_px=(0.8, 0.8),
                    slice_interval_mm=2.0,
                    slice_range=(10, 14),
                    image_size=(SIDE, SIDE),
                )
                ratings = {"malignancy": rating, "texture": 6 - rating, "spiculation": 2.0}
                ratings |= {"diameter_mm": 2 * radius, "next_slice": following}
                writer.add_row(row, track_id=f"nodule-{patient}", attributes=ratings)


@pytest.fixture(scope="module")
def reports(tmp_path_factory, encoder_file):
    """A folder with an archive, a nodule archive, facts, and the JSON of both evaluations."""
    folder = tmp_path_factory.mktemp("card")
    write_archive(folder / "unseen", patients=4)
    write_nodules(folder / "nodules", patients=12)
    (folder / "facts.toml").write_text(FACTS)
    return folder


def run(capsys, *arguments):
    status = main([str(argument) for argument in arguments])
    captured = capsys.readouterr()
    return status, captured.out, captured.err


def test_nodules_of_one_split_beside_their_baselines(reports, encoder_file, capsys):
    arguments = ["evaluate", "nodules", "--archive", reports / "nodules", *QUICK]
    page = reports / "nodules.md"
    status, out, err = run(capsys, *arguments, "--encoder", encoder_file, "--out", page, "--json")
    assert status == 0, err
    report = json.loads(out)
    assert (report["split"], report["lesions"], report["patients"]) == ("test", 6, 6)
    methods = {name for score in report["scores"] for name in score["methods"]}
    assert {"untrained-0", "diameter itself", "raw pixels"} <= methods
    assert any(name.endswith("frozen, multi-scale") for name in methods)
    assert "Every method" in page.read_text()


@pytest.mark.parametrize(("split", "lesions"), [("train", 6), ("all", 12)])
def test_the_split_chooses_the_patients(reports, encoder_file, capsys, split, lesions):
    arguments = ["evaluate", "nodules", "--archive", reports / "nodules", "--split", split]
    status, out, _ = run(capsys, *arguments, "--encoder", encoder_file, "--json")
    assert status == 0
    assert json.loads(out)["lesions"] == lesions


def test_an_unknown_split_is_a_users_mistake(reports, encoder_file, capsys):
    arguments = ["evaluate", "nodules", "--archive", reports / "nodules", "--split", "released"]
    status, out, err = run(capsys, *arguments, "--encoder", encoder_file)
    assert (status, out) == (2, "")
    assert "'released' is unknown: one of test, val, train, all" in err


def test_the_card_is_written_from_saved_reports(reports, encoder_file, capsys):
    encoder = ["--encoder", encoder_file]
    for kind, archive in (("retrieval", "unseen"), ("nodules", "nodules")):
        status, out, err = run(
            capsys, "evaluate", kind, "--archive", reports / archive, *encoder, *QUICK, "--json"
        )
        assert status == 0, err
        (reports / f"{kind}.json").write_text(out)
    card = reports / "encoder.md"
    arguments = ["evaluate", "card", *encoder, "--facts", reports / "facts.toml", "--out", card]
    arguments += ["--report", f"Unseen patients={reports / 'retrieval.json'}"]
    arguments += ["--report", f"Lung nodules={reports / 'nodules.json'}"]
    status, _, err = run(capsys, *arguments, "--trained-on", f"Nodules={reports / 'nodules'}")
    assert status == 0, err
    text = card.read_text()
    assert text.startswith("# untrained-0\n")
    assert "Not a medical device" in text
    assert "* Nodules: 12 lesions of 6 patients" in text
    assert text.index("## Unseen patients") < text.index("## Lung nodules")
    assert "| box jitter 20 % |" in text
    assert "malignancy AUC" in text
    assert str(reports) not in text


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--report", "no title"], "--report 'no title' has no title: write TITLE=PATH"),
        (["--report", "A=absent.json"], "report absent.json cannot be read"),
        (["--report", "A=a.json", "--trained-on", "=archive"], "--trained-on '=archive' has no"),
        (["--report", "A=a.json", "--report", "A=b.json"], "'A' is given twice"),
    ],
)
def test_mistakes_are_one_line(reports, encoder_file, capsys, options, told):
    arguments = ["evaluate", "card", "--encoder", encoder_file, "--facts", reports / "facts.toml"]
    status, out, err = run(capsys, *arguments, *options)
    assert (status, out) == (2, "")
    assert err.count("\n") == 1
    assert told in err


def test_the_example_facts_of_the_docs_are_accepted(tmp_path, encoder_file):
    page = (Path(__file__).parents[3] / "docs" / "evaluation.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    (tmp_path / "facts.toml").write_text(example)
    facts = read_card_facts(tmp_path / "facts.toml", encoder_file)
    assert facts.purpose in page
