"""Search against NumPy over random filters, additions and deletions."""

from __future__ import annotations

import shutil
import tempfile
from dataclasses import replace
from pathlib import Path

import faiss
import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    rule,
    run_state_machine_as_test,
)

from index.catalog.reader import EncoderBinding
from index.faiss_store import exact, segments
from index.faiss_store.segments import StoreState
from index.filters.lesion_filter import LesionFilter, NumberRange
from index.lesion_index import LesionIndex
from retrieval.lesion import LesionType, Split
from retrieval.tag import TagSource

numbers = st.integers(0, 79)
patients = st.frozensets(st.sampled_from([f"{n:06d}" for n in range(14)]), max_size=3)
filters = st.builds(
    LesionFilter,
    patients=patients,
    excluded_patients=patients,
    excluded_studies=st.frozensets(st.sampled_from(["01", "02"]), max_size=1),
    lesion_types=st.frozensets(st.sampled_from(LesionType), max_size=5),
    excluded_splits=st.frozensets(st.sampled_from(Split), max_size=2),
    tags=st.frozensets(st.sampled_from(["calcified", "a, b"]), max_size=1),
    tag_sources=st.frozensets(st.sampled_from(TagSource), max_size=2),
    categories=st.frozensets(st.sampled_from(["0", "1"]), max_size=1),
    excluded_tags=st.frozensets(st.sampled_from(["größer"]), max_size=1),
    long_mm=st.none() | st.builds(NumberRange, st.integers(0, 40), st.none()),
)


KEPT_FILTERS = [
    LesionFilter.parse("long_mm>=0 and patient!=000003"),
    LesionFilter.parse("type=bone,liver,lung,pelvis"),
]


