from __future__ import annotations

import pytest

from retrieval.lesion import Box, Lesion
from service.cli import main
from service.commands.demo import DemoError, choose_example


def lesion(number, study, long_mm):
    return Lesion(f"l{number}", "p1", study, f"{study}-1", 5, Box(1, 1, 9, 9), long_mm=long_mm)


def test_the_example_is_the_first_appearance_of_the_longest_track():
    lesions = [
        lesion(1, "s1", 50.0),
        lesion(2, "s1", 20.0),
        lesion(3, "s2", 25.0),
        lesion(4, "s3", 30.0),
    ]
    tracks = {"l2": "t", "l3": "t", "l4": "t", "l1": "other"}
    assert choose_example(lesions, tracks).lesion_id == "l2"


def test_without_tracks_the_largest_of_a_first_study_is_taken():
    lesions = [lesion(1, "s1", 12.0), lesion(2, "s1", 31.0), lesion(3, "s2", 40.0)]
    assert choose_example(lesions, {}).lesion_id == "l2"


def test_no_lesions_is_an_error():
    with pytest.raises(DemoError, match="no lesions"):
        choose_example([], {})


def test_the_demo_runs_and_a_second_run_keeps_what_is_done(tmp_path, encoder_file, capfd):
    out = tmp_path / "demo"
    arguments = ["demo", "--out", str(out), "--patients", "2", "--no-serve"]
    arguments += ["--encoder", str(encoder_file)]
    assert main(arguments) == 0
    printed = capfd.readouterr()
    assert "rank" in printed.out
    assert "lesion-search query" in printed.err
    assert (out / "query.png").stat().st_size > 50_000
    stamps = {p: p.stat().st_mtime_ns for p in (out / "archive").rglob("*") if p.is_file()}
    assert main(arguments) == 0
    assert "index: 0 lesions added" in capfd.readouterr().err
    assert stamps == {p: p.stat().st_mtime_ns for p in (out / "archive").rglob("*") if p.is_file()}
