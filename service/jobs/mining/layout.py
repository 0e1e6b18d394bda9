"""Where a mining run writes: the archive, and a work folder beside it."""

from __future__ import annotations

from pathlib import Path

VERDICTS_NAME = "mined.jsonl"
"""In the archive's folder: one verdict a mark."""


def work_folder(out: Path) -> Path:
    """``OUT.mining``: beside the archive, never in it."""
    return out.with_name(f"{out.name}.mining")
