"""The command line as a user types it: answers on stdout, everything else on stderr."""

from __future__ import annotations

import json

import cv2
import numpy as np
import pandas as pd
import pytest

from tests.service.samples import PATIENTS, STUDIES, write_archive

LESIONS = PATIENTS * STUDIES


@pytest.fixture
def run_json(run):
    """Runs a command with --json; stdout must be one document and nothing else."""

    def call(*arguments):
        status, out, err = run(*arguments, "--json")
        assert status == 0, err
        return json.loads(out)

    return call


@pytest.fixture
def first(archive):
    lesion = archive.lesions[0]
    box = ",".join(str(edge) for edge in lesion.box.to_list())
    return lesion, archive.root / archive.source(lesion).image, box


def test_check_counts_the_archive(run, run_json, archive_folder):
    report = run_json("check", archive_folder)
    assert (report["rows"], report["patients"], report["is_sound"]) == (LESIONS, PATIENTS, True)
    status, out, _ = run("check", archive_folder)
    assert status == 0
    assert f"{LESIONS} sound" in out


def test_check_names_a_bad_row_by_its_line(run, tmp_path):
    write_archive(tmp_path, patients=1)
    (tmp_path / "Images_png" / "000001_02_01" / "011.png").unlink()
    status, out, _ = run("check", tmp_path)
    assert status == 0
    assert "missing_file" in out
    assert "000001_02_01_011.png" in out


def test_phantom_makes_an_archive_and_keeps_it(run_json, tmp_path):
    written = run_json("phantom", tmp_path / "a", "--patients", 1, "--seed", 3)
    assert written["patients"] == 1
    table = tmp_path / "a" / "DL_info.csv"
    before = (table.read_bytes(), table.stat().st_mtime_ns)
    assert run_json("phantom", tmp_path / "a", "--patients", 1, "--seed", 3) == written
    assert (table.read_bytes(), table.stat().st_mtime_ns) == before


def test_build_then_build_again_then_info_and_verify(
    run_json, tmp_path, archive_folder, encoder_file
):
    index = tmp_path / "index"
    arguments = ["index", "build", "--archive", archive_folder, "--out", index]
    arguments += ["--encoder", encoder_file]
    assert run_json(*arguments)["added"] == LESIONS
    again = run_json(*arguments)
    assert (again["added"], again["already_there"]) == (0, LESIONS)
    facts = run_json("index", "info", "--index", index)
    assert (facts["lesions"], facts["patients"]) == (LESIONS, PATIENTS)
    assert facts["encoder_name"] == "untrained-0"
    assert run_json("index", "verify", "--index", index)["sound"] is True


def test_add_remove_export_and_import(run_json, tmp_path, archive_folder, encoder_file):
    index = tmp_path / "index"
    encoder = ["--encoder", encoder_file]
    run_json("index", "build", "--archive", archive_folder, "--out", index, *encoder)
    write_archive(tmp_path / "more", patients=1, first_patient=70)
    added = run_json("index", "add", "--archive", tmp_path / "more", "--index", index, *encoder)
    assert added["added"] == STUDIES
    removed = run_json("index", "remove", "--index", index, "--where", "patient=000001")
    assert removed["removed"] == STUDIES
    table = tmp_path / "all.parquet"
    assert run_json("index", "export", "--index", index, "--out", table)["lesions"] == LESIONS
    frame = pd.read_parquet(table)
    assert {"lesion_id", "long_mm", "vector"} <= set(frame.columns)
    assert "000001" not in set(frame["patient_id"])
    copied = run_json("index", "import", table, "--out", tmp_path / "copy")
    assert copied["lesions"] == LESIONS
    assert run_json("index", "verify", "--index", tmp_path / "copy")["sound"] is True


def test_query_with_an_image_of_the_archive(run, run_json, first, built_index, encoder_file):
    lesion, image, box = first
    arguments = ["query", image, "--index", built_index, "--encoder", encoder_file, "--box", box]
    found = run_json(*arguments, "-k", 3)
    assert found["recognised"] == {"lesion_id": lesion.lesion_id, "iou": 1.0}
    assert lesion.patient_id not in {hit["lesion"]["patient_id"] for hit in found["hits"]}
    assert len(found["hits"]) == 3
    assert found["timing_ms"]["read"] > 0
    own = ["--patient", lesion.patient_id, "--study", lesion.study_id]
    warnings = run_json(*arguments, *own)["warnings"]
    status, out, err = run(*arguments, *own)
    assert status == 0
    assert err.splitlines() == [f"warning: {warning}" for warning in warnings]
    recognised, table = out.split("Similar lesions of other patients")
    assert f"is indexed already: lesion {lesion.lesion_id}, box overlap 1.00" in recognised
    hits, follow_ups = table.split("other studies, in time order")
    assert "000002" in hits
    assert lesion.patient_id not in hits.replace(str(image), "").replace(lesion.lesion_id, "")
    assert follow_ups.index("000001_02") < follow_ups.index("000001_03")


