"""A tree of categories: those that the classifier confuses stand close."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.cluster.hierarchy import linkage
from scipy.spatial.distance import squareform

from retrieval.labels.categories.features import FloatArray


@dataclass(frozen=True, slots=True)
class Join:
    """One inner node of the tree, from the leaves up.

    Attributes:
        left, right: ids of a category, or ``join N`` of an earlier join.
        distance: 1 less the mean probability of confusing the two sides' categories; 0 to 1.
    """

    left: str
    right: str
    distance: float


def category_tree(confusion: FloatArray, names: Sequence[str]) -> tuple[Join, ...]:
    """The joins of k categories, closest first, by average linkage of mutual confusion.

    ``confusion`` is (k, k), rows adding up to 1; the order of joins is that of "join 0", "join 1".
    """
    count = len(names)
    if count < 2:
        return ()
    mutual = (confusion + confusion.T) / 2
    distance = 1 - np.clip(mutual, 0, 1)
    np.fill_diagonal(distance, 0.0)
    joins = []
    for left, right, height, _ in linkage(squareform(distance, checks=False), "average"):
        sides = [
            names[int(side)] if side < count else f"join {int(side) - count}"
            for side in (left, right)
        ]
        joins.append(Join(sides[0], sides[1], float(height)))
    return tuple(joins)


def leaf_order(joins: Sequence[Join], names: Sequence[str]) -> tuple[str, ...]:
    """The categories from left to right, so that a drawing of the tree crosses no line."""
    members: dict[str, tuple[str, ...]] = {name: (name,) for name in names}
    for number, join in enumerate(joins):
        members[f"join {number}"] = members[join.left] + members[join.right]
    return members[f"join {len(joins) - 1}"] if joins else tuple(names)
