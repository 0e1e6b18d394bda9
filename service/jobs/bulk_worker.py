"""What runs on the machines of a cluster: one archive opened, one encoder loaded, many shards."""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from retrieval.embedding.encoder import LesionEncoder
from retrieval.lesion import LesionSearchError
from retrieval.sources.archive import open_archive
from service.engine.lesion_location import PositionLocator
from service.jobs.indexing import EmbeddedGroup, IndexingOptions, embedded_groups


@dataclass(frozen=True, slots=True)
class WorkOrder:
    """What every worker of a job is given.

    Attributes:
        archive: the archive's folder, the same path on every machine.
        table_checksum: of its table, so that no worker takes another archive for it.
        fingerprint: of the encoder.
        batch_size: patches embedded at once.
        device: where the encoder runs, ``cpu`` or ``cuda``.
        assume_hu: images are HU whatever their values look like.
    """

    archive: Path
    table_checksum: int
    fingerprint: str
    batch_size: int
    device: str
    assume_hu: bool = False


class EmbeddingWorker:
    """Turns lesions into vectors with the code of the plain build; holds one encoder."""

    def __init__(self, order: WorkOrder) -> None:
        self._order = order

    def prepare(self, encoder: bytes) -> str | None:
        """Opens the archive and loads the encoder; what is wrong with this machine, or None.

        Args:
            encoder: the bytes of an encoder's safetensors file.
        """
        try:
            self._load(encoder)
        except (LesionSearchError, OSError, RuntimeError) as error:
            return f"{platform.node()}: {' '.join(str(error).split())}"
        return None

    def embed(self, lesion_ids: Sequence[str]) -> EmbeddedGroup:
        """The lesions of a shard with their vectors, those that cannot be read by name."""
        options = IndexingOptions(
            batch_size=self._order.batch_size,
            commit_every=len(lesion_ids),
            assume_hu=self._order.assume_hu,
            locator=PositionLocator(),
        )
        lesions = [self._lesions[lesion_id] for lesion_id in lesion_ids]
        (group,) = embedded_groups(self._archive, lesions, self._encoder, options=options)
        return group

    def _load(self, encoder: bytes) -> None:
        order = self._order
        self._archive = open_archive(order.archive)
        if self._archive.checksum() != order.table_checksum:
            raise LesionSearchError(
                f"the table of {order.archive} is not the one the job was started with: every "
                "machine must see the same archive at the same path"
            )
        self._lesions = {lesion.lesion_id: lesion for lesion in self._archive.lesions}
        with tempfile.TemporaryDirectory() as scratch:
            file = Path(scratch) / "encoder.safetensors"
            file.write_bytes(encoder)
            self._encoder = LesionEncoder.load(file, device=order.device)
        if self._encoder.fingerprint != order.fingerprint:
            raise LesionSearchError(
                f"the encoder has the fingerprint {self._encoder.fingerprint} here, "
                f"{order.fingerprint} where the job was started: install the same lesion-search"
            )
