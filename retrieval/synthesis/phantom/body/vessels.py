"""Trees of vessels grown into an organ: twigs join the nearest branch, thickness follows Murray."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from retrieval.synthesis.phantom.body.shapes import Tubes

PIECE_MM = 7.0
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
    starts, ends = nodes[parents[1:]], nodes[1:]
    lengths = np.linalg.norm(ends - starts, axis=1, keepdims=True)
    middles = (starts + ends) / 2 + rng.normal(0, 0.07, starts.shape) * lengths
    halves = [(starts, middles), (middles, ends)]
    parts = [_cut(*half, radii[1:]) for half in halves]
    return Tubes.joined(parts)


def _cut(
    starts: NDArray[np.float64], ends: NDArray[np.float64], radii: NDArray[np.float64]
) -> Tubes:
    """Straight branches cut into pieces of at most ``PIECE_MM``."""
    counts = np.maximum(np.ceil(np.linalg.norm(ends - starts, axis=1) / PIECE_MM), 1).astype(int)
    branch = np.repeat(np.arange(len(counts)), counts)
    within = np.arange(len(branch)) - np.repeat(np.cumsum(counts) - counts, counts)
    low = (within / counts[branch])[:, None]
    high = ((within + 1) / counts[branch])[:, None]
    along = (ends - starts)[branch]
    return Tubes(
        (starts[branch] + low * along).astype(np.float32),
        (starts[branch] + high * along).astype(np.float32),
        radii[branch].astype(np.float32),
    )
