"""A small phantom archive, drawn once for all tests of the embedding."""

from __future__ import annotations

from pathlib import Path

import pytest

from retrieval.sources.deeplesion import DeepLesionArchive
from retrieval.sources.phantom.archive import generate_archive


@pytest.fixture(scope="session")
def phantom_archive(tmp_path_factory: pytest.TempPathFactory) -> DeepLesionArchive:
    root = Path(tmp_path_factory.mktemp("archives")) / "phantom"
    generate_archive(root, patients=8, seed=7)
    return DeepLesionArchive.open(root)
