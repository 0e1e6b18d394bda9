"""An encoder that is not the product's own, from the index to a query and beside another."""

from __future__ import annotations

import json

import pytest

RANDOM = "torchvision:mobilenet_v3_small@random"


@pytest.fixture(scope="module")
def small_archive(tmp_path_factory):
    from retrieval.synthesis.phantom.archive import generate_archive

    root = tmp_path_factory.mktemp("archives") / "phantom"
    generate_archive(root, patients=2, seed=3)
    return root


def test_an_index_of_another_encoder_answers_to_it_alone(
    run, small_archive, tmp_path, encoder_file
):
    out = tmp_path / "index"
    build = ["index", "build", "--archive", small_archive, "--out", out, "--encoder", RANDOM]
    status, _, err = run(*build, "--json")
    assert status == 0, err
    status, text, err = run("index", "info", "--index", out, "--json")
    assert "torchvision mobilenet_v3_small, random weights" in text
    from retrieval.sources.archive import open_archive

    lesion = open_archive(small_archive).lesions[0]
    image = small_archive / open_archive(small_archive).source(lesion).image
    box = ",".join(map(str, lesion.box.to_list()))
    query = ["query", image, "--index", out, "--box", box, "--json"]
    status, text, err = run(*query, "--encoder", RANDOM)
    assert status == 0, err
    answer = json.loads(text)
    assert answer["encoder"]["name"] == "torchvision mobilenet_v3_small, random weights"
    assert answer["hits"]
    status, _, err = run(*query, "--encoder", encoder_file)
    assert (status, err.count("\n")) == (2, 1)


def test_two_encoders_stand_side_by_side(run, small_archive, encoder_file):
    both = ["--encoder", encoder_file, "--encoder", RANDOM]
    common = ["evaluate", "retrieval", "--archive", small_archive, "--resamples", 5, "--json"]
    status, out, err = run(*common, *both)
    assert status == 0, err
    report = json.loads(out)
    methods = set(report["scores"][0]["methods"])
    assert "torchvision mobilenet_v3_small, random weights" in methods
    assert report["encoder"] in methods
    status, _, err = run(*common, "--encoder", RANDOM, "--encoder", RANDOM, "--encoder", RANDOM)
    assert (status, err.count("\n")) == (2, 1)
    assert "given twice" in err


def test_an_unknown_encoder_is_one_line(run, small_archive, tmp_path):
    out = tmp_path / "index"
    for name in ("nobodys", "torchvision:resnet17", "none.onnx"):
        status, _, err = run(
            "index", "build", "--archive", small_archive, "--out", out, "--encoder", name
        )
        assert (status, err.count("\n")) == (2, 1)
        assert name.split(":")[-1] in err
    assert not out.exists()


def test_the_encoder_is_exported(run, encoder_file, tmp_path):
    out = tmp_path / "mine.onnx"
    status, text, err = run("export-encoder", out, "--encoder", encoder_file, "--json")
    assert status == 0, err
    assert json.loads(text)["bytes"] == out.stat().st_size
    assert (tmp_path / "mine.onnx.json").is_file()
    status, _, err = run("export-encoder", tmp_path / "mine.pb")
    assert (status, err.count("\n")) == (2, 1)
