"""Words of a search into terms, limits and chips; what is known of a lesion into reasons."""

from __future__ import annotations

import math
from datetime import date
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.labels.place import MODEL as PLACE_MODEL
from retrieval.labels.text.reading import text_reader
from retrieval.labels.vocabulary.bundled import vocabulary
from retrieval.labels.vocabulary.terms import VocabularyError
from retrieval.labels.words.limits import LimitField
from retrieval.labels.words.parsing import WordQuery, parse_words
from retrieval.labels.words.scoring import Known, belief, match, reasons, score
from retrieval.lesion import Box, Lesion, LesionType
from retrieval.tag import Tag, TagSource


def words(text: str) -> WordQuery:
    return parse_words(text, text_reader())


def lesion(kind: LesionType = LesionType.LUNG, *tags: Tag) -> Lesion:
    return Lesion("a", "p", "s", "x", 1, Box(0, 0, 9, 9), lesion_type=kind, tags=tags)


@pytest.mark.parametrize(
    ("text", "must", "should", "excluded"),
    [
        ("calcified lung nodule, not spiculated", "calcified|lung nodule", "", "spiculated"),
        ("left kidney cyst", "left kidney|kidney cyst", "", ""),
        ("mass or nodule in the left lower lobe", "left lower lobe", "mass|nodule", ""),
        ("possibly cavitary lung mass", "lung mass", "cavitary", ""),
        ("sclerotic bone lesion without lytic", "sclerotic", "", "lytic"),
        ("hepatic metastases, no calcification", "liver|metastasis", "", "calcified"),
        ("GGO right upper lobe", "ground-glass opacity|right upper lobe", "", ""),
        ("lesion not enhancing", "", "", "enhancing"),
    ],
)
def test_terms(text, must, should, excluded):
    found = words(text)
    assert "|".join(found.must) == must
    assert "|".join(found.should) == should
    assert "|".join(found.excluded) == excluded


@pytest.mark.parametrize(
    ("text", "field", "low", "high"),
    [
        ("nodule under 1 cm", LimitField.LONG_MM, None, math.nextafter(10, 0)),
        ("nodule up to 1 cm", LimitField.LONG_MM, None, 10),
        ("nodule >= 2cm", LimitField.LONG_MM, 20, None),
        ("mass larger than 30 mm", LimitField.LONG_MM, math.nextafter(30, 99), None),
        ("nodule 8-15 mm", LimitField.LONG_MM, 8, 15),
        ("nodule between 1 and 2 cm", LimitField.LONG_MM, 10, 20),
        ("subcentimeter nodule", LimitField.LONG_MM, None, math.nextafter(10, 0)),
        ("10 mm nodule", LimitField.LONG_MM, 8, 12.5),
        ("node, short axis over 1 cm", LimitField.SHORT_MM, math.nextafter(10, 99), None),
        ("nodule since 2019", LimitField.DAY, date(2019, 1, 1), None),
        ("nodule before 2020-03", LimitField.DAY, None, date(2020, 2, 29)),
        ("nodule in 2020-02", LimitField.DAY, date(2020, 2, 1), date(2020, 2, 29)),
        ("nodule between 2018 and 2019", LimitField.DAY, date(2018, 1, 1), date(2019, 12, 31)),
    ],
)
def test_limits(text, field, low, high):
    (limit,) = words(text).limits
    assert (limit.field, limit.low, limit.high) == (field, low, high)


def test_patients_and_sides():
    (limit,) = words("cyst of patient AB-12").limits
    assert (limit.field, limit.name) == (LimitField.PATIENT, "AB-12")
    (limit,) = words("cyst, not patient 000123").limits
    assert (limit.field, limit.name) == (LimitField.NOT_PATIENT, "000123")
    (limit,) = words("right liver lobe lesion").limits
    assert (limit.field, limit.name) == (LimitField.SIDE, "right")
    assert words("right kidney").limits == (), "the side belongs to the term"


def test_a_chip_taken_away_leaves_the_rest():
    text = "calcified lung nodule under 1 cm, not spiculated"
    found = words(text)
    assert [(chip.role.value, chip.label) for chip in found.chips] == [
        ("must", "calcified"),
        ("must", "lung nodule"),
        ("filter", "long diameter under 10 mm"),
        ("not", "spiculated"),
    ]
    for chip in found.chips:
        rest = words(chip.text_without)
        kept = {other.label for other in found.chips if other is not chip}
        assert {other.label for other in rest.chips} == kept


