"""Filters that strangers write to keep the service busy: read in linear time, or refused."""

from __future__ import annotations

import sqlite3
import time

import pytest

from index.errors import CatalogError, CatalogQueryError, FilterError, IndexBusyError
from index.filters.grammar import MAX_CHARACTERS, MAX_CLAUSES, MAX_TAGS
from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex

ATTACKS = {
    "blanks before a value": lambda n: "type=" + " " * n + "liver x",
    "blanks after a value": lambda n: "type=liver" + " " * n + "x",
    "tabs alone": lambda n: "tag=a" + "\t" * n,
    "tags": lambda n: " and ".join(f"tag={i}" for i in range(n // 8)),
    "excluded tags": lambda n: "tag!=" + ",".join(str(i) for i in range(n // 4)),
    "ands": lambda n: "tag=a" + " and" * (n // 4),
    "escapes never closed": lambda n: 'tag="' + '\\"' * (n // 2),
    "quotes": lambda n: 'tag=""' * (n // 6),
    "one name": lambda n: "a" * n,
    "digits": lambda n: "long_mm=" + "1" * n,
    "dots": lambda n: "long_mm=" + "." * n,
}


@pytest.mark.parametrize("attack", ATTACKS.values(), ids=ATTACKS)
def test_no_text_takes_longer_than_its_length(attack):
    """40,000 blanks took 63 s, 16,000 clauses 11 s; a megabyte is refused without being read."""
    for length in (MAX_CHARACTERS // 2, MAX_CHARACTERS - 64, 40_000, 1 << 20):
        text = attack(length)
        start = time.perf_counter()
        said = outcome(text)
        assert time.perf_counter() - start < 0.1, length
        assert len(said) < 1000


def outcome(text):
    """What a filter's refusal says; empty for one that is taken."""
    try:
        LesionFilter.parse(text)
    except FilterError as refused:
        return str(refused)
    return ""


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x" * (MAX_CHARACTERS + 1), f"at most {MAX_CHARACTERS} are accepted"),
        (" and ".join(["tag!=a"] * (MAX_CLAUSES + 1)), f"at most {MAX_CLAUSES} are accepted"),
        ("tag!=" + ",".join(map(str, range(MAX_TAGS + 1))), f"at most {MAX_TAGS} are accepted"),
        ("patient=\ud800", "lone surrogate"),
        ("type=²", "type '²' is unknown"),
        ("type=" + "9" * 4000, "unknown"),
    ],
)
def test_what_is_too_much_is_said(text, message):
    with pytest.raises(FilterError, match=message):
        LesionFilter.parse(text)


def test_a_filter_of_any_size_made_in_python_is_answered(samples, tmp_path):
    """1,100 tags gave an alarm of damage: an SQL expression was deeper than SQLite's limit."""
    many = frozenset(f"t{n}" for n in range(40_000))
    with LesionIndex.create(tmp_path / "index", samples.binding) as index:
        index.add(samples.records(40))
        stored = index.page(limit=40)
        vector = samples.record(0).vector
        both = {x.lesion_id for x in stored if {"calcified", "a, b"} <= x.terms}
        neither = {x.lesion_id for x in stored if not {"calcified", "a, b"} & x.terms}
        named = frozenset(x.lesion_id for x in stored[:7])
        cases = {
            LesionFilter(tags=frozenset({"calcified", "a, b"})): both,
            LesionFilter(excluded_tags=frozenset({"calcified", "a, b"}) | many): neither,
            LesionFilter(tags=frozenset({"calcified"}) | many): set(),
            LesionFilter(lesions=named | many): set(named),
            LesionFilter(excluded_lesions=named | many): {x.lesion_id for x in stored} - named,
        }
        for where, wanted in cases.items():
            assert {x.lesion_id for x in index.page(limit=40, where=where)} == wanted
            assert index.count(where) == len(wanted)
            found = index.search(vector, k=40, where=where)
            assert {hit.lesion.lesion_id for hit in found} == wanted
        assert 0 < len(both) < 40
        assert 0 < len(neither) < 40


def test_too_much_and_busy_are_not_damage(samples, tmp_path):
    folder = tmp_path / "index"
    LesionIndex.create(folder, samples.binding).close()
    with LesionIndex.open(folder, write_timeout_s=0.1) as index:
        reading = index._storage.connections.reading
        for statement, values in (
            (f"SELECT {'+'.join('1' * 1100)}", ()),
            (f"SELECT {','.join('?' * 300_000)}", (1,) * 300_000),
            ("SELECT ?", ("\ud800",)),
        ):
            with pytest.raises(CatalogQueryError), reading() as connection:
                connection.execute(statement, values)
        for gone in ("SELECT x FROM no_such_table", "SELECT no_such_column FROM lesions"):
            with pytest.raises(CatalogError, match="damaged"), reading() as connection:
                connection.execute(gone)
        with pytest.raises(CatalogQueryError, match="lone surrogate"):
            index.get("\udcff")
        blocker = sqlite3.connect(folder / "catalog.sqlite", isolation_level=None)
        blocker.execute("BEGIN IMMEDIATE")
        with pytest.raises(IndexBusyError, match="another program is writing"):
            index.remove(["x"])
        blocker.close()
        assert index.verify().sound
