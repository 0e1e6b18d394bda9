"""Terms that a user adds to the vocabulary, from a TOML file.

[[term]]
name = "halo sign"
kind = "attribute"
synonyms = ["halo", "perinodular halo"]
parents = ["ground-glass opacity"]

[[synonyms]]
term = "calcified"
add = ["popcorn calcification"]
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from retrieval.labels.vocabulary.terms import Term, TermKind, Vocabulary, VocabularyError

_KEYS = {
    "term": {"name", "kind", "synonyms", "parents", "exclusive", "code"},
    "synonyms": {"term", "add"},
}


def with_user_terms(known: Vocabulary, file: Path) -> Vocabulary:
    """The vocabulary with the terms and synonyms of a file; raises VocabularyError."""
    try:
        document = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise VocabularyError(f"the vocabulary file {file} cannot be read ({error})") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise VocabularyError(f"the vocabulary file {file} is not TOML ({error})") from error
    terms = dict(known.terms)
    for section, entries in document.items():
        if section not in _KEYS or not isinstance(entries, list):
            raise VocabularyError(
                f"{file} has {section!r}: [[term]] and [[synonyms]] are accepted, see docs/tags.md"
            )
        for number, entry in enumerate(entries, start=1):
            place = f"{file}, [[{section}]] number {number}"
            _check_keys(entry, _KEYS[section], place)
            term = _new(entry, place) if section == "term" else _more(entry, terms, place)
            if section == "term" and term.name in terms:
                raise VocabularyError(
                    f"{place}: {term.name!r} is a term already: add to it under [[synonyms]]"
                )
            terms[term.name] = term
    return Vocabulary(terms.values())


def _new(entry: Mapping[str, Any], place: str) -> Term:
    kinds = ", ".join(kind.value for kind in TermKind)
    if entry.get("kind") not in {kind.value for kind in TermKind}:
        raise VocabularyError(f"{place}: kind is {entry.get('kind')!r}: one of {kinds}")
    name = entry.get("name")
    if not isinstance(name, str) or not name.strip():
        raise VocabularyError(f"{place}: a term needs a name")
    synonyms = _texts(entry, "synonyms", place)
    return Term(
        name=name.strip(),
        kind=TermKind(entry["kind"]),
        synonyms=tuple(dict.fromkeys([name.strip(), *synonyms])),
        parents=_texts(entry, "parents", place),
        exclusive=_texts(entry, "exclusive", place),
        code=entry.get("code"),
    )


def _more(entry: Mapping[str, Any], terms: Mapping[str, Term], place: str) -> Term:
    term = terms.get(entry.get("term", ""))
    if term is None:
        raise VocabularyError(
            f"{place}: {entry.get('term')!r} is no term: add it under [[term]] first"
        )
    added = _texts(entry, "add", place)
    return replace(term, synonyms=tuple(dict.fromkeys([*term.synonyms, *added])))


def _texts(entry: Mapping[str, Any], key: str, place: str) -> tuple[str, ...]:
    values = entry.get(key, [])
    if not isinstance(values, list) or not all(isinstance(one, str) and one for one in values):
        raise VocabularyError(f"{place}: {key} is {values!r}: a list of texts is needed")
    return tuple(values)


def _check_keys(entry: object, known: set[str], place: str) -> None:
    if not isinstance(entry, dict):
        raise VocabularyError(f"{place} is {entry!r}: a table is needed")
    if unknown := sorted(set(entry) - known):
        raise VocabularyError(
            f"{place} has {unknown[0]!r}: one of {', '.join(sorted(known))} is accepted"
        )
