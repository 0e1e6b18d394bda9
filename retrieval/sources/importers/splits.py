"""Patients to splits: fixed shares, decided by a hash of the name, so that nobody can choose."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from retrieval.lesion import Split

TEST_SHARE = 0.20
"""Held apart: never trained on, never chosen by."""

VALIDATION_SHARE = 0.16


def split_patients(patients: Iterable[str], *, source: str) -> dict[str, Split]:
    """Each patient's split: 20 % test, 16 % val, the rest train, by patients and not by images.

    Patients are ordered by a hash of source and name and the order is cut at the shares, so that
    even a handful of patients keeps them.
    """
    ordered = sorted(set(patients), key=lambda name: _digest(f"{source}/{name}"))
    test = round(TEST_SHARE * len(ordered))
    val = round(VALIDATION_SHARE * len(ordered))
    splits = dict.fromkeys(ordered, Split.TRAIN)
    splits.update(dict.fromkeys(ordered[:test], Split.TEST))
    splits.update(dict.fromkeys(ordered[test : test + val], Split.VALIDATION))
    return splits


def _digest(text: str) -> bytes:
    return hashlib.sha256(text.encode()).digest()
