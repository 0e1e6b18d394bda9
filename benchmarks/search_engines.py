"""Engines of benchmarks/search.py that need nothing but this program's own environment."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
from numpy.typing import NDArray
from search_task import HITS, LESIONS_A_PATIENT, TYPES, Only, Work, numbers

from index.catalog.reader import EncoderBinding, LesionRecord
from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from retrieval.lesion import Box, ImageSource, Lesion, LesionType

KINDS = list(LesionType)


class LesionSearch:
    """This program: the whole of ``LesionIndex.search``, lesions read and checked."""

    approximate = False

    def __init__(self, work: Work) -> None:
        assert len(KINDS) == TYPES
        folder = work.folder / "index"
        binding = EncoderBinding("search", "made-up vectors", work.vectors.shape[1])
        if not folder.exists():
            _build(work, folder, binding)
        self._index = LesionIndex.open(folder, binding=binding)
        if self.approximate and self._index.info().store["approximate"] is None:
            self._index.build_approximate()
        self._index.preload()  # As the service does when it starts.

    def facts(self) -> dict[str, Any]:
        """The store as ``index info`` tells it."""
        store = self._index.info().store
        form = store["approximate"] if self.approximate else None
        kept = ("kind", "effort", "recall_at_10")
        return {"kind": store["kind"]} if form is None else {name: form[name] for name in kept}

    def search(self, query: NDArray[np.float32], only: Only) -> list[int]:
        """Ids of lesions end in their number."""
        where = None
        if only.patient is not None:
            where = LesionFilter(patients=frozenset({patient_id(only.patient)}))
        elif only.lesion_type is not None:
            where = LesionFilter(lesion_types=frozenset({KINDS[only.lesion_type]}))
        found = self._index.search(query, k=HITS, where=where, approximate=self.approximate)
        return [int(hit.lesion.lesion_id[-8:]) for hit in found]

    def close(self) -> None:
        """Closes the index."""
        self._index.close()


class LesionSearchApproximate(LesionSearch):
    """The same by the approximate form; see ``index.faiss_store.approximate`` for which."""

    approximate = True


class FaissFlat:
    """IndexFlatIP on one thread; filters as id selectors made beforehand where they repeat."""

    def __init__(self, work: Work) -> None:
        faiss.omp_set_num_threads(1)
        self._index = faiss.IndexFlatIP(work.vectors.shape[1])
        for _, batch in work.batches(100_000):
            self._index.add(batch)
        count = self._index.ntotal
        self._bits = []
        for kind in range(TYPES):
            mask = np.zeros(count, dtype=bool)
            mask[numbers(Only(lesion_type=kind), count)] = True
            self._bits.append(np.packbits(mask, bitorder="little"))

    def facts(self) -> dict[str, Any]:
        """FAISS's version."""
        return {"version": faiss.__version__, "threads": 1}

    def search(self, query: NDArray[np.float32], only: Only) -> list[int]:
        """A plain search, a range of numbers, or a bitmap."""
        library: Any = faiss
        parameters = None
        if only.patient is not None:
            rows = numbers(only, self._index.ntotal)
            selector = library.IDSelectorRange(int(rows[0]), int(rows[-1]) + 1)
            parameters = library.SearchParameters(sel=selector)
        elif only.lesion_type is not None:
            bits = self._bits[only.lesion_type]
            selector = library.IDSelectorBitmap(self._index.ntotal, faiss.swig_ptr(bits))
            parameters = library.SearchParameters(sel=selector)
        _, labels = self._index.search(query[np.newaxis], HITS, params=parameters)
        return [int(number) for number in labels[0] if number >= 0]

    def close(self) -> None:
        """Nothing to stop."""


class NumPy:
    """One product of matrix and vector, and the ten best; one thread."""

    def __init__(self, work: Work) -> None:
        self._vectors = np.array(work.vectors)

    def facts(self) -> dict[str, Any]:
        """NumPy's version."""
        return {"version": np.__version__, "threads": 1}

    def search(self, query: NDArray[np.float32], only: Only) -> list[int]:
        """Filters copy their rows out."""
        rows, matrix = None, self._vectors
        if only != Only():
            rows = numbers(only, len(matrix))
            matrix = matrix[rows]
        similarities = matrix @ query
        kept = np.arange(len(similarities))
        if len(kept) > HITS:
            kept = np.argpartition(similarities, -HITS)[-HITS:]
        best = kept[np.argsort(-similarities[kept])]
        found: list[int] = (best if rows is None else rows[best]).tolist()
        return found

    def close(self) -> None:
        """Nothing to stop."""


def patient_id(patient: int) -> str:
    """As the catalog has it."""
    return f"{patient:07d}"


def _build(work: Work, folder: Path, binding: EncoderBinding) -> None:
    building = folder.with_suffix(".building")
    with LesionIndex.create(building, binding) as index:
        for first, batch in work.batches(10_000):
            index.add(_records(first, batch))
    building.rename(folder)


def _records(first: int, vectors: NDArray[np.float32]) -> Iterator[LesionRecord]:
    """Lesions with the fields of DeepLesion, each vector's number in its id."""
    for number, vector in enumerate(vectors, start=first):
        patient = patient_id(number // LESIONS_A_PATIENT)
        series = f"{patient}_{number % 4 + 1:02d}_01"
        lesion = Lesion(
            lesion_id=f"{series}_{number:08d}",
            patient_id=patient,
            study_id=series[:-3],
            series_id=series,
            key_slice_index=number % 400,
            box=Box(100.0 + number % 200, 120.0, 130.0 + number % 200, 150.0),
            long_mm=8.0 + number % 40,
            short_mm=6.0 + number % 20,
            location=(number % 97 / 97, number % 89 / 89, number % 83 / 83),
            lesion_type=KINDS[number % TYPES],
        )
        image = f"Images_png/{series}/{number % 400:03d}.png"
        yield LesionRecord(lesion, vector, ImageSource("/archive", image, (0.8, 0.8), 2.5))
