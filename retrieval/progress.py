"""How long work says how far it has come: one type for caches, importers, jobs and training."""

from __future__ import annotations

from collections.abc import Callable

ReportProgress = Callable[[int, int], None]
"""Called with (done, total) while a long job runs."""
