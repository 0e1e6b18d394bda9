"""Fixtures shared by all tests."""

from __future__ import annotations

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real CT and tables, or a skip that says how to have one."""
    folder = os.environ.get("LESION_SEARCH_REAL_DATA", "")
    if not folder:
        pytest.skip("LESION_SEARCH_REAL_DATA is not set: no real CT to test with")
    return Path(folder)
