from __future__ import annotations

from dataclasses import replace

import pytest

from retrieval.lesion import Box, Lesion, LesionType
from service.cli import main
from service.commands.demo import DemoError, clearest_example, possible_examples
from service.engine.results import Hit


def lesion(number, study, long_mm):
    return Lesion(f"l{number}", "p1", study, f"{study}-1", 5, Box(1, 1, 9, 9), long_mm=long_mm)


def test_an_example_is_the_first_appearance_of_the_longest_track():
    lesions = [
        lesion(1, "s1", 50.0),
        lesion(2, "s1", 20.0),
        lesion(3, "s2", 25.0),
        lesion(4, "s3", 30.0),
    ]
    tracks = {"l2": "t", "l3": "t", "l4": "t", "l1": "other"}
    assert [one.lesion_id for one in possible_examples(lesions, tracks)] == ["l2"]


def test_without_tracks_the_lesions_of_a_first_study_are_taken_the_large_first():
    lesions = [lesion(1, "s1", 12.0), lesion(2, "s1", 31.0), lesion(3, "s2", 40.0)]
    assert [one.lesion_id for one in possible_examples(lesions, {})] == ["l2", "l1"]


def test_the_example_has_hits_of_its_own_type_and_most_alike():
    liver, lung, bone = (
        replace(lesion(n, "s1", 20.0), lesion_type=kind)
        for n, kind in enumerate((LesionType.LIVER, LesionType.LUNG, LesionType.BONE))
    )
    found = {
        "l0": [Hit(1, 0.9, liver), Hit(2, 0.9, lung)],
        "l1": [Hit(1, 0.6, lung), Hit(2, 0.5, lung)],
        "l2": [Hit(1, 0.7, bone), Hit(2, 0.5, bone)],
    }
    chosen = clearest_example([liver, lung, bone], lambda one: found[one.lesion_id])
    assert chosen is bone


def test_no_lesions_is_an_error():
    with pytest.raises(DemoError, match="no lesions"):
        possible_examples([], {})


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
