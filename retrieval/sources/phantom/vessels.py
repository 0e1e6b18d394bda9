"""Trees of vessels grown into an organ: twigs join the nearest branch, thickness follows Murray."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.sources.phantom.shapes import Tubes

MURRAY_EXPONENT = 2.7
"""A parent's radius to this power is the sum of its children's (Murray 1926: 3; lungs less)."""


def grow_tree(
    root: NDArray[np.float64],
    tips: NDArray[np.float64],
    *,
    tip_radius_mm: float,
    rng: np.random.Generator,
    detour: float = 0.55,
) -> Tubes:
    """A tree from ``root`` (3,) that reaches every tip (n, 3).

    Each tip, nearest to the root first, joins the node for which its own length plus ``detour``
    times the way back to the root is shortest.
    """
    tips = tips[np.argsort(np.linalg.norm(tips - root, axis=1))]
    nodes = np.concatenate([root[None], tips])
    parents = np.zeros(len(nodes), np.intp)
    way = np.zeros(len(nodes))
    for node in range(1, len(nodes)):
        lengths = np.linalg.norm(nodes[:node] - nodes[node], axis=1)
        parents[node] = int(np.argmin(lengths + detour * way[:node]))
        way[node] = way[parents[node]] + lengths[parents[node]]
    carried = np.zeros(len(nodes))
    carried[1:] = 1
    for node in range(len(nodes) - 1, 0, -1):
        carried[parents[node]] += carried[node]
    radii = tip_radius_mm * np.maximum(carried, 1) ** (1 / MURRAY_EXPONENT)
    branches = []
    for node in range(1, len(nodes)):
        start, end = nodes[parents[node]], nodes[node]
        bend = (start + end) / 2 + rng.normal(0, 0.08 * np.linalg.norm(end - start), 3)
        path = np.array([start, 0.25 * start + 0.5 * bend + 0.25 * end, end])
        branches.append(Tubes.along(path, np.full(3, radii[node]), step_mm=7))
    return Tubes.joined(branches)
