"""The notebook on growth runs from top to bottom and shows fans, numbers and what limits them."""

from __future__ import annotations

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

from index.lesion_index import LesionIndex
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.synthesis.phantom.archive import generate_archive
from service.engine.search_engine import binding_of
from service.jobs.indexing import index_archive
from tests.service.samples import ToyEncoder

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"


@pytest.fixture(scope="module")
def outputs(tmp_path_factory):
    """Each code cell's outputs after a run over three phantom patients."""
    folder = tmp_path_factory.mktemp("forecast")
    generate_archive(folder / "archive", patients=3, seed=7)
    encoder = ToyEncoder()
    with LesionIndex.create(folder / "index", binding_of(encoder)) as index:
        index_archive(DeepLesionArchive.open(folder / "archive"), index, encoder)
    notebook = nbformat.read(NOTEBOOKS / "03_forecast_growth.ipynb", as_version=4)
    client = NotebookClient(notebook, timeout=60, resources={"metadata": {"path": str(NOTEBOOKS)}})
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LESION_SEARCH_INDEX", str(folder / "index"))
        client.execute()
    return [cell["outputs"] for cell in notebook.cells if cell["cell_type"] == "code"]


@pytest.mark.filterwarnings("default")
def test_the_notebook_shows_fans_numbers_and_limits(outputs):
    opened, fans, numbers, cases, calibration, caveats = outputs
    assert opened[0]["text"].startswith("3 patients; ")
    assert len(fans[0]["data"]["image/png"]) > 10_000
    assert "abstained" in numbers[0]["data"]["text/html"]
    assert "too few similar lesions" in numbers[0]["data"]["text/html"]
    assert cases[0]["data"]
    assert "nominal" in calibration[0]["data"]["text/html"]
    assert "Treatment is not known" in caveats[0]["text"]
    assert not [one for cell in outputs for one in cell if one.get("name") == "stderr"]
