"""One grammar for filters: what it accepts, what it refuses, and that SQL agrees with it."""

from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from index.filters.lesion_filter import FilterError, LesionFilter
from index.filters.ranges import DateRange, LocationBox, NumberRange
from index.lesion_index import LesionIndex
from retrieval.lesion import LesionType, Split
from retrieval.tag import TagSource

names = st.text(min_size=1, max_size=8).filter(lambda text: "\x00" not in text)
sets = st.frozensets(names, max_size=3)
numbers = st.floats(-1e6, 1e6) | st.integers(-1000, 1000)


@st.composite
def ranges(draw, ends=numbers, kind=NumberRange):
    first, last = sorted((draw(ends), draw(ends)))
    shown = draw(st.sampled_from(["both", "first", "last"]))
    return kind(None if shown == "last" else first, None if shown == "first" else last)


axes = st.none() | ranges()
locations = st.builds(LocationBox, axes, axes, axes).filter(lambda box: box != LocationBox())
days = st.dates(date(1990, 1, 1), date(2030, 1, 1))
filters = st.builds(
    LesionFilter,
    patients=sets,
    excluded_patients=sets,
    studies=sets,
    excluded_studies=sets,
    lesions=sets,
    excluded_lesions=sets,
    lesion_types=st.frozensets(st.sampled_from(LesionType), max_size=3),
    excluded_lesion_types=st.frozensets(st.sampled_from(LesionType), max_size=3),
    splits=st.frozensets(st.sampled_from(Split), max_size=2),
    excluded_splits=st.frozensets(st.sampled_from(Split), max_size=2),
    tags=sets,
    excluded_tags=sets,
    tag_sources=st.frozensets(st.sampled_from(TagSource), max_size=2),
    categories=sets,
    excluded_categories=sets,
    long_mm=st.none() | ranges(),
    short_mm=st.none() | ranges(),
    measured_long_mm=st.none() | ranges(),
    measured_short_mm=st.none() | ranges(),
    volume_mm3=st.none() | ranges(),
    location=st.none() | locations,
    study_date=st.none() | ranges(days, DateRange),
)


@given(filters)
def test_text_and_filter_are_the_same(where):
    assert LesionFilter.parse(str(where)) == where


@pytest.mark.parametrize(
    ("text", "wanted"),
    [
        ("", LesionFilter()),
        (
            "type=liver and long_mm=10..30 and patient!=000053",
            LesionFilter(
                lesion_types=frozenset({LesionType.LIVER}),
                long_mm=NumberRange(10, 30),
                excluded_patients=frozenset({"000053"}),
            ),
        ),
        (
            " lesion_type = Soft Tissue , 5  AND  split=test ",
            LesionFilter(
                lesion_types=frozenset({LesionType.SOFT_TISSUE, LesionType.LUNG}),
                splits=frozenset({Split.TEST}),
            ),
        ),
        ("short_mm>=3 and short_mm<=8", LesionFilter(short_mm=NumberRange(3, 8))),
        (
            "volume=500..2000 and measured_long>=8 and measured_short_mm<=9",
            LesionFilter(
                volume_mm3=NumberRange(500, 2000),
                measured_long_mm=NumberRange(8),
                measured_short_mm=NumberRange(None, 9),
            ),
        ),
        ("long_mm=12", LesionFilter(long_mm=NumberRange(12, 12))),
        (
            "z=..0.5 and x=0.1..",
            LesionFilter(location=LocationBox(x=NumberRange(0.1), z=NumberRange(None, 0.5))),
        ),
        (
            "tag=a and tag=b and tag!=c,d",
            LesionFilter(tags=frozenset("ab"), excluded_tags=frozenset("cd")),
        ),
        (
            "tag=a and tag_source=given,reader and category=3,4 and category!=5",
            LesionFilter(
                tags=frozenset("a"),
                tag_sources=frozenset({TagSource.GIVEN, TagSource.READER}),
                categories=frozenset({"3", "4"}),
                excluded_categories=frozenset({"5"}),
            ),
        ),
        ("patient!=1 and patient!=2", LesionFilter(excluded_patients=frozenset("12"))),
        (
            'tag="black and white, \\"so\\""',
            LesionFilter(tags=frozenset({'black and white, "so"'})),
        ),
        ("date=2019-01-01..", LesionFilter(study_date=DateRange(date(2019, 1, 1)))),
        (
            "study=sand and lesion=band",
            LesionFilter(studies=frozenset({"sand"}), lesions=frozenset({"band"})),
        ),
    ],
)
def test_grammar(text, wanted):
    assert LesionFilter.parse(text) == wanted


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("liver", "name=value"),
        ("type=", "not understood"),
        ("colour=red", "unknown field 'colour'"),
        ("type=livr", "'livr' is unknown: one of bone"),
        ("split=half", "'half' is unknown: one of train"),
        ("long_mm=big", "write 10, 10..30"),
        ("long_mm=30..10", "empty"),
        ("long_mm=..", "at least one end"),
        ("long_mm=nan", "not a finite number"),
        ("long_mm!=3", "cannot be excluded"),
        ("long_mm>=10 and long_mm<=5", "leaves nothing"),
        ("date=yesterday", "2019-01-31"),
        ("date=2020-01-02..2020-01-01", "empty"),
        ("patient=1 and patient=2", "patient=a,b"),
        ("patient>=3", "= or !="),
        ("patient=1,,2", "empty value"),
        ("tag=a,b", "tag=a and tag=b"),
        ("tag_source=guess", "one of given, predicted, reader, text"),
        ("tag_source!=given", "takes = only"),
        ('tag="a', "never closed"),
        ('tag="a"b', "after a closing quote"),
        ("type=liver and", "empty|unknown|not understood"),
        ("type=liver and and split=test", "not understood"),
    ],
)
def test_what_is_not_understood_is_named(text, message):
    with pytest.raises(FilterError, match=message):
        LesionFilter.parse(text)


pieces = st.sampled_from(["type", "long_mm", "=", "!=", ">=", "..", "and", '"', ",", "3", " "])


@given(st.lists(pieces, max_size=12).map("".join) | st.text(max_size=40))
def test_any_text_is_a_filter_or_a_filter_error(text):
    try:
        where = LesionFilter.parse(text)
    except FilterError:
        return
    assert LesionFilter.parse(str(where)) == where


def test_a_name_cannot_break_out_into_sql(samples, tmp_path):
    with LesionIndex.create(tmp_path / "index", samples.binding) as index:
        index.add(samples.records(6))
        for name in ("x') OR 1=1 --", '"; DROP TABLE lesions; --', "%", "*"):
            assert index.count(LesionFilter(patients=frozenset({name}))) == 0
            assert index.count(LesionFilter(excluded_patients=frozenset({name}))) == 6
        assert index.count() == 6
