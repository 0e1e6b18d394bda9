"""An index tagged from end to end: predictions, labels of reports, corrections; CLI and HTTP."""

from __future__ import annotations

import json
import shutil

import numpy as np
import pytest
from starlette.testclient import TestClient

from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from retrieval.labels.appearance.image_numbers import COUNT
from retrieval.labels.appearance.network import TagNetwork
from retrieval.labels.appearance.weights_file import HeadTerm, TagHead, TagHeadError
from retrieval.labels.vocabulary.bundled import vocabulary
from retrieval.tag import TagSource
from service.cli import main
from service.http.app import create_app
from service.http.settings import Settings
from service.jobs.tagging import import_labels, tag_index


@pytest.fixture
def copied(engine, tmp_path):
    folder = tmp_path / "index"
    shutil.copytree(engine.index.path, folder)
    with LesionIndex.open(folder) as index:
        yield index


def a_head(index: LesionIndex) -> TagHead:
    """A head that finds every lesion solid and none calcified."""
    network = TagNetwork(index.binding.dimension + COUNT, 2)
    network.scores.weight.data.zero_()
    network.scores.bias.data[:] = network.scores.bias.data.new_tensor([2.0, -2.0])
    terms = (HeadTerm("solid"), HeadTerm("calcified"))
    return TagHead(network, terms, encoder=index.binding.fingerprint, name="made")


def test_predictions_of_an_index(copied):
    report = tag_index(copied, a_head(copied), vocabulary())
    assert report.lesions == copied.count() == report.predicted
    assert report.without_pixels == 0
    assert copied.count(LesionFilter.parse("tag=solid and tag_source=predicted")) == report.lesions
    assert copied.count(LesionFilter.parse("tag=calcified")) == 0
    for lesion in copied.page(limit=5):
        solid = next(tag for tag in lesion.tags if tag.term == "solid")
        assert solid.probability == pytest.approx(1 / (1 + np.exp(-2)), abs=1e-3)
        assert solid.model == "made"
    again = tag_index(copied, a_head(copied), vocabulary())
    assert again.changed == 0
    assert copied.verify().sound
    other = TagHead(TagNetwork(3, 1), (HeadTerm("solid"),), encoder="another", name="x")
    with pytest.raises(TagHeadError, match="another"):
        tag_index(copied, other, vocabulary())


def test_labels_of_reports(copied, archive, tmp_path):
    table = archive.root / "DL_info.csv"
    names = {"term_list": ["liver", "calcified"], "train_lesion_idxs": [0, 2, 999]}
    names |= {
        "train_relevant_labels": [[1], [0], [0]],
        "train_uncertain_labels": [[], [1], []],
        "train_irrelevant_labels": [[], [], []],
    }
    for part in ("val", "test"):
        names |= {f"{part}_lesion_idxs": [], f"{part}_relevant_labels": []}
    (tmp_path / "labels.json").write_text(json.dumps(names))
    report = import_labels(copied, tmp_path / "labels.json", table, vocabulary())
    assert (report.lesions, report.changed, report.unknown) == (2, 2, 1)
    assert copied.count(LesionFilter.parse("tag=calcified and tag_source=text")) == 1
    first = copied.get(archive.lesions[0].lesion_id).lesion
    assert first.terms >= {"calcified"}


def test_the_command_tags_and_corrects(copied, capsys):
    folder, lesion = str(copied.path), copied.page(limit=1)[0].lesion_id
    copied.close()
    assert main(["tag", "--index", folder, "--json"]) == 0
    told = capsys.readouterr()
    assert json.loads(told.out)["lesions"] > 0
    correct = ["tag", "--index", folder, "--lesion", lesion, "--term", "Calcification"]
    assert main([*correct, "--holds", "yes", "--json"]) == 0
    tags = json.loads(capsys.readouterr().out)["tags"]
    assert {"term": "calcified", "probability": 1.0, "source": "reader"} in tags
    for arguments in (
        [*correct, "--holds", "maybe"],
        ["tag", "--index", folder, "--labels", "x"],
        [*correct[:5], "--term", "wibble", "--holds", "no"],
    ):
        assert main(arguments) == 2
        assert capsys.readouterr().err.count("\n") == 1


def test_a_reader_corrects_over_http(engine, tmp_path):
    index_folder = tmp_path / "served"
    shutil.copytree(engine.index.path, index_folder)
    with LesionIndex.open(index_folder) as index:
        served = type(engine)(engine.encoder, index)
        with TestClient(create_app(Settings(index=index_folder), engine=served)) as client:
            lesion = index.page(limit=1)[0].lesion_id
            path = f"/v1/lesions/{lesion}/tags"
            answer = client.put(path, json={"term": "hepatic", "holds": False})
            assert answer.status_code == 200, answer.text
            assert {"term": "liver", "probability": 0.0, "source": "reader"} in answer.json()[
                "tags"
            ]
            kept = index.get(lesion).lesion.tags
            assert any(tag.source is TagSource.READER for tag in kept)
            assert client.put(path, json={"term": "liver", "holds": None}).json()["tags"] == []
            assert client.put(path, json={"term": "wibble", "holds": True}).status_code == 422
            assert (
                client.put(
                    "/v1/lesions/nobody/tags", json={"term": "liver", "holds": True}
                ).status_code
                == 404
            )
