"""Which encoder, matcher and detector an engine works with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ModelFiles:
    """Files of the three models; the bundled ones stand in where none is named.

    The encoder runs on ``device``, ``cpu`` or ``cuda``; matcher and detector on the CPU. Without
    ``detecting`` no detector is loaded, which takes longer than everything else: a lesion that is
    marked, or indexed, needs none. ``vocabulary`` is a TOML file with terms of a user's own, by
    which words are read beside the bundled ones.
    """

    encoder: Path | None = None
    matcher: Path | None = None
    detector: Path | None = None
    device: str = "cpu"
    detecting: bool = True
    vocabulary: Path | None = None
