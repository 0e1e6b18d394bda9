"""The seam below a LesionIndex: any storage of the Protocol will do, one of NumPy for instance."""

from __future__ import annotations

import numpy as np
import pytest

from index.catalog import creation
from index.catalog.access import CatalogAccess, neighbours
from index.catalog.writer import CatalogWriter
from index.errors import StoreError
from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from index.reports import IndexProblem, VectorCheck
from index.storage import IndexStorage
from index.vectors import RowHits


class NumPyStorage(CatalogAccess):
    """Reads every vector from the catalog for every search: slow, and without a line of FAISS."""

    def write(self, change):
        with self.connections.writing() as connection:
            writer = CatalogWriter(connection)
            answer = change(writer)
            if writer.changes.any:
                writer.finish()
                connection.execute("COMMIT")
        return answer

    def nearest(self, query):
        if query.approximate:
            raise StoreError("searched exactly")
        with self.reading() as reader:
            rows, matrix = self._matrix(reader)
            lesions = reader.lesions(rows.tolist())
            where = query.where or LesionFilter()
            accepted = np.array([where.accepts(lesions[row]) for row in rows.tolist()], bool)
        rows, matrix = rows[accepted], matrix[accepted]
        found = []
        for vector in query.vectors:
            best = np.argsort(-(matrix @ vector), kind="stable")[: query.k]
            found.append(neighbours(lesions, RowHits(rows[best], (matrix @ vector)[best])))
        return found

    def vectors(self):
        with self.reading() as reader:
            ids = dict(reader.ids_of_rows())
            rows, matrix = self._matrix(reader)
        return [ids[row] for row in rows.tolist()], matrix

    def facts(self, reader):
        return {"kind": "NumPy", "vectors": len(self._matrix(reader)[0]), "approximate": None}

    def check(self, reader):
        count = reader.head().lesion_count
        held = len(self._matrix(reader)[0])
        wrong = () if held == count else (IndexProblem(f"{held} of {count} vectors", "add them"),)
        return VectorCheck(held, wrong)

    def snapshot(self):
        """Has nothing to save."""

    def build_approximate(self, kind=None):
        raise StoreError(f"there is no {kind} form")

    def drop_approximate(self):
        """Has nothing to drop."""

    def close(self):
        self.connections.close()

    def _matrix(self, reader):
        dimension = self.binding.dimension
        parts = list(reader.vectors_after(0, dimension=dimension))
        rows = np.concatenate([np.empty(0, np.int64), *(rows for rows, _ in parts)])
        return rows, np.concatenate([np.empty((0, dimension), np.float32), *(m for _, m in parts)])


@pytest.fixture
def both(samples, tmp_path):
    """An index of FAISS and one of NumPy, filled alike."""
    opened = []
    for name in ("faiss", "numpy"):
        folder = tmp_path / name
        creation.create_folder(folder, samples.binding)
        if name == "faiss":
            opened.append(LesionIndex.open(folder))
        else:
            catalog = creation.open_catalog(
                folder, binding=None, read_only=False, write_timeout_s=5.0
            )
            storage: IndexStorage = NumPyStorage(catalog)
            opened.append(LesionIndex(storage))
    for index in opened:
        index.add(samples.records(40))
        index.remove([samples.record(3).lesion.lesion_id])
    yield opened
    for index in opened:
        index.close()


def test_two_storages_answer_alike(both, samples):
    faiss, numpy = both
    for where in (None, LesionFilter.parse("type=liver"), LesionFilter.parse("long_mm=10..30")):
        for query in samples.unit_vectors(5, seed=9):
            answers = [index.search(query, k=7, where=where) for index in both]
            ids = [[hit.lesion.lesion_id for hit in answer] for answer in answers]
            assert ids[0] == ids[1]
            similarities = [[hit.similarity for hit in answer] for answer in answers]
            np.testing.assert_allclose(similarities[0], similarities[1], atol=1e-6)
    assert faiss.vectors()[0] == numpy.vectors()[0]
    np.testing.assert_array_equal(faiss.vectors()[1], numpy.vectors()[1])


def test_what_an_index_tells_of_itself_comes_from_its_storage(both):
    for index, kind in zip(both, ("FAISS flat, exact inner product", "NumPy"), strict=True):
        assert index.info().store["kind"] == kind
        report = index.verify()
        assert (report.lesions, report.vectors, report.problems) == (39, 39, ())
    with pytest.raises(StoreError, match="no None form"):
        both[1].build_approximate()
