"""The importers by the name a user types: ``lesion-search import NAME SOURCE OUT``."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from retrieval.progress import ReportProgress
from retrieval.sources.importers.lung_nodules import import_lung_nodules
from retrieval.sources.importers.pasted import import_pasted
from retrieval.sources.importers.real_positions import import_real_positions
from retrieval.sources.importers.sarcoma import import_sarcoma
from retrieval.sources.importers.source import ImportReport


class Importer(Protocol):
    """Turns a collection into an archive in DeepLesion's layout."""

    def __call__(
        self, source: Path, out: Path, *, progress: ReportProgress | None = None
    ) -> ImportReport:
        """Writes the archive; a second call goes on where the first one was stopped."""
        ...


IMPORTERS: Mapping[str, Importer] = MappingProxyType(
    {
        "lung-nodules": import_lung_nodules,
        "sarcoma": import_sarcoma,
        "real-positions": import_real_positions,
        "pasted": import_pasted,
    }
)
