"""The approximate forms there are, by name; needs no FAISS."""

from __future__ import annotations

from enum import StrEnum


class ApproximateKind(StrEnum):
    """The approximate forms there are."""

    HNSW = "hnsw"
    IVF = "ivf"
