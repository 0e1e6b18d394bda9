"""What every request of the service shares: the engine, the pictures and the gate."""

from __future__ import annotations

from contextlib import AbstractContextManager

from service.decoding.pool import DecoderPool
from service.engine.growth import GrowthLibrary
from service.engine.search_engine import SearchEngine
from service.engine.similarity_scale import IndexScale
from service.figures.pictures import LesionPictures
from service.http.batching import BatchingEncoder, BatchingOptions
from service.http.capabilities import KnownCapabilities
from service.http.gate import Gate, GatedDetector, WritersQueue
from service.http.map_points import IndexMap
from service.http.metrics import ServiceMetrics
from service.http.mining.runner import MiningRunner
from service.http.settings import Settings
from service.http.uploads.added_lesions import AddedLesions
from service.http.uploads.held import HeldUploads, HoldingLimits
from service.pacs.access import PacsAccess


class ServiceState:
    """The engine of one index, what is held beside it, and how many requests may use it at once."""

    def __init__(
        self, engine: SearchEngine, settings: Settings, metrics: ServiceMetrics | None = None
    ) -> None:
        metrics = metrics or ServiceMetrics()
        self.settings = settings
        self.gate = Gate(settings.workers)
        batching = BatchingOptions(
            max_patches=settings.most_batch_patches,
            lanes=settings.workers,
            computing=self.gate.held,
            waiting=self.gate.left,
            on_batch=metrics.embed_batch.observe,
        )
        detector = engine.detector
        self.engine = engine.with_models(
            BatchingEncoder(engine.encoder, batching),
            None if detector is None else GatedDetector(detector, self.gate),
        )
        self.added = AddedLesions(self.engine, wait_s=settings.write_wait_s)
        self._writers = WritersQueue(settings.max_writers)
        self.pictures = LesionPictures(engine.index)
        self.map = IndexMap(engine.index)
        self.growth = GrowthLibrary(engine.index, engine.matcher)
        self.scale = IndexScale(engine.index)
        self.uploads = HeldUploads(
            HoldingLimits(
                settings.max_uploads, settings.max_uploads_mb << 20, settings.upload_seconds
            )
        )
        self.decoders = DecoderPool(settings.decode_limits(), size=settings.workers)
        self.pacs = PacsAccess(self.decoders)
        self.mining = MiningRunner(settings)
        self.capabilities = KnownCapabilities(self.engine, self.pacs, self.mining)
        metrics.watch(
            gate=(lambda: self.gate.waiting, lambda: self.gate.computing),
            held=(self.uploads.forget_expired, lambda: self.uploads.pixel_bytes),
            lesions=engine.index.count,
        )

    def writing(self) -> AbstractContextManager[None]:
        """A place among those who change the index; never within ``computing``.

        Raises IndexBusyError where too many wait already.
        """
        return self._writers.joined()

    def computing(self) -> AbstractContextManager[None]:
        """Waits for a free place and holds it."""
        return self.gate.held()
