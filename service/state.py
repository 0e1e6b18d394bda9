"""What every request of the service shares: the engine, the pictures and the gate."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from service.engine import SearchEngine
from service.held_uploads import HeldUploads, HoldingLimits
from service.map_points import IndexMap
from service.pictures import LesionPictures
from service.settings import Settings
from service.uploads import open_decoders

WEB_FOLDER = Path(__file__).parent / "web"


class ServiceState:
    """The engine of one index, and how many requests may use it at once.

    Torch and OpenCV run threads of their own: more computing requests than cores only make all of
    them slower, so the others wait at the gate.
    """

    def __init__(self, engine: SearchEngine, settings: Settings) -> None:
        self.engine = engine
        self.settings = settings
        self.pictures = LesionPictures(engine.index)
        self.map = IndexMap(engine.index)
        self.uploads = HeldUploads(
            HoldingLimits(
                settings.max_uploads, settings.max_uploads_mb << 20, settings.upload_seconds
            )
        )
        self.decoders = open_decoders(settings)
        self.web_folder = WEB_FOLDER
        self._gate = threading.BoundedSemaphore(settings.workers)

    @contextmanager
    def computing(self) -> Iterator[None]:
        """Waits for a free place and holds it."""
        with self._gate:
            yield
