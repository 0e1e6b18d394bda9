"""``index approximate`` and ``--approximate``: built, used, its recall told, and dropped."""

from __future__ import annotations

import json
import shutil

import pytest

from index.errors import StoreError
from index.lesion_index import LesionIndex
from service.commands import serve
from service.engine.query import LesionQuery
from service.engine.search_engine import SearchEngine
from service.http.settings import Settings
from tests.service.samples import PATIENTS, STUDIES, ToyEncoder


@pytest.fixture
def own_index(built_index, tmp_path):
    return shutil.copytree(built_index, tmp_path / "index")


@pytest.fixture
def query(own_index, encoder_file):
    """The arguments of a query with the first lesion of the index."""
    with LesionIndex.open(own_index, read_only=True) as index:
        lesion_id = index.page()[0].lesion_id
    return ["query", "--lesion", lesion_id, "--index", own_index, "--encoder", encoder_file]


def test_the_form_is_built_searched_and_dropped(run, own_index, query):
    exact = json.loads(run(*query, "--json")[1])
    assert not any("approximate" in warning for warning in exact["warnings"])
    status, out, err = run("index", "approximate", "--index", own_index, "--kind", "hnsw", "--json")
    assert status == 0, err
    facts = json.loads(out)["approximate"]
    assert (facts["kind"], facts["lesions"]) == ("hnsw", PATIENTS * STUDIES)
    assert 0.9 <= facts["recall_at_10"] <= 1
    status, out, err = run(*query, "--approximate", "--json")
    assert status == 0, err
    found = json.loads(out)
    assert f"recall@10 was {facts['recall_at_10']:.3f}" in found["warnings"][0]
    assert found["warnings"][1:] == exact["warnings"]
    assert found["warnings"][0] in err
    ids = [[hit["lesion"]["lesion_id"] for hit in one["hits"]] for one in (exact, found)]
    assert len(set(ids[0]) & set(ids[1])) >= 9
    assert run("index", "approximate", "--index", own_index, "--drop")[0] == 0
    assert run(*query, "--approximate")[0] == 2


def test_without_the_form_the_answer_is_one_line(run, query, monkeypatch):
    monkeypatch.setenv("LESION_SEARCH_APPROXIMATE", "1")
    status, out, err = run(*query)
    assert (status, out) == (2, "")
    assert "lesion-search index approximate" in err


def test_hits_are_asked_of_the_approximate_form(archive, tmp_path, engine, monkeypatch):
    shutil.copytree(engine.index.path, tmp_path / "index")
    with LesionIndex.open(tmp_path / "index") as index:
        with pytest.raises(StoreError, match="no approximate form"):
            SearchEngine(ToyEncoder(), index, approximate=True)
        index.build_approximate()
        asked = []
        search = index.search
        monkeypatch.setattr(
            index, "search", lambda *a, **kw: asked.append(kw["approximate"]) or search(*a, **kw)
        )
        lesion_id = archive.lesions[0].lesion_id
        for approximate in (True, False):
            made = SearchEngine(ToyEncoder(), index, approximate=approximate)
            made.with_models(ToyEncoder(), None).search(LesionQuery(lesion_id=lesion_id))
        assert asked == [True, False]


def test_serve_takes_models_from_options_or_the_environment(run, monkeypatch, tmp_path):
    started: list[Settings] = []
    monkeypatch.setattr(serve, "run_service", started.append)
    monkeypatch.setenv("LESION_SEARCH_DETECTOR", "environment.safetensors")
    monkeypatch.setenv("LESION_SEARCH_APPROXIMATE", "true")
    monkeypatch.setenv("LESION_SEARCH_PORT", "8123")
    assert run("serve", "--index", tmp_path)[0] == 0
    options = ["--detector", "option.safetensors", "--encoder", "e.safetensors", "--port", 8124]
    assert run("serve", "--index", tmp_path, *options)[0] == 0
    assert [str(one.detector) for one in started] == [
        "environment.safetensors",
        "option.safetensors",
    ]
    assert [one.approximate for one in started] == [True, True]
    assert [one.port for one in started] == [8123, 8124]
    assert str(started[1].encoder) == "e.safetensors"


def test_a_map_is_made_and_kept_with_its_index(built_index, tmp_path, run):
    import shutil

    copied = tmp_path / "index"
    shutil.copytree(built_index, copied)
    status, out, _ = run("index", "map", "--index", str(copied), "--method", "pca", "--json")
    assert status == 0
    assert '"method": "pca"' in out
    assert (copied / "map.npz").is_file()
    status, out, _ = run("index", "verify", "--index", str(copied), "--json")
    assert status == 0, out
