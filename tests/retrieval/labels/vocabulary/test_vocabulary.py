"""The bundled vocabulary, its closures, and a user's own terms."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from retrieval.labels.vocabulary.bundled import ONTOLOGY, frozen_terms, vocabulary
from retrieval.labels.vocabulary.freezing import frozen, text_of
from retrieval.labels.vocabulary.terms import Term, TermKind, Vocabulary, VocabularyError


def test_the_bundled_terms():
    terms = frozen_terms()
    assert sum(bool(term.synonyms) for term in terms) == 333
    assert [sum(term.kind is kind and bool(term.code) for term in terms) for kind in TermKind] == [
        219,
        72,
        42,
    ]
    implied = [term.name for term in terms if not term.synonyms]
    assert implied == ["artery", "gastrointestinal", "iliac", "lung parenchyma", "neoplasm", "vein"]


def test_the_bundled_file_is_lesanets():
    data = os.environ.get("LESION_SEARCH_REAL_DATA")
    if not data:
        pytest.skip("LESION_SEARCH_REAL_DATA is not set")
    made = frozen(Path(data) / "lesanet" / "lesion_ontology_181022.xlsx")
    assert text_of(made) == ONTOLOGY.read_text(encoding="utf-8")
    labels = Path(data) / "lesanet" / "text_mined_labels_171_and_split.json"
    assert set(json.loads(labels.read_text())["term_list"]) <= set(vocabulary().terms)


def test_what_follows_from_a_term():
    known = vocabulary()
    assert known.expand(["left kidney"]) == {
        "left kidney",
        "kidney",
        "retroperitoneum",
        "upper abdomen",
        "abdomen",
    }
    assert "right lower lobe" in known.descendants("lung")
    assert "right lung" in known.exclusive("left lower lobe"), "its parents exclude it"
    assert "lingula" in known.exclusive("right upper lobe"), "so do the children of what does"
    for name in known.terms:
        excluded = known.exclusive(name)
        assert name not in excluded
        assert not excluded & known.ancestors(name)
        assert all(name in known.exclusive(other) for other in excluded)


def test_a_name_a_synonym_and_an_unknown_word():
    known = vocabulary()
    assert known.named("Hepatic").name == "liver"
    assert known.named("calcified").kind is TermKind.ATTRIBUTE
    assert known.nearest("spiculted")[0] == "spiculated"
    with pytest.raises(VocabularyError, match="the nearest known are spiculated"):
        known.named("spiculted")
    with pytest.raises(VocabularyError, match=r"docs/tags\.md"):
        known.named("qqqqqq")


def test_a_parent_that_is_no_term_is_refused():
    with pytest.raises(VocabularyError, match="'b', which is no term"):
        Vocabulary([Term("a", TermKind.TYPE, ("a",), parents=("b",))])


OWN = """
[[term]]
name = "halo sign"
kind = "attribute"
synonyms = ["perinodular halo"]
parents = ["ground-glass opacity"]

[[synonyms]]
term = "calcified"
add = ["popcorn"]
"""


def test_terms_of_a_user(tmp_path):
    file = tmp_path / "own.toml"
    file.write_text(OWN)
    own = vocabulary(file)
    assert own.named("perinodular halo").name == "halo sign"
    assert own.expand(["halo sign"]) == {"halo sign", "ground-glass opacity", "opacity"}
    assert own.named("popcorn").name == "calcified"
    assert len(own) == len(vocabulary()) + 1
    assert "halo sign" not in vocabulary()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("term = 3", "'term': .* are accepted"),
        ("[[words]]\na = 1", "'words'"),
        ('[[term]]\nname = "x"\nkind = "colour"', "kind is 'colour': one of body part"),
        ('[[term]]\nkind = "type"', "needs a name"),
        ('[[term]]\nname = "liver"\nkind = "type"', "'liver' is a term already"),
        ('[[term]]\nname = "x"\nkind = "type"\nparents = ["y"]', "'y', which is no term"),
        ('[[term]]\nname = "x"\nkind = "type"\ncolour = 1', "has 'colour'"),
        ('[[synonyms]]\nterm = "nothing"\nadd = ["x"]', "'nothing' is no term"),
        ('[[synonyms]]\nterm = "liver"\nadd = "x"', "a list of texts"),
        ("= [", "is not TOML"),
    ],
)
def test_a_users_file_that_cannot_be(tmp_path, text, message):
    file = tmp_path / "own.toml"
    file.write_text(text)
    with pytest.raises(VocabularyError, match=message):
        vocabulary(file)
    with pytest.raises(VocabularyError, match="cannot be read"):
        vocabulary(tmp_path / "missing.toml")
