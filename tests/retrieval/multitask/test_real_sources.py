"""``train multitask`` from end to end on parts of the real collections, and what it leaves."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from retrieval.lesion import Split
from retrieval.multitask.heads import load_heads
from retrieval.multitask.network import MultitaskNetwork
from retrieval.sources.archive import open_archive
from retrieval.sources.importers.registry import importer
from service.cli import main
from tests.retrieval.multitask.test_learning import TINY
from tests.retrieval.sources.importers.test_importers import part_of_index

FEW = {**TINY, "data.phantoms": "1", "optimiser.steps": "3", "refinement.slices": "3"}


@pytest.fixture(scope="module")
def trained(real_data, tmp_path_factory) -> tuple[Path, list[str]]:
    """The folder of a run, and the words of its command."""
    folder = tmp_path_factory.mktemp("sources")
    few = {
        "lung_nodules": lambda row: row["patient"] < "LIDC-IDRI-0025",
        "sarcoma_ct": lambda row: row["patient"] < "STS_007",
    }
    for name, keep in few.items():
        part_of_index(real_data / name, folder / name, keep)
    importer("sarcoma")(folder / "sarcoma_ct", folder / "sarcoma")
    assert main(["phantom", str(folder / "phantom"), "--patients", "8", "--seed", "41"]) == 0
    words = ["train", "multitask", "--out", str(folder / "run"), "--json"]
    words += ["--nodules", str(folder / "lung_nodules"), "--sarcomas", str(folder / "sarcoma_ct")]
    words += ["--archive", str(folder / "phantom"), "--archive", str(folder / "sarcoma")]
    for key, value in FEW.items():
        words += ["--set", f"{key}={value}"]
    return folder, words


def test_heads_of_real_sources_read_what_the_detector_finds(trained, detector, capsys):
    folder, words = trained
    capsys.readouterr()
    assert main(words) == 0
    facts = json.loads(capsys.readouterr().out)
    assert set(facts["lesions"]) == {"nodule", "sarcoma", "phantom"}
    assert facts["refinement"]["boxes"] > 0
    assert facts["refinement"]["validation_boxes"] > 0
    heads = load_heads(folder / "run" / "multitask.safetensors", detector)
    assert heads.terms
    archive = open_archive(folder / "sarcoma")
    lesion = next(one for one in archive.lesions if one.split is Split.TRAIN)
    slab = archive.slab(lesion, half_depth_mm=detector.half_depth_mm)
    found = MultitaskNetwork(detector, heads).find(slab)
    assert found
    assert [one.proposal.box for one in found] == [
        one.box for one in detector.detect(slab)[: len(found)]
    ]
    assert all(set(one.tags) == {term.name for term in heads.terms} for one in found)

    # Run again, nothing is learnt anew: the weights are the same to the bit.
    before = (folder / "run" / "multitask.safetensors").read_bytes()
    steps = (folder / "run" / "losses.csv").read_bytes()
    assert main(words) == 0
    assert json.loads(capsys.readouterr().out)["fingerprint"] == facts["fingerprint"]
    assert (folder / "run" / "multitask.safetensors").read_bytes() == before
    assert (folder / "run" / "losses.csv").read_bytes() == steps
