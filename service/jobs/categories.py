"""Categories of an index: found from its vectors, written to a file and to its lesions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from index.reports import ReaderDecision
from retrieval.labels.categories.features import (
    CategoryError,
    FeatureSpace,
    FeatureWeights,
    by_track,
)
from retrieval.labels.categories.file import CategoryFile, Membership, means_of
from retrieval.labels.categories.hierarchy import Join, category_tree
from retrieval.labels.categories.naming import name_categories
from retrieval.labels.categories.rounds import LoopOptions, Round, find_categories
from retrieval.lesion import Lesion
from retrieval.sources.archive import Archive

FEWEST_PATIENTS = 6
"""Below this, heads that leave a patient out have nobody to learn from."""

WRITTEN_AT_ONCE = 1_000

KEPT_FILE = "categories.json"
"""The file of the categories that an index's lesions carry, in the index's folder."""


@dataclass(frozen=True)
class IndexedLesions:
    """The lesions of an index with their (n, d) vectors, in one order."""

    lesions: tuple[Lesion, ...]
    vectors: NDArray[np.float32]


def read_lesions(index: LesionIndex) -> IndexedLesions:
    """Every lesion and its vector."""
    ids, vectors = index.vectors()
    found = {record.lesion.lesion_id: record.lesion for record in index.records(ids)}
    return IndexedLesions(tuple(found[one] for one in ids), vectors)


def linked_tracks(index: LesionIndex) -> dict[str, str]:
    """Lesion id -> track id, of lesions that readers confirmed to be one."""
    track: dict[str, str] = {}
    members: dict[str, set[str]] = {}
    for match in index.matches():
        if match.verdict is not ReaderDecision.CONFIRMED:
            continue
        pair = (match.lesion_a, match.lesion_b)
        first, second = (track.get(one, one) for one in pair)
        joined = members.pop(first, {pair[0]}) | members.pop(second, {pair[1]})
        members[first] = joined
        track.update(dict.fromkeys(joined, first))
    return track


def tracks_of(archives: Sequence[Archive]) -> dict[str, str]:
    """Lesion id -> track id of several archives, whose tracks may share names."""
    return {
        lesion_id: f"{number}/{track}"
        for number, archive in enumerate(archives)
        for lesion_id, track in archive.track_ids.items()
    }


def categorise(
    index: LesionIndex,
    options: LoopOptions,
    *,
    tracks: Mapping[str, str] | None = None,
    parts: FeatureWeights | None = None,
    report: Callable[[Round], None] | None = None,
) -> CategoryFile:
    """Finds categories of all lesions of an index; changes nothing in it.

    ``tracks`` maps lesion id to track id; without it the pairs that readers confirmed are tracks.

    Raises:
        CategoryError: too few patients, or fewer distinct lesions than categories.
    """
    held = read_lesions(index)
    patients = len({one.patient_id for one in held.lesions})
    if patients < FEWEST_PATIENTS:
        raise CategoryError(
            f"the index holds lesions of {patients} patients: categories need {FEWEST_PATIENTS}"
        )
    space = FeatureSpace.fit(held.lesions, held.vectors, parts or FeatureWeights())
    rows = by_track(
        held.lesions,
        space.rows(held.lesions, held.vectors),
        linked_tracks(index) if tracks is None else tracks,
    )
    found = find_categories(rows.features, rows.patients, options, report=report)
    first = [held.lesions[place] for place in rows.first]
    ids = [f"category {number + 1}" for number in range(found.count)]
    names = name_categories(first, found.labels, found.count)
    confidence = found.probabilities[np.arange(len(found.labels)), found.labels]
    return CategoryFile(
        encoder=index.binding.fingerprint,
        names=dict(zip(ids, names, strict=True)),
        members={
            lesion.lesion_id: Membership(
                ids[found.labels[track]], round(float(confidence[track]), 4)
            )
            for lesion, track in zip(held.lesions, rows.track, strict=True)
        },
        centres=means_of(rows.features, found.labels, found.count),
        space=space,
        tree=category_tree(found.confusion, ids),
        rounds=found.rounds,
        settled=found.settled,
        strengths=found.strengths,
        seed=options.seed,
    )


def store(index: LesionIndex, categories: CategoryFile) -> int:
    """Writes each lesion's category and confidence into the index; how many lesions changed.

    A lesion that came after the categories were found is put in the nearest one, without a
    confidence.

    Raises:
        CategoryError: the categories were found with another encoder than the index's.
    """
    ids, vectors = index.vectors()
    changed = 0
    for start in range(0, len(ids), WRITTEN_AT_ONCE):
        part = slice(start, start + WRITTEN_AT_ONCE)
        records = {one.lesion.lesion_id: one for one in index.records(ids[part])}
        lesions = [records[one].lesion for one in ids[part]]
        nearest = categories.assign(lesions, vectors[part], index.binding.fingerprint)
        wanted = [_with_category(*pair, categories) for pair in zip(lesions, nearest, strict=True)]
        different = [
            replace(records[after.lesion_id], lesion=after)
            for before, after in zip(lesions, wanted, strict=True)
            if before != after
        ]
        if different:
            index.add(different)
            changed += len(different)
    return changed


def keep(index: LesionIndex, categories: CategoryFile) -> int:
    """Stores the categories and keeps their file in the index's folder; how many lesions changed.

    Raises:
        CategoryError: the categories were found with another encoder than the index's.
    """
    changed = store(index, categories)
    categories.write(index.path / KEPT_FILE)
    return changed


def has_categories(index: LesionIndex) -> bool:
    """Whether an index keeps categories."""
    return (index.path / KEPT_FILE).is_file()


@dataclass(frozen=True, slots=True)
class CategoryFacts:
    """One category that was found without labels.

    Attributes:
        category: its id, as the filter `category=` takes it.
        name: what it holds, or `unnamed` where no name was earned.
        share: of its typed tracks, those of the commonest type, in [0, 1].
        tracks: physical lesions that it was found from.
        typed_tracks: those of known type.
        tags: terms that are commoner here than elsewhere.
        lesions: lesions of the index that are in it now.
    """

    category: str
    name: str
    share: float
    tracks: int
    typed_tracks: int
    tags: tuple[str, ...]
    lesions: int


@dataclass(frozen=True, slots=True)
class KeptCategories:
    """Categories in the order of the tree's leaves, and the tree from the leaves up.

    Attributes:
        settled: whether the loop ended because little changed any more.
    """

    categories: tuple[CategoryFacts, ...] = ()
    tree: tuple[Join, ...] = ()
    settled: bool = False


def kept_categories(index: LesionIndex) -> KeptCategories:
    """The categories that an index keeps: facts in the order of the leaves, and the tree.

    Without any, both are empty. Raises CategoryError for a damaged file.
    """
    file = index.path / KEPT_FILE
    if not file.is_file():
        return KeptCategories()
    found = CategoryFile.read(file)
    facts = []
    for key in order_of_tree(found):
        one = found.names[key]
        held = index.count(LesionFilter(categories=frozenset({key})))
        facts.append(
            CategoryFacts(
                category=key,
                name=one.name,
                share=one.share,
                tracks=one.tracks,
                typed_tracks=one.typed_tracks,
                tags=tuple(one.tags),
                lesions=held,
            )
        )
    return KeptCategories(tuple(facts), found.tree, found.settled)


def _with_category(lesion: Lesion, nearest: str, categories: CategoryFile) -> Lesion:
    member = categories.members.get(lesion.lesion_id)
    if member is None:
        return lesion.with_changes(category=nearest, category_confidence=None)
    return lesion.with_changes(category=member.category, category_confidence=member.confidence)


def order_of_tree(categories: CategoryFile) -> Sequence[str]:
    """The categories as the tree has them from left to right."""
    from retrieval.labels.categories.hierarchy import leaf_order

    return leaf_order(categories.tree, list(categories.names))
