"""LesionIndex: what goes in comes out, once, and a wrong encoder is refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index.catalog.match_table import MatchError
from index.catalog.reader import CatalogReader
from index.errors import (
    CatalogError,
    EncoderMismatchError,
    LesionIndexError,
    UnknownLesionError,
)
from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from index.parquet.importing import import_index
from index.reports import AddReport, Match, ReaderDecision
from index.vectors import VectorError
from retrieval.tracking.errors import MatchConflictError


@pytest.fixture
def index(tmp_path: Path, samples):
    with LesionIndex.create(tmp_path / "index", samples.binding) as made:
        made.add(samples.records(60))
        yield made


def test_what_goes_in_comes_out(index, samples):
    for number in range(60):
        wanted = samples.record(number)
        assert samples.same(index.get(wanted.lesion.lesion_id), wanted)
    with pytest.raises(UnknownLesionError, match="'nobody'"):
        index.get("nobody")


def test_reopened_it_is_the_same(index, samples):
    ids, matrix = index.vectors()
    for is_snapshot_saved in (False, True):
        if is_snapshot_saved:
            index.snapshot()
        with LesionIndex.open(index.path, binding=samples.binding) as again:
            assert again.vectors()[0] == ids
            assert np.array_equal(again.vectors()[1], matrix)
            assert again.binding == samples.binding
            assert again.verify().sound
            assert again.info().lesions == 60


def test_adding_twice_is_one_lesion(index, samples):
    generation = index.info().generation
    assert index.add(samples.records(60)) == AddReport(0, 0, 60)
    assert index.info().generation == generation
    changed = replace(samples.record(3), vector=samples.record(3, seed=5).vector)
    moved = replace(samples.record(4), lesion=replace(samples.record(4).lesion, long_mm=99.0))
    assert index.add([changed, moved, samples.record(60)]) == AddReport(1, 2, 0)
    assert index.count() == 61
    assert samples.same(index.get(changed.lesion.lesion_id), changed)
    assert samples.same(index.get(moved.lesion.lesion_id), moved)
    assert index.search(changed.vector, k=1)[0].lesion == changed.lesion


def test_the_natural_key_makes_it_the_same_lesion(index, samples):
    known = samples.record(9)
    other = index.get(samples.record(10).lesion.lesion_id)
    partner = samples.record(11).lesion.lesion_id
    index.set_match(known.lesion.lesion_id, partner, "confirmed")
    renamed = replace(known, lesion=replace(known.lesion, lesion_id="another name"))
    assert index.add([renamed]) == AddReport(0, 1, 0)
    assert index.count() == 60
    with pytest.raises(UnknownLesionError):
        index.get(known.lesion.lesion_id)
    assert {index.matches()[0].lesion_a, index.matches()[0].lesion_b} == {"another name", partner}
    # Renaming it onto a third lesion's key leaves one of the two.
    onto = replace(other, lesion=replace(other.lesion, lesion_id="another name"))
    assert index.add([onto]) == AddReport(0, 1, 0)
    assert index.count() == 59
    assert index.verify().sound


def test_one_call_may_name_a_lesion_twice(index, samples):
    new, later = samples.record(70), samples.record(70, seed=3)
    assert index.add([new, later, later]) == AddReport(1, 1, 1)
    assert samples.same(index.get(new.lesion.lesion_id), later)
    assert index.verify().sound
    with LesionIndex.open(index.path) as again:
        assert again.search(later.vector, k=1)[0].similarity == pytest.approx(1, abs=1e-6)


def test_removed_is_gone(index, samples):
    gone = [samples.record(number).lesion.lesion_id for number in (0, 7, 59)]
    assert index.remove([*gone, "nobody"]) == 3
    assert index.remove(gone) == 0
    assert index.remove(samples.record(8).lesion.lesion_id) == 1
    found = {hit.lesion.lesion_id for hit in index.search(samples.record(0).vector, k=60)}
    assert len(found) == 56
    assert not found & set(gone)
    assert index.known(gone) == set()
    assert index.verify().sound


def test_search_orders_by_cosine_and_forgives_length(index, samples):
    query = samples.unit_vectors(1, seed=77)[0]
    ids, matrix = index.vectors()
    cosines = matrix @ query
    hits = index.search(3 * query.astype(np.float64), k=7)
    assert [hit.lesion.lesion_id for hit in hits] == [ids[n] for n in np.argsort(-cosines)[:7]]
    assert [hit.similarity for hit in hits] == pytest.approx(np.sort(cosines)[::-1][:7], abs=1e-6)
    batch = index.search_batch(np.stack([query, query]), k=7)
    assert [[hit.lesion for hit in one] for one in batch] == [[hit.lesion for hit in hits]] * 2


def test_read_ahead_hits_need_no_reading(index, samples, monkeypatch):
    wanted = index.search(samples.record(3).vector, k=20)
    with LesionIndex.open(index.path, binding=samples.binding) as again:
        assert again.preload() == 60
        monkeypatch.setattr(CatalogReader, "lesions", lambda *_: pytest.fail("it was read"))
        assert again.search(samples.record(3).vector, k=20) == wanted


def test_an_empty_index_has_nothing_to_read_ahead(tmp_path: Path, samples):
    with LesionIndex.create(tmp_path / "empty", samples.binding) as empty:
        assert empty.preload() == 0


def test_k_beyond_the_index_returns_all(index, samples):
    assert len(index.search(samples.record(1).vector, k=5000)) == 60
    where = LesionFilter.parse("patient=000001")
    assert len(index.search(samples.record(1).vector, k=5000, where=where)) == 6


@pytest.mark.parametrize(
    ("vector", "message"),
    [
        (np.ones(15), "shape"),
        (np.zeros(16), "zeros"),
        (np.full(16, np.nan), "not finite"),
        (np.array([np.inf] * 16), "not finite"),
    ],
)
def test_a_query_that_is_no_direction_is_refused(index, vector, message):
    with pytest.raises(VectorError, match=message):
        index.search(vector)
    with pytest.raises(VectorError, match="k is 0"):
        index.search(np.ones(16), k=0)


def test_a_bad_vector_stores_nothing_of_its_batch(index, samples):
    good, bad = samples.record(80), samples.record(81)
    for vector in (2 * bad.vector, bad.vector[:8], bad.vector * np.float32("nan")):
        with pytest.raises(VectorError, match=bad.lesion.lesion_id):
            index.add([good, replace(bad, vector=vector)])
    assert index.count() == 60


def test_lists_and_pages(index, samples):
    assert index.patients() == [f"{number:06d}" for number in range(10)]
    assert [one.lesion for one in index.patient("000002")] == [
        samples.record(number).lesion for number in range(12, 18)
    ]
    assert index.patient("nobody") == []
    pages, after = [], ""
    while page := index.page(after, limit=7):
        pages += page
        after = page[-1].lesion_id
    assert pages == sorted(
        (one.lesion for one in samples.records(60)), key=lambda one: one.lesion_id
    )
    where = LesionFilter.parse("type=liver and long_mm>=10")
    wanted = [lesion for lesion in pages if where.accepts(lesion)]
    assert wanted
    assert index.page(limit=60, where=where) == wanted
    assert index.count(where) == len(wanted)


def test_info_counts(index):
    info = index.info()
    assert (info.lesions, info.patients, info.dimension) == (60, 10, 16)
    assert sum(info.lesion_types.values()) == sum(info.splits.values()) == 60
    assert info.studies == 30
    assert info.to_json()["encoder_fingerprint"] == "0123abcd"
    assert info.store["vectors"] == 60


def test_another_encoder_is_refused_by_both_fingerprints(index, samples):
    other = replace(samples.binding, fingerprint="ffff0000")
    with pytest.raises(EncoderMismatchError) as refusal:
        LesionIndex.open(index.path, binding=other)
    for part in ("0123abcd", "ffff0000", "lesion-search index build --archive A --out I"):
        assert part in str(refusal.value)
    with pytest.raises(EncoderMismatchError):
        LesionIndex.open(index.path, binding=replace(samples.binding, dimension=8))


def test_create_leaves_what_exists_untouched(tmp_path: Path, samples):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "note.txt").write_text("mine")
    (tmp_path / "empty").mkdir()
    for taken in (tmp_path / "full", tmp_path / "full" / "note.txt"):
        with pytest.raises(CatalogError, match="not empty"):
            LesionIndex.create(taken, samples.binding)
    with pytest.raises(CatalogError, match="0 numbers"):
        LesionIndex.create(tmp_path / "none", replace(samples.binding, dimension=0))
    LesionIndex.create(tmp_path / "empty", samples.binding).close()
    LesionIndex.create(tmp_path / "deep" / "er", samples.binding).close()
    assert (tmp_path / "full" / "note.txt").read_text() == "mine"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "empty", "full"]


def test_what_is_no_index_is_refused(tmp_path: Path, samples):
    with pytest.raises(CatalogError, match=r"lesion-search index build"):
        LesionIndex.open(tmp_path)
    (tmp_path / "catalog.sqlite").write_text("no database, but long enough to be looked at" * 9)
    with pytest.raises(CatalogError, match="damaged"):
        LesionIndex.open(tmp_path)
    (tmp_path / "catalog.sqlite").write_bytes(b"")
    with pytest.raises(CatalogError, match="not a lesion index"):
        LesionIndex.open(tmp_path)


def test_read_only_reads_and_refuses(index, samples):
    with LesionIndex.open(index.path, read_only=True) as reader:
        assert reader.count() == 60
        assert len(reader.search(samples.record(0).vector)) == 10
        for change in (
            lambda: reader.add([samples.record(61)]),
            lambda: reader.remove(["x"]),
            reader.snapshot,
        ):
            with pytest.raises(LesionIndexError, match="reading only"):
                change()
        index.add([samples.record(61)])
        assert reader.count() == 61
        assert reader.search(samples.record(61).vector, k=1)[0].similarity > 0.999


def test_a_closed_index_says_so(index):
    index.close()
    with pytest.raises(LesionIndexError, match="closed"):
        index.count()
    index.close()


def test_matches(index, samples):
    first, second, third = (samples.record(number).lesion.lesion_id for number in (12, 13, 14))
    stranger = samples.record(30).lesion.lesion_id
    assert index.set_match(second, first, "confirmed") == Match(
        *sorted((first, second)), ReaderDecision.CONFIRMED
    )
    index.set_match(first, second, ReaderDecision.REJECTED)
    index.set_match(second, third, "confirmed")
    assert [match.verdict for match in index.matches("000002")] == ["rejected", "confirmed"]
    assert index.matches("000003") == []
    assert index.remove_match(second, first)
    assert not index.remove_match(first, second)
    for pair, message in (((first, stranger), "different patients"), ((first, first), "itself")):
        with pytest.raises(MatchError, match=message):
            index.set_match(*pair, "confirmed")
    with pytest.raises(UnknownLesionError):
        index.set_match(first, "nobody", "confirmed")
    with pytest.raises(MatchError, match="maybe"):
        index.set_match(first, second, "maybe")
    index.remove([third])
    assert index.matches() == []
    assert index.verify().sound


def test_a_contradictory_match_is_refused_and_not_stored(index, samples):
    first, second, third, fourth = (
        samples.record(number).lesion.lesion_id for number in (12, 13, 14, 15)
    )
    index.set_match(first, second, "confirmed")
    index.set_match(second, third, "confirmed")
    before = index.matches()
    with pytest.raises(MatchConflictError, match="rejected"):
        index.set_match(third, first, "rejected")
    with pytest.raises(MatchConflictError, match="one study"):
        index.set_match(first, fourth, "confirmed")
    assert index.matches() == before
    index.set_match(first, fourth, "rejected")
    index.remove_match(second, third)
    index.set_match(third, first, "rejected")
    assert len(index.matches()) == 3


def test_export_and_import_are_identical(index, samples, tmp_path: Path):
    index.remove([samples.record(20).lesion.lesion_id])
    index.set_match(*(samples.record(n).lesion.lesion_id for n in (12, 13)), "confirmed")
    studies = {(x.patient_id, x.study_id) for x in (samples.record(n).lesion for n in (12, 13))}
    index.declare_marks(studies)
    assert index.export(tmp_path / "out.parquet") == 59
    for _ in range(2):
        with import_index(tmp_path / "out.parquet", tmp_path / "again") as again:
            assert again.binding == index.binding
            assert again.vectors()[0] == index.vectors()[0]
            assert np.array_equal(again.vectors()[1], index.vectors()[1])
            assert again.matches() == index.matches()
            assert all(study in again.complete_studies(patient) for patient, study in studies)
            ids = index.vectors()[0]
            pairs = zip(index.records(ids), again.records(ids), strict=True)
            assert all(samples.same(*pair) for pair in pairs)
            assert again.verify().sound
            assert again.export(tmp_path / "twice.parquet") == 59
        assert (tmp_path / "out.parquet").read_bytes() == (tmp_path / "twice.parquet").read_bytes()
