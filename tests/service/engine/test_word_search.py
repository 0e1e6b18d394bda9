"""A search by words against what an index holds: tags, types, likeness, limits."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from index.catalog.reader import EncoderBinding, LesionRecord
from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from index.tags import correct_tag
from retrieval.labels.vocabulary.terms import VocabularyError
from retrieval.labels.words.scoring import Known
from retrieval.lesion import Box, ImageSource, Lesion, LesionType
from retrieval.tag import Tag, TagSource, given_tags
from service.engine.query import QueryError
from service.engine.words.search import WordSearch

DIMENSION = 8
LESIONS = 60


def made(number: int) -> LesionRecord:
    """Every third lesion is calcified and looks so; every sixth of these is tagged so."""
    rng = np.random.default_rng(number)
    vector = rng.normal(0, 0.15, DIMENSION)
    vector[number % 3] += 1.0
    kind = LesionType.LUNG if number % 2 else LesionType.LIVER
    tags = given_tags("calcified", "nodule") if number % 6 == 0 else ()
    if number == 6:
        tags = (Tag("calcified", 0.0, TagSource.READER),)
    if number % 10 == 5:
        tags = (*tags, Tag("spiculated", 0.7, TagSource.PREDICTED, "head"))
    lesion = Lesion(
        f"lesion{number:02d}",
        f"patient{number:02d}",
        "s1",
        "x1",
        number,
        Box(0, 0, 9, 9),
        long_mm=5.0 + number % 30,
        lesion_type=kind,
        location=(0.2 if number % 4 else 0.8, 0.5, 0.3),
        tags=tags,
    )
    unit = (vector / np.linalg.norm(vector)).astype(np.float32)
    return LesionRecord(lesion, unit, ImageSource("a", f"{number}.png", (1.0, 1.0), 1.0))


@pytest.fixture(scope="module")
def index(tmp_path_factory):
    folder = tmp_path_factory.mktemp("words") / "index"
    with LesionIndex.create(folder, EncoderBinding("f", "made up", DIMENSION)) as made_index:
        made_index.add(made(number) for number in range(LESIONS))
        yield made_index


@pytest.fixture(scope="module")
def search(index):
    search = WordSearch(index)
    return lambda text, k=10, where=None: search.hits(
        search.parse(text), where or LesionFilter(), k
    )


def numbers(hits):
    return [int(hit.lesion.lesion_id.removeprefix("lesion")) for hit in hits]


def test_what_is_tagged_comes_first_then_what_looks_alike(search):
    hits = search("calcified", k=19)
    tagged = [n for n in range(0, LESIONS, 6) if n != 6]
    assert sorted(numbers(hits[: len(tagged)])) == tagged
    assert {hit.words[0].source for hit in hits[: len(tagged)]} == {Known.GIVEN}
    alike = hits[len(tagged) :]
    assert all(n % 3 == 0 for n in numbers(alike)), "the others look calcified"
    assert {hit.words[0].source for hit in alike} == {Known.LIKENESS}
    assert 6 not in numbers(hits), "a reader denied it"
    assert [hit.rank for hit in hits] == list(range(1, 20))
    matches = [hit.match for hit in hits]
    assert matches[0] > matches[-1]


def test_a_term_of_the_type(search):
    hits = search("lung", k=40)
    assert len(hits) == 30, "a liver lesion is none, however many are wanted"
    assert all(n % 2 for n in numbers(hits))
    assert {hit.words[0].source for hit in hits} == {Known.TYPE}


def test_a_shorter_answer_is_the_beginning_of_a_longer_one(index):
    text, whole = "calcified, not spiculated", 10
    longest = WordSearch(index).hits(WordSearch(index).parse(text), LesionFilter(), whole)
    for k in range(1, whole + 1):
        fresh = WordSearch(index)
        assert fresh.hits(fresh.parse(text), LesionFilter(), k) == longest[:k]


def test_stated_lesions_are_asked_for_alone_where_they_suffice(index, monkeypatch):
    asked = []
    find = index.search
    monkeypatch.setattr(
        index, "search", lambda vector, **how: asked.append(how) or find(vector, **how)
    )
    monkeypatch.setattr("service.engine.words.search.KEPT_HITS", (5,))
    search = WordSearch(index)
    assert len(search.hits(search.parse("calcified nodule"), LesionFilter(), 5)) == 5
    (only,) = asked
    assert only["where"].tags == {"calcified", "nodule"}, "what must hold goes to the store"
    assert TagSource.PREDICTED not in only["where"].tag_sources


def test_a_lesion_of_the_wider_type_is_no_kidneys_however_alike_it_looks(tmp_path):
    kinds = [LesionType.KIDNEY] * 4 + [LesionType.ABDOMEN] * 4
    with LesionIndex.create(tmp_path / "index", EncoderBinding("f", "made up", DIMENSION)) as held:
        for number, kind in enumerate(kinds):
            record = made(6 * number)
            tags = given_tags("right kidney") if number < 3 else ()
            held.add(
                [replace(record, lesion=record.lesion.with_changes(tags=tags, lesion_type=kind))]
            )
        search = WordSearch(held)
        hits = search.hits(search.parse("exophytic mass of the right kidney"), LesionFilter(), 8)
    assert {hit.lesion.lesion_type for hit in hits} == {LesionType.KIDNEY}


def test_limits_hold_for_every_hit(search):
    for hit in search("lung lesion under 1 cm, not patient patient03"):
        assert hit.lesion.long_mm < 10
        assert hit.lesion.patient_id != "patient03"
    for hit in search("left liver lesion"):
        assert hit.lesion.location[0] > 0.5
    assert numbers(search("cyst of patient patient07")) == [7]


def test_what_must_not_hold_is_left_out(search):
    with_all = set(numbers(search("lung", k=99)))
    without = set(numbers(search("lung, not spiculated", k=99)))
    assert with_all - without == {n for n in range(LESIONS) if n % 10 == 5}


def test_the_filter_holds_beside_the_words(search):
    hits = search("calcified", where=LesionFilter.parse("type=liver"))
    assert {hit.lesion.lesion_type for hit in hits} == {LesionType.LIVER}
    with pytest.raises(QueryError, match="give one of them"):
        search("calcified under 1 cm", where=LesionFilter.parse("long_mm=3.."))


def test_a_wider_term_stands_in_where_no_lesion_has_the_term(search):
    (first, *_) = search("lung nodule")
    assert first.words[0].source in (Known.PARENT, Known.GIVEN)


def test_words_order_the_neighbours_of_an_example_anew(index):
    search = WordSearch(index)
    vector = made(1).vector
    neighbours = index.search(vector, k=LESIONS)
    hits = search.reordered(neighbours, search.parse("calcified"), 10)
    assert hits[0].words[0].source is Known.GIVEN
    by_id = {one.lesion.lesion_id: one.similarity for one in neighbours}
    assert all(hit.similarity == by_id[hit.lesion.lesion_id] for hit in hits)
    tagged = [hit for hit in hits if hit.words[0].source is Known.GIVEN]
    assert [hit.similarity for hit in tagged] == sorted(
        (hit.similarity for hit in tagged), reverse=True
    )


def test_a_term_that_no_lesion_carries_is_sought_among_the_fitting_types(search):
    hits = search("liver cyst", k=12)
    assert {hit.lesion.lesion_type for hit in hits} == {LesionType.LIVER}


def test_what_a_model_holds_unlikely_orders_a_search_and_is_no_tag(tmp_path):
    told = {1: 0.9, 2: 0.31, 3: 0.02, 4: 0.2, 5: None}
    with LesionIndex.create(tmp_path / "index", EncoderBinding("f", "made up", DIMENSION)) as held:
        for number, probability in told.items():
            record = made(number)
            source = TagSource.PREDICTED if number == 1 else TagSource.UNLIKELY
            tags = () if probability is None else (Tag("calcified", probability, source, "head"),)
            held.add([replace(record, lesion=record.lesion.with_changes(tags=tags))])
        search = WordSearch(held)
        hits = search.hits(search.parse("calcified"), LesionFilter(), 10)
        assert numbers(hits)[:3] == [1, 2, 4]
        assert hits[1].words[0].source is Known.PREDICTED
        assert hits[1].words[0].probability == pytest.approx(0.31)
        assert hits[1].lesion.to_json()["tags"] == []
        assert held.count(LesionFilter.parse("tag=calcified")) == 1
        contrary = search.hits(search.parse("noncalcified"), LesionFilter(), 10)
        assert numbers(contrary)[:3] == [3, 4, 2]
        kept = search.hits(search.parse("calcified"), LesionFilter(), 10)
        assert kept is hits, "nothing has changed"
        correct_tag(held, "lesion04", "calcified", True)
        again = search.hits(search.parse("calcified"), LesionFilter(), 10)
        assert numbers(again)[0] == 4, "the reader's word counts at once"


def test_words_are_read_by_terms_of_ones_own(index, tmp_path):
    file = tmp_path / "terms.toml"
    file.write_text(
        '[[term]]\nname = "halo sign"\nkind = "attribute"\nsynonyms = ["perinodular halo"]\n'
        'parents = ["ground-glass opacity"]\n'
    )
    assert WordSearch(index, file).parse("perinodular halo").must == ("halo sign",)
    with pytest.raises(VocabularyError):
        WordSearch(index).parse("perinodular halo")
    with pytest.raises(VocabularyError):
        WordSearch(index, tmp_path / "none.toml")
