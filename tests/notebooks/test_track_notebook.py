"""The tracking notebook runs from top to bottom on a small archive and shows what it promises."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import cv2
import nbformat
import numpy as np
import pytest
from nbclient import NotebookClient

from index.lesion_index import LesionIndex
from retrieval.embedding.encoder import Embedding
from retrieval.patch import Patch
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.synthesis.phantom.archive import generate_archive
from service.engine.search_engine import binding_of
from service.jobs.indexing import index_archive
from tests.service.samples import ToyEncoder

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


class NoiseEncoder(ToyEncoder):
    """Vectors that know nothing of the patch, so that matching without a location must fail."""

    name = "noise"

    def embed(self, patches: Sequence[Patch], *, batch_size: int = 32) -> Embedding:
        known = super().embed(patches)
        rng = np.random.default_rng(len(patches))
        vectors = rng.normal(size=known.vectors.shape).astype(np.float32)
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
        return replace(known, vectors=vectors)


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Each code cell's outputs after a run over three phantom patients."""
    folder = tmp_path_factory.mktemp("track")
    generate_archive(folder / "archive", patients=3, seed=7)
    encoder = NoiseEncoder()
    with LesionIndex.create(folder / "index", binding_of(encoder)) as index:
        index_archive(DeepLesionArchive.open(folder / "archive"), index, encoder)
    return executed(folder / "index")


def executed(index):
    """Each code cell's outputs after a run over an index."""
    notebook = nbformat.read(NOTEBOOKS / "02_track_lesions.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(NOTEBOOKS)}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LESION_SEARCH_INDEX", str(index))
        client.execute()
    return [cell["outputs"] for cell in notebook.cells if cell["cell_type"] == "code"]


def printed(cell):
    return "".join(one["text"] for one in cell if one.get("name") == "stdout")


def picture(cell):
    (encoded,) = [one["data"]["image/png"] for one in cell if "image/png" in one.get("data", {})]
    return cv2.imdecode(np.frombuffer(base64.b64decode(encoded), np.uint8), cv2.IMREAD_COLOR)


def table(cell):
    return cell[0]["data"]["text/html"]


@pytest.mark.filterwarnings("default")
def test_the_track_notebook_shows_a_patient_and_where_matching_fails(outputs):
    opened, _, timeline, sizes, response, growth, links, located, placeless, _ = outputs
    assert printed(opened).startswith("3 patients, encoder noise")
    assert printed(timeline).startswith("warning: the matcher was calibrated with")
    drawn = picture(timeline)
    assert drawn.shape[0] > 600
    assert drawn.std() > 15
    assert "000003_" in table(sizes)
    assert "category" in table(response)
    assert "volume_doubling_days" in table(growth)
    assert "terms.similarity" in table(links)
    for cell in (located, placeless):
        assert " links found" in printed(cell)
        assert picture(cell).shape[1] > 500
    missed = int(printed(placeless).split(" missed")[0].rsplit(" ", 1)[-1])
    assert missed > 0
    assert picture(placeless).std() > 20


def test_nothing_was_said_on_stderr(outputs):
    assert [one["text"] for cell in outputs for one in cell if one.get("name") == "stderr"] == []


@pytest.mark.filterwarnings("default")
def test_the_track_notebook_says_that_a_real_archive_knows_no_tracks(real_data, tmp_path):
    encoder = ToyEncoder()
    with LesionIndex.create(tmp_path / "index", binding_of(encoder)) as index:
        index_archive(DeepLesionArchive.open(real_data / "deeplesion_sample"), index, encoder)
    opened, _, timeline, sizes, *_, located, placeless, _ = executed(tmp_path / "index")
    assert printed(opened).startswith("9 patients, encoder toy")
    assert picture(timeline).std() > 15
    assert "000053_" in table(sizes)
    assert printed(located) == (
        "no archive of this index knows its lesion tracks (tracks.csv): links are not checked\n"
    )
    assert placeless == []