def test_what_is_unknown_is_told_with_the_nearest():
    found = words("nodule wibble spiculte")
    assert [one.word for one in found.unknown] == ["wibble", "spiculte"]
    assert "spiculated" in found.unknown[1].nearest
    with pytest.raises(VocabularyError, match="nothing of 'spiculte' is understood"):
        words("spiculte")
    with pytest.raises(VocabularyError, match="at most 500"):
        words("nodule " * 100)


@given(st.text(max_size=60))
def test_any_text_is_a_search_or_a_vocabulary_error(text):
    try:
        found = words(text)
    except VocabularyError:
        return
    assert not found.says_nothing
    assert not {*found.must} & {*found.should, *found.excluded}


@pytest.mark.parametrize(
    ("one", "term", "source", "likely"),
    [
        (lesion(LesionType.LUNG, Tag("calcified")), "calcified", Known.GIVEN, True),
        (
            lesion(LesionType.LUNG, Tag("calcified", 0.7, TagSource.PREDICTED, "m")),
            "calcified",
            Known.PREDICTED,
            True,
        ),
        (
            lesion(LesionType.LUNG, Tag("calcified", 0.0, TagSource.READER)),
            "calcified",
            Known.READER,
            False,
        ),
        (
            lesion(LesionType.UNKNOWN, Tag("liver", 0.95, TagSource.PREDICTED, PLACE_MODEL)),
            "liver",
            Known.POSITION,
            True,
        ),
        (lesion(LesionType.LUNG, Tag("calcified")), "noncalcified", Known.GIVEN, False),
        (lesion(LesionType.LUNG), "calcified", Known.NOTHING, False),
        (lesion(LesionType.LUNG), "lung", Known.TYPE, True),
        (lesion(LesionType.LUNG), "chest", Known.TYPE, True),
        (lesion(LesionType.LUNG), "liver", Known.TYPE, False),
        (lesion(LesionType.LUNG), "left kidney", Known.TYPE, False),
        (lesion(LesionType.LUNG), "lung nodule", Known.PARENT, False),
        (lesion(LesionType.UNKNOWN), "lung", Known.NOTHING, False),
        (lesion(LesionType.LUNG, Tag("left lower lobe")), "left lung", Known.GIVEN, True),
    ],
)
def test_what_is_known_of_a_term(one, term, source, likely):
    probability, known = belief(one, term, vocabulary())
    assert known is source
    assert (probability > 0.5) is likely


def test_an_estimate_counts_where_nobody_stated_anything():
    estimate = {"calcified": (0.8, Known.LIKENESS)}
    assert belief(lesion(), "calcified", vocabulary(), [estimate]) == (0.8, Known.LIKENESS)
    tagged = lesion(LesionType.LUNG, Tag("calcified"))
    assert belief(tagged, "calcified", vocabulary(), [estimate])[1] is Known.GIVEN


def test_the_score_is_a_sum_of_log_odds():
    asked = words("calcified lung nodule, possibly cavitary, not spiculated")
    told = reasons(lesion(LesionType.LUNG, Tag("calcified")), asked, vocabulary())
    p = {one.term: one.probability for one in told}
    odds = {term: math.log(value / (1 - value)) for term, value in p.items()}
    wanted = odds["calcified"] + odds["lung nodule"] + odds["cavitary"] / 2 - odds["spiculated"]
    assert score(told) == pytest.approx(wanted)
    mean = (p["calcified"] + p["lung nodule"] + p["cavitary"] + 1 - p["spiculated"]) / 4
    assert match(told) == pytest.approx(mean)
    assert match(()) == 1.0


TYPED = (Path(__file__).parents[4] / "benchmarks/typed_searches.txt").read_text().splitlines()


def test_twenty_searches_as_a_radiologist_types_them():
    assert len(TYPED) == 20
    for text in TYPED:
        found = words(text)
        assert found.unknown == (), text
        assert found.must or found.should, text
        assert found.chips, text