@pytest.fixture(scope="module", autouse=True)
def _small_limits():
    """Every way of searching must be walked by a few dozen lesions."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exact, "GATHER_LIMIT", 6)
        patch.setattr(exact, "OVERFETCH_LIMIT", 3)
        patch.setattr(segments, "SEGMENT_ROWS", 8)
        yield


class IndexAgainstNumPy(RuleBasedStateMachine):
    """Random changes and searches; a second index follows the first through the catalog alone."""

    samples = None

    @initialize()
    def begin(self):
        self.folder = Path(tempfile.mkdtemp())
        self.index = LesionIndex.create(self.folder / "index", self.samples.binding)
        self.follower = LesionIndex.open(self.folder / "index", read_only=True)
        self.truth = {}

    @rule(chosen=st.lists(numbers, max_size=30), seed=st.integers(0, 1))
    def add(self, chosen, seed):
        records = [self.samples.record(number, seed=seed) for number in chosen]
        self.index.add(records)
        self.truth |= {one.lesion.lesion_id: one for one in records}

    @rule(chosen=st.lists(numbers, max_size=12))
    def remove(self, chosen):
        ids = {self.samples.record(number).lesion.lesion_id for number in chosen}
        assert self.index.remove(ids) == len(ids & set(self.truth))
        for lesion_id in ids:
            self.truth.pop(lesion_id, None)

    @rule(number=numbers, long_mm=st.floats(0, 90))
    def measure_again(self, number, long_mm):
        known = self.samples.record(number)
        if known.lesion.lesion_id in self.truth:
            known = self.truth[known.lesion.lesion_id]
            changed = replace(known, lesion=replace(known.lesion, long_mm=long_mm))
            self.index.add([changed])
            self.truth[known.lesion.lesion_id] = changed

    @rule()
    def snapshot(self):
        self.index.snapshot()

    @rule()
    def reopen(self):
        self.index.close()
        self.index = LesionIndex.open(self.folder / "index", binding=self.samples.binding)
        assert self.index.info().store["rebuilt_because"] is None

    @rule(
        where=st.none() | filters,
        k=st.integers(1, 30),
        seed=st.integers(0, 99),
        excluded=st.lists(numbers, max_size=6),
        queries=st.integers(1, 3),
    )
    def search(self, where, k, seed, excluded, queries):
        exclude = {self.samples.record(number).lesion.lesion_id for number in excluded}
        accepted = [
            one
            for one in self.truth.values()
            if (where is None or where.accepts(one.lesion)) and one.lesion.lesion_id not in exclude
        ]
        vectors = self.samples.unit_vectors(queries, seed=seed)
        for index in (self.index, self.follower):
            found = index.search_batch(vectors, k=k, where=where, exclude=exclude)
            for vector, hits in zip(vectors, found, strict=True):
                cosine = {one.lesion.lesion_id: float(one.vector @ vector) for one in accepted}
                best = sorted(cosine.values(), reverse=True)[:k]
                assert [hit.similarity for hit in hits] == pytest.approx(best, abs=1e-5)
                for hit in hits:
                    wanted = cosine[hit.lesion.lesion_id]
                    assert hit.similarity == pytest.approx(wanted, abs=1e-5)
                    assert hit.lesion == self.truth[hit.lesion.lesion_id].lesion
                assert len({hit.lesion.lesion_id for hit in hits}) == len(hits)
        if where is not None:
            assert self.index.count(where) == sum(
                where.accepts(one.lesion) for one in self.truth.values()
            )

    @invariant()
    def holds_the_truth(self):
        if not hasattr(self, "index"):
            return
        for index in (self.index, self.follower):
            ids, matrix = index.vectors()
            assert sorted(ids) == sorted(self.truth)
            wanted = [self.truth[lesion_id].vector for lesion_id in ids]
            assert np.array_equal(matrix, np.array(wanted, dtype=np.float32).reshape(matrix.shape))

    @invariant()
    def filters_kept_from_before_see_what_is_new(self):
        if not hasattr(self, "index"):
            return
        vector = self.samples.unit_vectors(1)[0]
        for where in KEPT_FILTERS:
            wanted = {name for name, one in self.truth.items() if where.accepts(one.lesion)}
            for index in (self.index, self.follower):
                hits = index.search(vector, k=99, where=where)
                assert {hit.lesion.lesion_id for hit in hits} == wanted

    def teardown(self):
        assert self.index.verify().problems == ()
        self.index.close()
        self.follower.close()
        shutil.rmtree(self.folder)


def test_random_changes_and_searches(samples):
    IndexAgainstNumPy.samples = samples
    run_state_machine_as_test(
        IndexAgainstNumPy,
        settings=settings(
            max_examples=25,
            stateful_step_count=18,
            deadline=None,
            derandomize=True,
            suppress_health_check=list(HealthCheck),
        ),
    )


def test_search_is_faiss_itself(samples, tmp_path: Path):
    """The same lesions in the same order as IndexFlatIP."""
    records = samples.records(400)
    with LesionIndex.create(tmp_path / "index", samples.binding) as index:
        index.add(records)
        index.snapshot()
        flat = faiss.IndexFlatIP(samples.dimension)
        flat.add(np.stack([one.vector for one in records]))
        for query in samples.unit_vectors(20, seed=7):
            unit = query[np.newaxis] / np.linalg.norm(query[np.newaxis], axis=1)
            values, labels = flat.search(unit, 10)
            hits = index.search(query, k=10)
            assert [hit.lesion for hit in hits] == [records[n].lesion for n in labels[0]]
            assert [hit.similarity for hit in hits] == pytest.approx(values[0], abs=1e-6)


def test_threads_are_left_as_they_were():
    before = faiss.omp_get_max_threads()
    try:
        faiss.omp_set_num_threads(3)
        with exact.openmp_threads(1):
            assert faiss.omp_get_max_threads() == 1
        with exact.openmp_threads(2):
            assert faiss.omp_get_max_threads() == 3
        assert faiss.omp_get_max_threads() == 3
    finally:
        faiss.omp_set_num_threads(before)


def test_an_earlier_state_is_not_changed_by_a_later_one(samples):
    """What a search holds on to stays as it is while the store moves on."""
    vectors = samples.unit_vectors(40)
    rows = np.arange(1, 41)
    nothing = np.empty(0, dtype=np.int64)
    first = StoreState(samples.dimension, 0, 0).advanced(
        generation=1, added=[(rows[:5], vectors[:5])], removed_rows=nothing, last_row=5
    )
    abandoned = first.advanced(
        generation=2, added=[(rows[5:9], -vectors[5:9])], removed_rows=nothing, last_row=9
    )
    second = first.advanced(
        generation=2, added=[(rows[5:], vectors[5:])], removed_rows=rows[:3], last_row=40
    )
    assert (first.live, abandoned.live, second.live) == (5, 9, 37)
    assert np.array_equal(first.live_rows_and_vectors()[1], vectors[:5])
    assert np.array_equal(second.live_rows_and_vectors()[1], vectors[3:])
    assert second.positions(np.array([4, 1, 99, 40])).tolist() == [0, 3, 39]
    assert second.rows_at(np.array([[0, 39], [7, 8]])).tolist() == [[1, 40], [8, 9]]


def test_many_dimensions_and_one(tmp_path: Path, samples):
    with LesionIndex.create(tmp_path / "index", EncoderBinding("f", "n", 1)) as index:
        index.add([replace(samples.record(1), vector=np.array([-1.0], dtype=np.float32))])
        assert index.search(np.array([5.0]))[0].similarity == -1.0
