"""What a category is called: the type, position and tags of its tracks, where they agree."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from retrieval.labels.categories.features import IntArray
from retrieval.lesion import Lesion, LesionType

UNNAMED = "unnamed"
LEAST_SHARE = 0.5
"""A type names a category of whose typed tracks it holds more than half."""

LEAST_TRACKS, LEAST_PATIENTS = 5, 3
TAG_SHARE, TAG_LIFT = 0.2, 1.5
"""A tag belongs to a name if this share has it, and this many times as many as of all tracks."""

MOST_TAGS = 2


@dataclass(frozen=True, slots=True)
class CategoryName:
    """A name and what earned it.

    Attributes:
        name: the type; ``unnamed`` where none holds more than half of at least 5 typed tracks of
            at least 3 patients.
        share: of the typed tracks that are of the commonest type; 0 where none is typed.
        tracks, typed_tracks: how many, and how many of known type.
        mean_position: mean body position, or None.
        tags: terms that are more frequent here than elsewhere, commonest first.
    """

    name: str
    share: float
    tracks: int
    typed_tracks: int
    mean_position: tuple[float, float, float] | None
    tags: tuple[str, ...]


def name_categories(
    lesions: Sequence[Lesion], labels: IntArray, count: int
) -> tuple[CategoryName, ...]:
    """A name for each of k categories of (n,) tracks, each told by one of its lesions.

    Two categories of one type are told apart by their tags, else by a number, the larger first
    ("liver 1", "liver 2").
    """
    everywhere = _tag_shares(lesions)
    members = [
        [lesion for lesion, label in zip(lesions, labels, strict=True) if label == category]
        for category in range(count)
    ]
    return _told_apart([_named(own, everywhere) for own in members])


def _named(members: Sequence[Lesion], everywhere: Mapping[str, float]) -> CategoryName:
    typed = [one for one in members if one.lesion_type is not LesionType.UNKNOWN]
    name, share = UNNAMED, 0.0
    if typed:
        kind, held = Counter(one.lesion_type for one in typed).most_common(1)[0]
        share = held / len(typed)
        patients = {one.patient_id for one in typed if one.lesion_type is kind}
        if len(typed) >= LEAST_TRACKS and len(patients) >= LEAST_PATIENTS and share > LEAST_SHARE:
            name = kind.value
    return CategoryName(
        name,
        share,
        len(members),
        len(typed),
        _mean_position(members),
        _tags(members, everywhere),
    )


def _tags(members: Sequence[Lesion], everywhere: Mapping[str, float]) -> tuple[str, ...]:
    lifted = [
        (-share, term)
        for term, share in _tag_shares(members).items()
        if share >= TAG_SHARE and share >= TAG_LIFT * everywhere[term]
    ]
    return tuple(term for _, term in sorted(lifted)[:MOST_TAGS])


def _tag_shares(lesions: Sequence[Lesion]) -> dict[str, float]:
    """Share of the tagged lesions that have each term."""
    tagged = [one.terms for one in lesions if one.terms]
    counts = Counter(term for terms in tagged for term in terms)
    return {term: number / len(tagged) for term, number in counts.items()}


def _mean_position(members: Sequence[Lesion]) -> tuple[float, float, float] | None:
    places = [one.location for one in members if one.location is not None]
    if not places:
        return None
    x, y, z = np.mean(places, axis=0)
    return float(x), float(y), float(z)


def _told_apart(found: Sequence[CategoryName]) -> tuple[CategoryName, ...]:
    shown = list(found)
    for name in {one.name for one in found} - {UNNAMED}:
        same = [number for number, one in enumerate(found) if one.name == name]
        if len(same) < 2:
            continue
        first_tags = {found[number].tags[:1] for number in same}
        by_tag = len(first_tags) == len(same) and () not in first_tags
        for place, number in enumerate(sorted(same, key=lambda one: -found[one].tracks), start=1):
            more = f", {found[number].tags[0]}" if by_tag else f" {place}"
            shown[number] = replace(found[number], name=name + more)
    return tuple(shown)
