"""The service that hostile uploads are sent to, bounded tightly; at the end it is looked over."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import psutil
import pytest
from starlette.testclient import TestClient

from retrieval.image import Slab
from retrieval.lesion import Box
from service.engine.query import LesionQuery
from service.http.app import create_app
from service.http.settings import Settings
from tests.service import hostile as h

LIMITS = {
    "max_body_mb": 4,
    "max_volume_mb": 8,
    "max_files": 40,
    "max_slices": 30,
    "max_pixels": 1 << 20,
    "decode_s": 10,
    "decode_memory_mb": 512,
}


@pytest.fixture(scope="module")
def client(engine):
    settings = Settings(index=engine.index.path, **LIMITS)
    with TestClient(create_app(settings, engine=engine)) as opened:
        yield opened
        assert_decoders_are_clean(opened)


@pytest.fixture(scope="module")
def expected(engine):
    """What the engine itself finds for the honest slice."""
    slab = Slab(h.plane()[np.newaxis].astype(np.float32), (0.9, 0.9), 2.5)
    box = [float(edge) for edge in h.BOX.split(",")]
    return engine.search(LesionQuery(Box(*box)), slab).to_json()["hits"]


def assert_decoders_are_clean(client):
    """No more decoders run than may, and nothing of any upload is left in their folders."""
    decoders = client.app.state.service.decoders
    running = decoders.process_ids()
    assert 1 <= len(running) <= client.app.state.service.settings.workers
    for number in running:
        process = psutil.Process(number)
        assert process.is_running()
        folder = process.cmdline()[-2]
        assert "lesion-search-" in folder
        # The answer is sent before the folder is emptied.
        until = time.monotonic() + 5
        while list(Path(folder).iterdir()) and time.monotonic() < until:
            time.sleep(0.01)
        assert list(Path(folder).iterdir()) == []
