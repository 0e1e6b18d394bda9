"""What the engines of benchmarks/search.py are given and asked; needs NumPy alone."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

DIMENSION = 256
HITS = 10
TYPES = 9
LESIONS_A_PATIENT = 8
ROWS = ("plain", "one patient", "one type")


class OutOfTimeError(RuntimeError):
    """The engine takes longer to fill than it is given."""


@dataclass(frozen=True)
class Only:
    """What a query may return: a patient's lesions, a type's, or all."""

    patient: int | None = None
    lesion_type: int | None = None


class Engine(Protocol):
    """What is measured; made with the Work, filled and ready when that returns."""

    def facts(self) -> dict[str, Any]:
        """Version and settings."""
        ...

    def search(self, query: NDArray[np.float32], only: Only) -> list[int]:
        """The numbers of the ten nearest lesions, best first."""
        ...

    def close(self) -> None:
        """Stops what it started."""
        ...


class Work:
    """The vectors (n, dimension) and queries of one folder; lesion i is of patient i // 8."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.vectors: NDArray[np.float32] = np.load(folder / "vectors.npy", mmap_mode="r")
        self.queries: NDArray[np.float32] = np.load(folder / "queries.npy")
        table = json.loads((folder / "table.json").read_text())
        self.patients: list[int] = table["patients"]
        self.types: list[int] = table["types"]
        self.time_box_s: float = table["time_box_s"]
        self.milvus: str | None = table["milvus"]

    def only(self, row: str, query: int) -> Only:
        """What query number ``query`` asks for in a row of the table."""
        if row == "one patient":
            return Only(patient=self.patients[query])
        return Only(lesion_type=self.types[query]) if row == "one type" else Only()

    def batches(self, size: int) -> Iterator[tuple[int, NDArray[np.float32]]]:
        """(first number, vectors) until all were taken; raises OutOfTimeError in between."""
        started = time.perf_counter()
        for first in range(0, len(self.vectors), size):
            seconds = time.perf_counter() - started
            if seconds > self.time_box_s:
                raise OutOfTimeError(
                    f"took only {first:,} of {len(self.vectors):,} vectors in {seconds:.0f} s"
                )
            yield first, np.array(self.vectors[first : first + size])


def numbers(only: Only, count: int) -> NDArray[np.int64]:
    """The numbers of the lesions that are asked for, ascending."""
    if only.patient is not None:
        first = only.patient * LESIONS_A_PATIENT
        return np.arange(first, min(first + LESIONS_A_PATIENT, count))
    if only.lesion_type is not None:
        return np.arange(only.lesion_type, count, TYPES)
    return np.arange(count)
