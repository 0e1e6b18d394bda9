"""One suite for every IndexStorage: FAISS in memory, and Milvus where there is a server."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from index.errors import EncoderMismatchError, StoreError
from index.filters.lesion_filter import LesionFilter
from index.filters.ranges import DateRange, LocationBox, NumberRange
from index.lesion_index import LesionIndex
from index.milvus.client import MilvusSettings
from index.reports import AddReport, Neighbour
from retrieval.lesion import LesionType, Split
from retrieval.tag import TagSource, given_tags

AWKWARD = (
    'quo"te',
    "back\\slash",
    'both\\"',
    "apo'strophe",
    '" or row > 0 or patient_id == "',
    "line\nbreak",
    "tab\tand\x01control\x7f",
    "größer 😀 ",
    "{braces} %s $(x)",
    "*",
    "not in []",
    "\\",
)


@dataclass(frozen=True)
class Place:
    """A kind of store, and where an index of that kind is made."""

    kind: str
    folder: Path
    milvus: MilvusSettings | None = None

    def create(self, binding) -> LesionIndex:
        LesionIndex.create(self.folder, binding).close()
        return self.open()

    def open(self, **options) -> LesionIndex:
        return LesionIndex.open(self.folder, milvus=self.milvus, **options)


@pytest.fixture(scope="module", params=["faiss", "milvus"])
def new_place(request, tmp_path_factory) -> Callable[[], Place]:
    another = (
        request.getfixturevalue("milvus_collections") if request.param == "milvus" else lambda: None
    )

    def make() -> Place:
        return Place(request.param, tmp_path_factory.mktemp("place") / "index", another())

    return make


def awkward_records(samples):
    """Lesions whose every text tries to break out of an expression."""
    for number, name in enumerate(AWKWARD):
        known = samples.record(1_000 + number)
        lesion = replace(
            known.lesion,
            lesion_id=f"id {name}",
            patient_id=name,
            study_id=f"study {name}",
            tags=given_tags(name, "calcified"),
            category=name,
        )
        yield replace(known, lesion=lesion)


@pytest.fixture(scope="module")
def filled(new_place, samples) -> Iterator[LesionIndex]:
    """An index that no test changes: 90 lesions and the awkward ones."""
    with new_place().create(samples.binding) as index:
        index.add([*samples.records(90), *awkward_records(samples)])
        yield index


@pytest.fixture(scope="module")
def truth(samples):
    return {one.lesion.lesion_id: one for one in [*samples.records(90), *awkward_records(samples)]}


def assert_is_best(hits: list[Neighbour], truth, vector, *, k: int, where=None, exclude=()):
    """The hits are the ``k`` best by NumPy among the lesions that a filter accepts."""
    accepted = [
        one
        for one in truth.values()
        if (where is None or where.accepts(one.lesion)) and one.lesion.lesion_id not in exclude
    ]
    cosine = {one.lesion.lesion_id: float(one.vector @ vector) for one in accepted}
    best = sorted(cosine.values(), reverse=True)[:k]
    assert [hit.similarity for hit in hits] == pytest.approx(best, abs=1e-5)
    for hit in hits:
        assert hit.similarity == pytest.approx(cosine[hit.lesion.lesion_id], abs=1e-5)
        assert hit.lesion == truth[hit.lesion.lesion_id].lesion
    assert len({hit.lesion.lesion_id for hit in hits}) == len(hits)


def test_search_is_exact(filled, truth, samples):
    vectors = samples.unit_vectors(20, seed=3)
    for k in (1, 7, 50):
        for vector, hits in zip(vectors, filled.search_batch(vectors, k=k), strict=True):
            assert len(hits) == k
            assert_is_best(hits, truth, vector, k=k)


def test_a_batch_larger_than_one_call(filled, truth, samples):
    vectors = samples.unit_vectors(300, seed=4)
    found = filled.search_batch(vectors, k=2)
    assert len(found) == 300
    for vector, hits in zip(vectors, found, strict=True):
        assert_is_best(hits, truth, vector, k=2)


def test_k_larger_than_the_count(filled, truth, samples):
    vector = samples.unit_vectors(1, seed=5)[0]
    hits = filled.search(vector, k=100_000)
    assert {hit.lesion.lesion_id for hit in hits} == set(truth)
    assert_is_best(hits, truth, vector, k=100_000)


PATIENTS = frozenset({"000003", "000007", "nobody"})
FILTERS = [
    LesionFilter(),
    LesionFilter(patients=frozenset({"000004"})),
    LesionFilter(patients=PATIENTS),
    LesionFilter(excluded_patients=PATIENTS),
    LesionFilter(studies=frozenset({"01", "03"})),
    LesionFilter(excluded_studies=frozenset({"02"})),
    LesionFilter(lesions=frozenset({"000000_01_01_00000", "000001_02_01_00007"})),
    LesionFilter(excluded_lesions=frozenset({"000000_01_01_00000", "000001_02_01_00007"})),
    LesionFilter(lesion_types=frozenset({LesionType.LIVER, LesionType.UNKNOWN})),
    LesionFilter(excluded_lesion_types=frozenset({LesionType.LIVER, LesionType.UNKNOWN})),
    LesionFilter(splits=frozenset({Split.TEST})),
    LesionFilter(excluded_splits=frozenset({Split.TEST, Split.UNKNOWN})),
    LesionFilter(tags=frozenset({"calcified"})),
    LesionFilter(tags=frozenset({"calcified", "a, b"})),
    LesionFilter(excluded_tags=frozenset({"größer", "a, b"})),
    LesionFilter(tags=frozenset({"calc"})),
    LesionFilter(tag_sources=frozenset({TagSource.READER})),
    LesionFilter(tag_sources=frozenset({TagSource.READER, TagSource.PREDICTED})),
    LesionFilter(tags=frozenset({"calcified"}), tag_sources=frozenset({TagSource.PREDICTED})),
    LesionFilter(
        tags=frozenset({"calcified", "größer"}),
        tag_sources=frozenset({TagSource.TEXT, TagSource.GIVEN}),
    ),
    LesionFilter(excluded_tags=frozenset({"calcified"}), tag_sources=frozenset({TagSource.GIVEN})),
    LesionFilter(categories=frozenset({"1", "3"})),
    LesionFilter(excluded_categories=frozenset({"1", "3"})),
    LesionFilter(categories=frozenset({"2"}), excluded_tags=frozenset({"a, b"})),
    LesionFilter(long_mm=NumberRange(10, 30)),
    LesionFilter(long_mm=NumberRange(None, 11.5)),
    LesionFilter(long_mm=NumberRange(12)),
    LesionFilter(long_mm=NumberRange(12, 12)),
    LesionFilter(long_mm=NumberRange(-5e-324, 1e300)),
    LesionFilter(short_mm=NumberRange(4.000001, 1e9)),
    LesionFilter(measured_long_mm=NumberRange(10, 30)),
    LesionFilter(measured_short_mm=NumberRange(None, 9.5)),
    LesionFilter(volume_mm3=NumberRange(703.5, 5000)),
    LesionFilter(volume_mm3=NumberRange(None, 1e300), measured_long_mm=NumberRange(0)),
    LesionFilter(location=LocationBox(x=NumberRange(0.3, 0.7), z=NumberRange(None, 0.5))),
    LesionFilter(location=LocationBox(y=NumberRange(0.5, 0.5))),
    LesionFilter(location=LocationBox()),
    LesionFilter(study_date=DateRange(date(2020, 3, 1), date(2020, 6, 1))),
    LesionFilter(study_date=DateRange(None, date(2020, 6, 1))),
    LesionFilter(study_date=DateRange(date(2020, 6, 1))),
    LesionFilter(
        lesion_types=frozenset({LesionType.LIVER, LesionType.LUNG, LesionType.BONE}),
        excluded_patients=frozenset({"000002"}),
        long_mm=NumberRange(6, 40),
        excluded_tags=frozenset({"a, b"}),
    ),
]


@pytest.mark.parametrize("where", FILTERS, ids=lambda where: str(where) or "everything")
def test_every_filter(filled, truth, samples, where):
    vector = samples.unit_vectors(1, seed=6)[0]
    hits = filled.search(vector, k=999, where=where)
    wanted = {name for name, one in truth.items() if where.accepts(one.lesion)}
    assert {hit.lesion.lesion_id for hit in hits} == wanted
    assert_is_best(hits, truth, vector, k=999, where=where)
    assert_is_best(filled.search(vector, k=3, where=where), truth, vector, k=3, where=where)


@pytest.mark.parametrize("name", AWKWARD)
def test_no_text_breaks_out_of_a_filter(filled, truth, samples, name):
    vector = samples.unit_vectors(1, seed=7)[0]
    for where in (
        LesionFilter(patients=frozenset({name})),
        LesionFilter(excluded_patients=frozenset({name})),
        LesionFilter(studies=frozenset({f"study {name}"})),
        LesionFilter(lesions=frozenset({f"id {name}"})),
        LesionFilter(excluded_lesions=frozenset({f"id {name}"})),
        LesionFilter(tags=frozenset({name})),
        LesionFilter(excluded_tags=frozenset({name})),
        LesionFilter(tags=frozenset({name}), tag_sources=frozenset({TagSource.GIVEN})),
        LesionFilter(categories=frozenset({name})),
        LesionFilter(excluded_categories=frozenset({name})),
    ):
        hits = filled.search(vector, k=999, where=where)
        wanted = {known for known, one in truth.items() if where.accepts(one.lesion)}
        assert 0 < len(wanted) < len(truth)
        assert {hit.lesion.lesion_id for hit in hits} == wanted


def test_there_is_no_approximate_form_unless_it_was_built(filled, samples):
    with pytest.raises(StoreError, match="search exactly"):
        filled.search(samples.unit_vectors(1)[0], approximate=True)


def test_an_empty_index_then_a_life(new_place, samples):
    place = new_place()
    vector = samples.unit_vectors(1, seed=8)[0]
    with place.create(samples.binding) as index:
        assert index.search(vector) == []
        assert index.search_batch(samples.unit_vectors(2), k=3) == [[], []]
        assert index.info().store["vectors"] == 0
        assert index.add(samples.records(20)) == AddReport(20, 0, 0)
        truth = {one.lesion.lesion_id: one for one in samples.records(20)}
        assert_is_best(index.search(vector, k=99), truth, vector, k=99)
        changed = samples.record(3, seed=1)
        assert index.add([changed, samples.record(20)]) == AddReport(1, 1, 0)
        truth |= {one.lesion.lesion_id: one for one in (changed, samples.record(20))}
        assert_is_best(index.search(vector, k=99), truth, vector, k=99)
        gone = sorted(truth)[4:9]
        assert index.remove(gone) == 5
        truth = {name: one for name, one in truth.items() if name not in gone}
        assert_is_best(index.search(vector, k=99), truth, vector, k=99)
    with place.open(binding=samples.binding) as again:
        assert_is_best(again.search(vector, k=99), truth, vector, k=99)
        assert again.verify().problems == ()
        assert again.verify().vectors == again.info().store["vectors"] == len(truth)
        with place.open(read_only=True) as reader:
            assert_is_best(reader.search(vector, k=4), truth, vector, k=4)
            assert_is_best(again.search(vector, k=4), truth, vector, k=4)
        assert again.remove(truth) == len(truth)
        assert again.search(vector) == []
    other = replace(samples.binding, fingerprint="another")
    with pytest.raises(EncoderMismatchError, match="another"):
        place.open(binding=other)


numbers = st.lists(st.integers(0, 59), max_size=10)
filters = st.builds(
    LesionFilter,
    patients=st.frozensets(st.sampled_from([f"{n:06d}" for n in range(10)]), max_size=3),
    excluded_patients=st.frozensets(st.sampled_from([f"{n:06d}" for n in range(10)]), max_size=3),
    lesion_types=st.frozensets(st.sampled_from(LesionType), max_size=5),
    excluded_splits=st.frozensets(st.sampled_from(Split), max_size=2),
    tags=st.frozensets(st.sampled_from(["calcified", "a, b"]), max_size=1),
    tag_sources=st.frozensets(st.sampled_from(TagSource), max_size=2),
    excluded_categories=st.frozensets(st.sampled_from(["0", "1"]), max_size=1),
    excluded_tags=st.frozensets(st.sampled_from(["größer"]), max_size=1),
    long_mm=st.none() | st.builds(NumberRange, st.integers(0, 40), st.none()),
    volume_mm3=st.none() | st.builds(NumberRange, st.integers(0, 4000), st.none()),
)


def test_what_is_excluded_never_comes_back(new_place, samples):
    """Random additions, replacements and removals go on in one index; each answer against NumPy."""
    place, truth = new_place(), {}
    index = place.create(samples.binding)

    @settings(
        max_examples=10 if place.kind == "milvus" else 30,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )
    @given(
        added=numbers,
        seed=st.integers(0, 2),
        removed=numbers,
        excluded=numbers,
        where=filters,
        k=st.integers(1, 30),
    )
    def live_on(added, seed, removed, excluded, where, k):
        records = [samples.record(number, seed=seed) for number in added]
        index.add(records)
        truth.update({one.lesion.lesion_id: one for one in records})
        gone = {samples.record(number).lesion.lesion_id for number in removed}
        assert index.remove(gone) == len(gone & set(truth))
        for lesion_id in gone:
            truth.pop(lesion_id, None)
        exclude = {samples.record(number).lesion.lesion_id for number in excluded}
        vectors = samples.unit_vectors(2, seed=seed + 10)
        found = index.search_batch(vectors, k=k, where=where, exclude=exclude)
        for vector, hits in zip(vectors, found, strict=True):
            assert_is_best(hits, truth, vector, k=k, where=where, exclude=exclude)

    with index:
        live_on()
        ids, matrix = index.vectors()
        assert sorted(ids) == sorted(truth)
        assert np.array_equal(matrix, np.stack([truth[lesion_id].vector for lesion_id in ids]))
