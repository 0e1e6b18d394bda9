"""Fixtures of the service package's tests."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from index.lesion_index import LesionIndex
from retrieval.embedding.encoder import LesionEncoder
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from service.cli import main
from service.engine.search_engine import SearchEngine, binding_of
from service.jobs.indexing import index_archive
from tests.service.samples import ToyEncoder, write_archive, write_encoder


@pytest.fixture(scope="session", autouse=True)
def known_host() -> Iterator[None]:
    """The test client calls the service ``testserver``; a service on loopback must be told so."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LESION_SEARCH_ALLOWED_HOSTS", '["testserver"]')
        yield


@pytest.fixture(scope="session")
def archive_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("archive")
    write_archive(root)
    return root


@pytest.fixture(scope="session")
def archive(archive_folder: Path) -> DeepLesionArchive:
    return DeepLesionArchive.open(archive_folder)


@pytest.fixture(scope="session")
def engine(archive: DeepLesionArchive, tmp_path_factory: pytest.TempPathFactory) -> SearchEngine:
    """An engine over the toy archive; tests must not change its index."""
    encoder = ToyEncoder()
    index = LesionIndex.create(tmp_path_factory.mktemp("toy") / "index", binding_of(encoder))
    index_archive(archive, index, encoder)
    return SearchEngine(encoder, index)


@pytest.fixture(scope="session")
def encoder_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small network with seeded, untrained weights: enough to exercise every path."""
    return write_encoder(tmp_path_factory.mktemp("encoder") / "encoder.safetensors", seed=0)


@pytest.fixture(scope="session")
def built_index(
    archive: DeepLesionArchive, encoder_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """An index on disk filled by ``encoder_file``, for the command line."""
    folder = tmp_path_factory.mktemp("built") / "index"
    encoder = LesionEncoder.load(encoder_file)
    with LesionIndex.create(folder, binding_of(encoder)) as index:
        index_archive(archive, index, encoder)
    return folder


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Runs a command; returns its exit status, stdout and stderr."""

    def call(*arguments: object) -> tuple[int, str, str]:
        status = main([str(argument) for argument in arguments])
        captured = capsys.readouterr()
        return status, captured.out, captured.err

    return call
