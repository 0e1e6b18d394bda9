"""Measured sizes and masks of an index: kept, filtered, shared, forgotten, exported, checked."""

from __future__ import annotations

import sqlite3
from dataclasses import replace

import pytest

from index.catalog.measures import name_of
from index.errors import CatalogError, UnknownLesionError
from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from index.measured import (
    MeasuredMask,
    count_unmeasured,
    declare_measuring,
    measures_added,
    packed_mask,
    store_measured,
    unmeasured,
)
from index.parquet.importing import import_index
from index.tags import add_tags
from retrieval.tag import Tag

COUNT = 12


@pytest.fixture
def index(tmp_path, samples):
    with LesionIndex.create(tmp_path / "index", samples.binding) as made:
        made.add(
            replace(one, lesion=one.lesion.with_changes(measured=None))
            for one in samples.records(COUNT)
        )
        yield made


def name(samples, number):
    return samples.record(number).lesion.lesion_id


def masks(index):
    with sqlite3.connect(index.path / "catalog.sqlite") as connection:
        return {row[0] for row in connection.execute("SELECT name FROM masks")}


def test_sizes_are_kept_filtered_and_go_on_where_they_were(index, samples):
    first, second = name(samples, 1), name(samples, 2)
    before = index.search(samples.record(5).vector, k=COUNT)
    found = {
        first: MeasuredMask(samples.measured(1), b"mask one"),
        second: MeasuredMask(samples.measured(2)),
        "nobody": MeasuredMask(samples.measured(3)),
    }
    assert store_measured(index, found) == 2
    assert store_measured(index, found) == 0, "the same again changes nothing"
    assert index.get(first).lesion.measured == replace(
        samples.measured(1), mask=name_of(b"mask one")
    )
    assert packed_mask(index, first) == b"mask one"
    assert packed_mask(index, second) is None
    with pytest.raises(UnknownLesionError):
        packed_mask(index, "nobody")
    assert count_unmeasured(index) == COUNT - 2
    left = [one.lesion_id for one in unmeasured(index, "", 100)]
    assert set(left) == {name(samples, n) for n in range(COUNT)} - {first, second}
    assert [one.lesion_id for one in unmeasured(index, left[3], 2)] == left[4:6]
    assert len(unmeasured(index, "", 100, again=True)) == COUNT
    volume = samples.measured(1).volume_mm3.value
    assert index.count(LesionFilter.parse(f"volume={volume}..")) == 1
    assert index.count(LesionFilter.parse("volume=0..")) == 1, "of 2 no volume is known"
    assert index.count(LesionFilter.parse("measured_long=0..")) == 2
    after = index.search(samples.record(5).vector, k=COUNT)
    assert [hit.lesion.lesion_id for hit in after] == [hit.lesion.lesion_id for hit in before]
    assert index.verify().sound


def test_a_mask_goes_with_the_last_lesion_that_names_it(index, samples):
    first, second = name(samples, 1), name(samples, 2)
    one = MeasuredMask(samples.measured(1), b"shared")
    store_measured(index, {first: one, second: one})
    assert masks(index) == {name_of(b"shared")}
    add_tags(index, {first: [Tag("solid")]})
    assert packed_mask(index, first) == b"shared", "a new row keeps it"
    index.remove([first])
    assert packed_mask(index, second) == b"shared"
    store_measured(index, {second: MeasuredMask(samples.measured(1), b"another")})
    assert masks(index) == {name_of(b"another")}
    index.remove([second])
    assert masks(index) == set()
    assert index.verify().sound


def test_the_same_lesion_added_again_keeps_its_sizes(index, samples):
    record = samples.record(5)
    bare = replace(record, lesion=record.lesion.with_changes(measured=None, long_mm=77.0))
    store_measured(index, {name(samples, 5): MeasuredMask(samples.measured(5), b"mask")})
    index.add([bare])
    assert index.get(name(samples, 5)).lesion.long_mm == 77.0
    assert packed_mask(index, name(samples, 5)) == b"mask"
    other = replace(bare, source=replace(bare.source, pixel_hash="f" * 64))
    index.add([other])
    assert index.get(name(samples, 5)).lesion.measured is None, "of other pixels they are not"
    assert masks(index) == set()


def test_an_export_carries_sizes_and_masks(index, samples, tmp_path):
    found = {name(samples, n): MeasuredMask(samples.measured(n), b"%d" % n) for n in (1, 2, 3)}
    store_measured(index, found)
    index.export(tmp_path / "all.parquet")
    with import_index(tmp_path / "all.parquet", tmp_path / "other") as other:
        for number in range(COUNT):
            one = name(samples, number)
            assert other.get(one).lesion == index.get(one).lesion
            assert packed_mask(other, one) == packed_mask(index, one)
        assert other.verify().sound


def test_a_mask_of_another_index_is_not_named(index, samples):
    measured = replace(samples.measured(1), mask="0" * 32)
    record = samples.record(1)
    index.add([replace(record, lesion=record.lesion.with_changes(measured=measured))])
    assert index.get(name(samples, 1)).lesion.measured == samples.measured(1)


def test_a_damaged_mask_is_refused_and_found(index, samples):
    store_measured(index, {name(samples, 1): MeasuredMask(samples.measured(1), b"mask")})
    with sqlite3.connect(index.path / "catalog.sqlite") as connection:
        connection.execute("UPDATE masks SET packed = ?", (b"task",))
    with pytest.raises(CatalogError, match="index measure --again"):
        packed_mask(index, name(samples, 1))
    assert "hash" in index.verify().problems[0].what


def test_that_added_lesions_are_measured_is_kept(index, tmp_path):
    assert not measures_added(index)
    declare_measuring(index)
    declare_measuring(index, wanted=False)
    assert not measures_added(index)
    declare_measuring(index)
    index.close()
    with LesionIndex.open(tmp_path / "index", read_only=True) as again:
        assert measures_added(again)
        assert again.verify().sound
