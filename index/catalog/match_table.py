"""Confirmed and rejected matches: a reader's decisions on whether two lesions are one."""

from __future__ import annotations

import sqlite3

from index.errors import LesionIndexError, UnknownLesionError
from index.reports import Match, ReaderDecision
from retrieval.tracking.decisions import check_decisions


class MatchError(LesionIndexError):
    """A pair of lesions that cannot be one physical lesion's appearances."""


def store(connection: sqlite3.Connection, first: str, second: str, verdict: str) -> Match:
    """Stores the verdict on a pair, ``confirmed`` or ``rejected``, replacing an earlier one.

    Raises:
        UnknownLesionError: the index does not hold one of them.
        MatchError: they are one lesion, or of different patients, or the verdict is neither.
        MatchConflictError: it contradicts what is stored of this patient, or the lesions are of
            one study and were to be one; nothing is stored.
    """
    try:
        word = ReaderDecision(verdict)
    except ValueError:
        raise MatchError(f"verdict {verdict!r} is unknown: confirmed or rejected") from None
    pair = _pair(first, second)
    patients = []
    for lesion_id in pair:
        found = connection.execute(
            "SELECT patient_id FROM lesions WHERE lesion_id = ?", (lesion_id,)
        ).fetchone()
        if found is None:
            raise UnknownLesionError(f"lesion {lesion_id!r} is not in the index: check the id")
        patients.append(found[0])
    if patients[0] != patients[1]:
        raise MatchError(
            f"lesions {pair[0]!r} and {pair[1]!r} are of different patients: a match joins the "
            "same physical lesion in two studies of one patient"
        )
    match = Match(*pair, word)
    _refuse_contradiction(connection, match, patients[0])
    connection.execute("INSERT OR REPLACE INTO matches VALUES (?, ?, ?)", (*pair, word.value))
    return match


def _refuse_contradiction(connection: sqlite3.Connection, new: Match, patient_id: str) -> None:
    studies = connection.execute(
        "SELECT lesion_id, study_id FROM lesions WHERE patient_id = ? ORDER BY row", (patient_id,)
    ).fetchall()
    others = [match for match in listed(connection, patient_id) if _ids(match) != _ids(new)]
    pairs: dict[ReaderDecision, list[tuple[str, str]]] = {verdict: [] for verdict in ReaderDecision}
    for match in (*others, new):
        pairs[match.verdict].append(_ids(match))
    check_decisions(dict(studies), pairs[ReaderDecision.CONFIRMED], pairs[ReaderDecision.REJECTED])


def _ids(match: Match) -> tuple[str, str]:
    return match.lesion_a, match.lesion_b


def forget(connection: sqlite3.Connection, first: str, second: str) -> bool:
    """Forgets the verdict on a pair; returns whether there was one."""
    done = connection.execute(
        "DELETE FROM matches WHERE lesion_a = ? AND lesion_b = ?", _pair(first, second)
    )
    return done.rowcount > 0


def listed(connection: sqlite3.Connection, patient_id: str | None = None) -> list[Match]:
    """The verdicts on one patient's lesions, or on all, sorted."""
    found = connection.execute(
        "SELECT lesion_a, lesion_b, verdict FROM matches JOIN lesions ON lesion_id = lesion_a "
        "WHERE ? IS NULL OR patient_id = ? ORDER BY lesion_a, lesion_b",
        (patient_id, patient_id),
    ).fetchall()
    return [Match(first, second, ReaderDecision(verdict)) for first, second, verdict in found]


def _pair(first: str, second: str) -> tuple[str, str]:
    if first == second:
        raise MatchError(f"lesion {first!r} cannot be matched with itself: name two lesions")
    return (first, second) if first < second else (second, first)