def test_query_with_a_recist_mark(run_json, first, built_index, encoder_file):
    lesion, image, _ = first
    x1, y1, x2, y2 = lesion.box.padded(-5).to_list()
    x, y = lesion.box.center
    mark = ",".join(str(value) for value in (x1, y, x2, y, x, y1, x, y2))
    found = run_json(
        "query", image, "--index", built_index, "--encoder", encoder_file, "--recist", mark
    )
    assert found["box_source"] == "recist"
    assert np.allclose(found["box"], lesion.box.to_list())


def test_query_with_an_indexed_lesion_and_its_figure(
    run, first, built_index, encoder_file, tmp_path
):
    lesion = first[0]
    picture = tmp_path / "out.png"
    arguments = ["--index", built_index, "--encoder", encoder_file, "--figure", picture]
    status, out, err = run("query", "--lesion", lesion.lesion_id, *arguments)
    assert status == 0
    assert str(picture) in err
    assert "rank" in out
    drawn = cv2.imread(str(picture))
    assert drawn.shape[1] > 1000
    assert drawn.std() > 10


def test_query_with_a_filter(run_json, first, built_index, encoder_file):
    arguments = ["--index", built_index, "--encoder", encoder_file, "--where", "type=lung"]
    found = run_json("query", "--lesion", first[0].lesion_id, *arguments)
    assert {hit["lesion"]["lesion_type"] for hit in found["hits"]} == {"lung"}


def test_evaluate_retrieval_has_the_encoder_beside_its_baselines(run_json, archive_folder):
    report = run_json("evaluate", "retrieval", "--archive", archive_folder, "--baselines-only")
    methods = {name for score in report["scores"] for name in score["methods"]}
    assert {"random", "location only", "size only"} <= methods


COMMANDS = {
    (): "phantom check import index query detect track evaluate train fit-matcher serve keys pacs "
    "deidentify demo",
    ("index",): "build add remove info verify export import sync approximate",
    ("train",): "encoder detector",
    ("evaluate",): "retrieval nodules tracking detection card",
    ("keys",): "add list revoke",
    ("pacs",): "query add report",
}


@pytest.mark.parametrize("group", COMMANDS, ids=" ".join)
def test_help_names_every_command_of_the_design(run, group):
    status, out, _ = run(*group, "--help")
    assert status == 0
    named = {line.split()[0] for line in out.splitlines() if line.startswith("  ") and line.strip()}
    assert set(COMMANDS[group].split()) <= named


def test_track_joins_each_patients_lesions(run, run_json, built_index):
    one = run_json("track", "--index", built_index, "--patient", "000001")
    assert one["patient_id"] == "000001"
    assert sum(len(track["lesions"]) for track in one["tracks"]) == STUDIES
    everybody = run_json("track", "--index", built_index)["patients"]
    assert [patient["patient_id"] for patient in everybody] == [
        f"{number:06d}" for number in range(1, PATIENTS + 1)
    ]
    status, out, _ = run("track", "--index", built_index, "--patient", "000001")
    assert status == 0
    for study in ("000001_01", "000001_02", "000001_03"):
        assert study in out


def test_evaluate_tracking_on_an_archive_with_tracks(run_json, tmp_path, encoder_file):
    write_archive(tmp_path, patients=4, lesions=2)
    arguments = ["--archive", tmp_path, "--encoder", encoder_file]
    report = run_json("evaluate", "tracking", *arguments)
    assert report["lesions"] == 4 * STUDIES * 2
    assert report["pairs"] == 4 * 2 * STUDIES * (STUDIES - 1) / 2


def test_evaluate_tracking_on_the_benchmarks_own_files(run_json, real_data):
    """The affine centres that the truth file brings along, as predictions."""
    truth = real_data / "dls_valid.json"
    scores = run_json("evaluate", "tracking", "--dls", truth, "--predictions", truth)
    assert scores["pairs"] == 906
    assert 5 < scores["mean_offset_mm"]["value"] < 20
