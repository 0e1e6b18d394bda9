"""DeepLesion's numbers of a patient's studies and series: studies in the order of their dates."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from retrieval.lesion import Split
from retrieval.sources.importers.splits import TEST_SHARE, VALIDATION_SHARE
from retrieval.sources.mining.stacks import SliceStack


@dataclass(frozen=True, slots=True)
class SeriesPlace:
    """A series' numbers in the archive; one series UID may hold several volumes (``part``)."""

    study_uid: str
    series_uid: str
    part: int
    study_number: int
    series_number: int


SeriesKey = tuple[str, str, int]
"""Study UID, series UID, volume of the series."""


def key_of(stack: SliceStack) -> SeriesKey:
    """What tells a stack among a patient's."""
    image = stack.headers[0].image
    return image.study_uid, image.series_uid, stack.part


def numbered(
    stacks: Iterable[SliceStack], known: Iterable[SeriesPlace]
) -> dict[SeriesKey, SeriesPlace]:
    """The numbers of all stacks; those that have numbers keep them.

    Studies are numbered by date, as whoever follows lesions by number needs it. Only where a study
    turns up that is older than one with a number are the patient's studies numbered anew.
    """
    by_key = {key_of(stack): stack for stack in stacks}
    places = {(one.study_uid, one.series_uid, one.part): one for one in known}
    studies = {one.study_uid: one.study_number for one in places.values()}
    days = {stack.headers[0].image.study_uid: _day(stack) for stack in by_key.values()}
    days = {uid: days.get(uid, "") for uid in (*studies, *days)}
    order = sorted(days, key=lambda uid: (days[uid] or "9", uid))
    fresh = [uid for uid in order if uid not in studies]
    last = max(studies.values(), default=0)
    extended = studies | {uid: last + place for place, uid in enumerate(fresh, start=1)}
    if sorted(order, key=lambda uid: extended[uid]) != order and all(days.values()):
        extended = {uid: place for place, uid in enumerate(order, start=1)}
    series_of: dict[str, int] = {}
    for key, place in places.items():
        series_of[key[0]] = max(series_of.get(key[0], 0), place.series_number)
    found: dict[SeriesKey, SeriesPlace] = {}
    for key in sorted({*by_key, *places}, key=lambda one: _series_order(one, by_key)):
        if key in places:
            number = places[key].series_number
        else:
            number = series_of[key[0]] = series_of.get(key[0], 0) + 1
        found[key] = SeriesPlace(*key, extended[key[0]], number)
    return found


def split_of(name: str) -> Split:
    """A patient's split by a hash of its name: it stays when other patients come and go."""
    share = int.from_bytes(hashlib.sha256(f"mined/{name}".encode()).digest()[:8]) / 2**64
    if share < TEST_SHARE:
        return Split.TEST
    return Split.VALIDATION if share < TEST_SHARE + VALIDATION_SHARE else Split.TRAIN


def _day(stack: SliceStack) -> str:
    return stack.headers[0].day


def _series_order(
    key: SeriesKey, stacks: Mapping[SeriesKey, SliceStack]
) -> tuple[str, int, str, int]:
    stack = stacks.get(key)
    number = None if stack is None else stack.headers[0].image.series_number
    return key[0], 1 << 31 if number is None else number, key[1], key[2]
