"""The contours of a region as its connected parts: separate nodes of one name are several marks."""

from __future__ import annotations

from collections.abc import Sequence

import networkx
import numpy as np
from numpy.typing import NDArray

from retrieval.sources.marks.content.drawn import Drawn, plane_normal

_SAME_DEPTH_MM = 0.1
_HAIR_MM = 1e-3
_GAP = 1.5
"""Contours farther apart than this many usual gaps between slices do not touch."""


def connected_parts(rings: Sequence[Drawn]) -> list[list[Drawn]]:
    """Closed contours in mm, put together where they overlap on one slice or on neighbours.

    The order is that of their first contours. A ring within another belongs to it: a hole.
    """
    if len(rings) < 2:
        return [list(rings)]
    normal = plane_normal(max(rings, key=lambda one: len(one.points)).points)
    axes = _in_plane(normal)
    depths = np.array([float(one.points.mean(axis=0) @ normal) for one in rings])
    flat = [one.points @ axes.T for one in rings]
    boxes = np.array([[*points.min(axis=0), *points.max(axis=0)] for points in flat])
    reach = _reach(depths)
    graph = networkx.Graph()
    graph.add_nodes_from(range(len(rings)))
    order = np.argsort(depths, kind="stable")
    for place, n in enumerate(order):
        later = order[place + 1 :]
        later = later[depths[later] - depths[n] <= reach]
        near = later[
            (boxes[later, 0] <= boxes[n, 2])
            & (boxes[later, 2] >= boxes[n, 0])
            & (boxes[later, 1] <= boxes[n, 3])
            & (boxes[later, 3] >= boxes[n, 1])
        ]
        graph.add_edges_from((int(n), int(m)) for m in near if _overlap(flat[n], flat[m]))
    parts = sorted(sorted(part) for part in networkx.connected_components(graph))
    return [[rings[n] for n in part] for part in parts]


def _reach(depths: NDArray[np.float64]) -> float:
    steps = np.diff(np.sort(depths))
    real = steps[steps > _SAME_DEPTH_MM]
    return _SAME_DEPTH_MM if not len(real) else _GAP * float(np.median(real))


def _in_plane(normal: NDArray[np.float64]) -> NDArray[np.float64]:
    """(2, 3) directions across the normal."""
    helper = np.eye(3)[int(np.abs(normal).argmin())]
    across = np.cross(normal, helper)
    across /= np.linalg.norm(across)
    return np.stack([across, np.cross(normal, across)])


def _overlap(first: NDArray[np.float64], second: NDArray[np.float64]) -> bool:
    """Whether two rings share area: an edge of one has the inside of the other beside it."""
    return bool(
        _inside(_just_inside(first), second).any() or _inside(_just_inside(second), first).any()
    )


def _just_inside(ring: NDArray[np.float64]) -> NDArray[np.float64]:
    """Points a hair inside the middles of a ring's edges: rings may share their outline."""
    after = np.roll(ring, -1, axis=0)
    run = after - ring
    lengths = np.linalg.norm(run, axis=1, keepdims=True)
    across = np.stack([-run[:, 1], run[:, 0]], 1) / np.where(lengths == 0, 1.0, lengths)
    middles = (ring + after) / 2
    beside = np.vstack([middles + _HAIR_MM * across, middles - _HAIR_MM * across])
    return np.asarray(beside[_inside(beside, ring)])


def _inside(points: NDArray[np.float64], ring: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which points (n, 2) lie inside a ring, by the number of edges that a ray crosses."""
    after = np.roll(ring, -1, axis=0)
    x, y = points[:, :1], points[:, 1:]
    above = (ring[:, 1] > y) != (after[:, 1] > y)
    rise = after[:, 1] - ring[:, 1]
    run = (after[:, 0] - ring[:, 0]) / np.where(rise == 0, 1.0, rise)
    crossed = above & (x < ring[:, 0] + (y - ring[:, 1]) * run)
    return np.asarray(crossed.sum(axis=1) % 2 == 1)
