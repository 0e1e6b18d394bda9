"""An empty index bound to the encoder of the tests."""

from __future__ import annotations

import pytest

from index.lesion_index import LesionIndex
from retrieval.embedding.encoder import LesionEncoder
from service.engine.search_engine import binding_of


@pytest.fixture
def index(tmp_path, encoder_file):
    encoder = LesionEncoder.load(encoder_file)
    with LesionIndex.create(tmp_path / "index", binding_of(encoder)) as opened:
        yield opened
