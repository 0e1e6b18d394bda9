"""Fixtures shared by all tests."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from index.milvus.client import MilvusCollection, MilvusSettings


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real CT and tables, or a skip that says how to have one."""
    folder = os.environ.get("LESION_SEARCH_REAL_DATA", "")
    if not folder:
        pytest.skip("LESION_SEARCH_REAL_DATA is not set: no real CT to test with")
    return Path(folder)


@pytest.fixture(scope="session")
def milvus_uri() -> str:
    """The address of a Milvus server to test with, or a skip that says how to have one."""
    uri = os.environ.get("LESION_SEARCH_MILVUS_URI_FOR_TESTS", "")
    if not uri:
        pytest.skip("LESION_SEARCH_MILVUS_URI_FOR_TESTS is not set: no Milvus server to test with")
    return uri


@pytest.fixture(scope="module")
def milvus_collections(milvus_uri: str) -> Iterator[Callable[[], MilvusSettings]]:
    """Gives the settings of collections that no other test uses; they are dropped at the end."""
    given: list[MilvusSettings] = []

    def another() -> MilvusSettings:
        name = f"test_{uuid.uuid4().hex}"
        given.append(MilvusSettings(milvus_uri, name, timeout_s=60.0))
        return given[-1]

    yield another
    for settings in given:
        collection = MilvusCollection(settings)
        collection.drop()
        collection.close()
