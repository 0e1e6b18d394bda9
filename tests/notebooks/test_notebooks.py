"""The notebooks run from top to bottom on a small archive, and are committed small."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from retrieval.embedding.encoder import LesionEncoder
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.synthesis.phantom.archive import generate_archive
from service.commands.indexing.index import build_index
from tests.service.samples import write_encoder

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
EXPLORE = NOTEBOOKS / "01_explore_embeddings.ipynb"
LARGEST_BYTES = 300_000
SHOWN_MISTAKES = 4


@pytest.fixture(scope="module")
def index_folder(tmp_path_factory):
    """Phantom patients, indexed by an untrained encoder."""
    folder = tmp_path_factory.mktemp("explore")
    generate_archive(folder / "archive", patients=6, seed=0)
    encoder = LesionEncoder.load(write_encoder(folder / "encoder.safetensors", seed=0))
    report = build_index(folder / "archive", folder / "index", encoder)
    assert report.failed == []
    return folder / "index"


@pytest.fixture(scope="module")
def outputs(index_folder):
    """Each code cell's outputs after a run of the notebook."""
    notebook = nbformat.read(EXPLORE, as_version=4)
    client = NotebookClient(notebook, timeout=600, resources={"metadata": {"path": str(NOTEBOOKS)}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LESION_SEARCH_INDEX", str(index_folder))
        client.execute()
    return [cell["outputs"] for cell in notebook.cells if cell["cell_type"] == "code"]


def printed(cell):
    return "".join(one["text"] for one in cell if one.get("name") == "stdout")


def pictures(cell):
    encoded = [one["data"]["image/png"] for one in cell if "image/png" in one.get("data", {})]
    return [
        cv2.imdecode(np.frombuffer(base64.b64decode(one), np.uint8), cv2.IMREAD_COLOR)
        for one in encoded
    ]


@pytest.mark.filterwarnings("default")
def test_the_explore_notebook_shows_map_neighbours_and_mistakes(outputs, index_folder):
    opened, on_map, hover, _, neighbours, types, mistakes = outputs
    lesions = len(DeepLesionArchive.open(index_folder.parent / "archive").lesions)
    assert printed(opened).startswith(f"{lesions} lesions, encoder untrained-0")
    (drawn_map,) = pictures(on_map)
    assert drawn_map.shape[1] > 1000
    assert drawn_map.std() > 10
    (figure,) = [one["data"]["application/vnd.plotly.v1+json"] for one in hover]
    assert sum(len(trace["text"]) for trace in figure["data"]) == lesions
    (drawn_neighbours,) = pictures(neighbours)
    assert drawn_neighbours.std() > 20
    assert "lesion type" in types[0]["data"]["text/html"]
    count = int(printed(mistakes).split(" of ")[0])
    assert len(pictures(mistakes)) == min(count, SHOWN_MISTAKES)


def test_nothing_was_said_on_stderr(outputs):
    assert [one["text"] for cell in outputs for one in cell if one.get("name") == "stderr"] == []


@pytest.mark.parametrize("path", sorted(NOTEBOOKS.glob("*.ipynb")), ids=lambda path: path.name)
def test_committed_notebooks_are_small_and_valid(path):
    assert path.stat().st_size < LARGEST_BYTES
    nbformat.validate(nbformat.read(path, as_version=4))
