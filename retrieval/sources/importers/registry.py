"""The importers by the name a user types: ``lesion-search import NAME SOURCE OUT``."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Protocol, cast

from retrieval.progress import ReportProgress
from retrieval.sources.importers.source import ImporterError, ImportReport


class Importer(Protocol):
    """Turns a collection into an archive in DeepLesion's layout."""

    def __call__(
        self, source: Path, out: Path, *, progress: ReportProgress | None = None
    ) -> ImportReport:
        """Writes the archive; a second call goes on where the first one was stopped."""
        ...


IMPORTERS: Mapping[str, str] = MappingProxyType(
    {
        "lung-nodules": "retrieval.sources.importers.lung_nodules:import_lung_nodules",
        "sarcoma": "retrieval.sources.importers.sarcoma:import_sarcoma",
        "real-positions": "retrieval.sources.importers.real_positions:import_real_positions",
        "pasted": "retrieval.synthesis.pasted:import_pasted",
    }
)
"""``module:function`` of each; one that makes new images stands with the others that do."""


def importer(name: str) -> Importer:
    """The importer of that name; raises ImporterError."""
    if name not in IMPORTERS:
        raise ImporterError(f"importer {name!r} is unknown: one of {', '.join(IMPORTERS)}")
    module, _, function = IMPORTERS[name].partition(":")
    return cast(Importer, getattr(importlib.import_module(module), function))
