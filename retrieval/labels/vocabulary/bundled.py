"""The vocabulary that this project ships: LesaNet's ontology with a few corrections.

The ontology gives no RadLex or SNOMED codes; a term's code is its number there.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from retrieval.labels.vocabulary.terms import Term, TermKind, Vocabulary
from retrieval.labels.vocabulary.user_terms import with_user_terms

_FOLDER = Path(__file__).parent
ONTOLOGY = _FOLDER / "lesanet.json"
CORRECTIONS = _FOLDER / "corrections.toml"


@lru_cache(maxsize=4)
def vocabulary(user_file: Path | None = None) -> Vocabulary:
    """The bundled vocabulary, with the terms of a user's TOML file where one is named.

    Raises VocabularyError naming the entry of the user's file that cannot be.
    """
    bundled = Vocabulary(corrected_terms())
    return bundled if user_file is None else with_user_terms(bundled, user_file)


def frozen_terms() -> list[Term]:
    """LesaNet's own terms, uncorrected; the last six are only implied by others."""
    document = json.loads(ONTOLOGY.read_text(encoding="utf-8"))
    listed = [*document["terms"], *document["implied"]]
    return [_term(fields) for fields in listed]


def corrected_terms(changes: Sequence[Mapping[str, Any]] | None = None) -> list[Term]:
    """The terms after every change of ``corrections.toml``, or after the given ones alone."""
    terms = {term.name: term for term in frozen_terms()}
    if changes is None:
        document = tomllib.loads(CORRECTIONS.read_text(encoding="utf-8"))
        changes = document["change"]
        terms |= {fields["name"]: _term(fields) for fields in document["term"]}
    for change in changes:
        terms[change["term"]] = _changed(terms[change["term"]], change)
    return list(terms.values())


def _term(fields: Mapping[str, Any]) -> Term:
    number = fields.get("id")
    return Term(
        name=fields["name"],
        kind=TermKind(fields["kind"]),
        synonyms=tuple(fields.get("synonyms", ())),
        parents=tuple(fields.get("parents", ())),
        exclusive=tuple(fields.get("exclusive", ())),
        code=None if number is None else f"LesaNet:{number}",
    )


def _changed(term: Term, change: Mapping[str, Any]) -> Term:
    def after(values: tuple[str, ...], kind: str) -> tuple[str, ...]:
        removed = change.get(f"remove_{kind}", ())
        kept = [value for value in values if value not in removed]
        return tuple(dict.fromkeys([*kept, *change.get(f"add_{kind}", ())]))

    return replace(
        term, synonyms=after(term.synonyms, "synonyms"), parents=after(term.parents, "parents")
    )
