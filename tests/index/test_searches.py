"""Searches for a lesion are kept with it, replaced, renamed, exported and removed with it."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime

import pytest

from index.errors import UnknownLesionError
from index.lesion_index import LesionIndex
from index.parquet.columns import ParquetError
from index.parquet.importing import import_index
from retrieval.lesion import Box
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.searched import SearchedStudy


@pytest.fixture
def index(tmp_path, samples):
    with LesionIndex.create(tmp_path / "index", samples.binding) as made:
        yield made


def search(lesion_id, **changes):
    """A search that found nothing."""
    found = SearchedStudy(
        lesion_id=lesion_id,
        study_id="later",
        state="not found",
        share=0.98,
        probability_there=0.03,
        slices=(4, 40),
        boxes=120,
        study_date=date(2024, 5, 6),
        series="aa",
        model="e/w",
        searched_at=datetime(2024, 5, 7, 8, 9, tzinfo=UTC),
    )
    return replace(found, **changes)


def test_a_search_is_kept_and_replaced_by_a_later_one_of_its_series(index, samples):
    one, other = samples.record(1), samples.record(2)
    index.add([one, other])
    first = search(one.lesion.lesion_id)
    index.searches.keep([first])
    assert index.searches.of(one.lesion.patient_id) == [first]
    assert index.searches.of("nobody") == []
    found = replace(first, state="found", score=0.95, key_slice_index=7, box=Box(1, 2, 3.5, 4))
    index.searches.keep([found])
    assert index.searches.of() == [found]
    second = replace(found, series="bb")
    index.searches.keep([second, search(other.lesion.lesion_id)])
    assert len(index.searches.of()) == 3
    assert index.searches.forget(one.lesion.lesion_id, "later") == 2
    assert [kept.lesion_id for kept in index.searches.of()] == [other.lesion.lesion_id]


def test_a_search_for_an_unknown_lesion_is_refused_and_nothing_kept(index, samples):
    record = samples.record(1)
    index.add([record])
    with pytest.raises(UnknownLesionError, match="nobody"):
        index.searches.keep([search(record.lesion.lesion_id), search("nobody")])
    assert index.searches.of() == []


def test_a_search_goes_with_its_lesion_and_follows_its_name(index, samples):
    record = samples.record(1)
    index.add([record])
    index.searches.keep([search(record.lesion.lesion_id)])
    renamed = replace(record, lesion=record.lesion.with_changes(lesion_id="another name"))
    index.add([renamed])
    assert [kept.lesion_id for kept in index.searches.of()] == ["another name"]
    index.remove(["another name"])
    index.add([renamed])
    assert index.searches.of() == []


def test_searches_travel_with_an_export(index, samples, tmp_path):
    record = samples.record(1)
    index.add([record])
    kept = search(record.lesion.lesion_id, box=Box(1, 2, 3, 4), score=0.2, key_slice_index=3)
    index.searches.keep([kept])
    index.export(tmp_path / "index.parquet")
    with import_index(tmp_path / "index.parquet", tmp_path / "copy") as copy:
        assert copy.searches.of() == [kept]


def test_a_file_with_a_search_for_a_lesion_it_does_not_hold_imports_nothing(
    index, samples, tmp_path, monkeypatch
):
    index.add([samples.record(1)])
    monkeypatch.setattr("index.searches.listed", lambda _: [search("nobody")])
    index.export(tmp_path / "index.parquet")
    with pytest.raises(ParquetError, match="search names lesion 'nobody'"):
        import_index(tmp_path / "index.parquet", tmp_path / "copy")
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize(
    "change", [{"state": "perhaps"}, {"slices": [1]}, {"box": [1, 2]}, {"searched_at": "noon"}]
)
def test_what_is_no_search_is_refused(change):
    fields = search("a").to_json()
    assert SearchedStudy.from_json(fields) == search("a")
    with pytest.raises(TrackingError, match="kept search"):
        SearchedStudy.from_json({**fields, **change})
    del fields["share"]
    with pytest.raises(TrackingError, match="share"):
        SearchedStudy.from_json(fields)
