"""Phrases into terms: what is said in parts, denied, doubted, past; sizes and images."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.labels.text.reading import MOST_CHARACTERS, TextReader, text_reader
from retrieval.labels.vocabulary.bundled import vocabulary
from retrieval.labels.vocabulary.terms import Term, TermKind, Vocabulary, VocabularyError

STATUSES = ("relevant", "uncertain", "negated", "past")


def sentences():
    with (Path(__file__).parent / "assertions.csv").open(encoding="utf-8") as file:
        # The sentence is what stands before the last four fields: it may hold a semicolon.
        rows = [line.rstrip("\n").rsplit(";", 4) for line in list(file)[1:]]
    return [(sentence, dict(zip(STATUSES, lists, strict=True))) for sentence, *lists in rows]


def terms(text: str) -> set[str]:
    return set(text_reader().read(text).relevant)


def test_there_are_sixty_sentences():
    assert len(sentences()) >= 60


@pytest.mark.parametrize(("sentence", "wanted"), sentences(), ids=lambda one: str(one)[:50])
def test_what_is_denied_doubted_or_past(sentence, wanted):
    found = text_reader().read(sentence)
    known = vocabulary()
    for status in STATUSES:
        listed = [term for term in wanted[status].split(",") if term]
        read = set(getattr(found, status))
        said = {term for term in listed if not term.endswith("!")}
        assert said <= read
        if status in ("relevant", "uncertain"):
            assert read <= known.expand(said), "more than was said"
        for term in listed:
            if term.endswith("!"):
                assert all(term[:-1] not in getattr(found, one) for one in STATUSES)


@pytest.mark.parametrize(
    ("text", "wanted", "unwanted"),
    [
        ("left anterior renal mass", {"left kidney", "mass"}, {"right kidney"}),
        ("right posterior medial lower lobe nodule", {"right lower lobe"}, {"lung nodule"}),
        ("nodule in the upper lobe of the left lung", {"left upper lung", "left lung"}, set()),
        ("mass in the head of the pancreas", {"pancreatic head", "retroperitoneum"}, set()),
        ("mass, left hepatic lobe", {"liver mass", "abdomen"}, set()),
        ("axillary enlarged lymph node", {"axilla lymph node", "chest wall"}, set()),
        ("right external iliac node", {"external iliac lymph node", "pelvis"}, {"bone"}),
        ("iliac lymph node", {"iliac lymph node"}, {"common iliac lymph node"}),
        ("femoral lymph node", {"groin lymph node"}, {"femur", "bone"}),
        ("low-attenuation lesion in the liver", {"hypoattenuation", "liver"}, set()),
        ("ill defined pulmonary nodules", {"indistinct", "lung nodule"}, set()),
        ("mesentteric lymphadenopathy", {"mesentery lymph node", "lymphadenopathy"}, set()),
        ("lesion in the body of L3", {"spine", "vertebral body"}, set()),
        ("Mass displacing the bladder", {"mass"}, {"urinary bladder"}),
        ("heterogeneously enhancing mass", {"heterogeneous", "enhancing"}, set()),
        ("cervical lymph node", {"neck", "lymph node"}, {"cervix"}),
        ("part-solid nodule", {"part-solid", "nodule"}, {"solid"}),
        ("hemidiaphragm nodule", {"diaphragm"}, set()),
    ],
)
def test_terms_said_in_parts_or_bent(text, wanted, unwanted):
    found = terms(text)
    assert wanted <= found
    assert not unwanted & found


def test_a_term_is_in_one_list_only():
    found = text_reader().read("Liver cyst. No other cyst. Possible cyst in the kidney.")
    lists = [set(getattr(found, status)) for status in STATUSES]
    assert sum(len(one) for one in lists) == len(set().union(*lists))
    assert "cyst" in found.relevant


def test_sizes_and_images_belong_to_the_terms_beside_them():
    found = text_reader().read(
        "Right lower lobe nodule measures 12 x 8 mm (series 4, image 56), and a left hilar lymph "
        "node 1.5 cm (IMA 8-34). Liver cyst, image 70."
    )
    first, second = found.measurements
    assert (first.long_mm, first.short_mm, first.series, first.image) == (12.0, 8.0, 4, 56)
    assert (second.long_mm, second.short_mm, second.series, second.image) == (15.0, None, 8, 34)
    assert "right lower lobe" in first.terms
    assert "left hilum lymph node" not in first.terms
    assert "left hilum lymph node" in second.terms
    assert not {"liver", "cyst"} & {*first.terms, *second.terms}


@pytest.mark.parametrize(
    ("text", "sizes"),
    [
        ("1.2 x 0.8 x 2 cm mass", [(20.0, 12.0)]),
        ("nodule 8mm", [(8.0, None)]),
        ("a 3 cm by 2 cm lesion", [(30.0, 20.0)]),
        ("T10, 4 nodules, segment 7", []),
        ("5\u00d77 mm", [(7.0, 5.0)]),
    ],
)
def test_sizes(text, sizes):
    found = text_reader().read(text).measurements
    assert [(one.long_mm, one.short_mm) for one in found] == sizes


@given(st.text(max_size=80))
def test_any_text_is_read(text):
    found = text_reader().read(text)
    assert found.text == text
    assert set(found.relevant) == set(vocabulary().expand(found.relevant))


def test_a_text_without_end_is_refused():
    with pytest.raises(VocabularyError, match="at most 10000"):
        text_reader().read("x" * (MOST_CHARACTERS + 1))


def test_a_vocabulary_of_ones_own():
    own = Vocabulary(
        [
            Term("lung", TermKind.BODY_PART, ("lung",)),
            Term("left lung", TermKind.BODY_PART, ("left lung",), parents=("lung",)),
            Term("halo", TermKind.ATTRIBUTE, ("halo", "halo sign")),
        ]
    )
    found = TextReader(own).read("halo sign in the left posterior lung, no nodule")
    assert set(found.relevant) == {"halo", "left lung", "lung"}


def phrases():
    with (Path(__file__).parent / "phrases.csv").open(encoding="utf-8", newline="") as file:
        return [(row["text"], row["relevant"], row["absent"]) for row in csv.DictReader(file)]


def test_there_are_sixty_phrases_of_reports():
    assert len(phrases()) == 60


@pytest.mark.parametrize(("text", "relevant", "absent"), phrases(), ids=lambda one: str(one)[:40])
def test_what_a_phrase_of_a_report_says(text, relevant, absent):
    known = terms(text)
    assert set(relevant.split("|")) <= known
    assert not set(absent.split("|")) & known
