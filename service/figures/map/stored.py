"""StoredMap: a map kept beside its index, and completed with what came later."""

from __future__ import annotations

import os
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
from numpy.typing import NDArray

from service.figures.map.projection import MapError, MapMethod

FILE = "map.npz"
"""Beside the catalog, in the index's folder."""

NEAREST = 3
"""A lesion that came later stands in the middle of so many of its nearest on the map."""


@dataclass(frozen=True)
class StoredMap:
    """Points of lesions, with what they were made of.

    Attributes:
        lesion_ids: n ids.
        points: (n, 2), float32.
        method: what made them.
        fingerprint: of the encoder whose vectors they show.
    """

    lesion_ids: tuple[str, ...]
    points: NDArray[np.float32]
    method: MapMethod
    fingerprint: str

    @classmethod
    def load(cls, folder: Path, fingerprint: str) -> Self | None:
        """The map in an index's folder; None where there is none, or one of another encoder.

        Raises:
            MapError: the file cannot be read.
        """
        file = folder / FILE
        if not file.is_file():
            return None
        try:
            with np.load(file, allow_pickle=False) as kept:
                ids, points = kept["lesion_ids"], np.asarray(kept["points"], np.float32)
                method, made_of = MapMethod(str(kept["method"])), str(kept["fingerprint"])
        except (OSError, ValueError, KeyError, zipfile.BadZipFile) as broken:
            raise MapError(
                f"the map {file} cannot be read: make it again with `lesion-search index map`"
            ) from broken
        if points.shape != (len(ids), 2) or not np.isfinite(points).all():
            raise MapError(
                f"the map {file} has {len(ids)} lesions and points of shape {points.shape}: make "
                "it again with `lesion-search index map`"
            )
        return None if made_of != fingerprint else cls(tuple(ids.tolist()), points, method, made_of)

    def save(self, folder: Path) -> Path:
        """Writes the file whole or not at all; answers where it is."""
        handle, name = tempfile.mkstemp(dir=folder, suffix=".npz")
        with os.fdopen(handle, "wb") as written:
            np.savez_compressed(
                written,
                lesion_ids=np.array(self.lesion_ids, np.str_),
                points=self.points,
                method=np.array(self.method.value),
                fingerprint=np.array(self.fingerprint),
            )
        return Path(name).replace(folder / FILE)

    def placed(
        self, lesion_ids: list[str], vectors: NDArray[np.float32]
    ) -> NDArray[np.float32] | None:
        """Points (n, 2) of these lesions with their vectors (n, d) of unit norm.

        One that the map does not have stands in the middle of its nearest that it has. None where
        the map has less than half of them: it shows another index by now.
        """
        known = {lesion_id: row for row, lesion_id in enumerate(self.lesion_ids)}
        rows = np.array([known.get(one, -1) for one in lesion_ids], np.int64)
        mapped = rows >= 0
        if 2 * mapped.sum() < len(rows):
            return None
        points = np.zeros((len(rows), 2), np.float32)
        points[mapped] = self.points[rows[mapped]]
        for row in np.flatnonzero(~mapped):
            likeness = vectors[mapped] @ vectors[row]
            nearest = np.argsort(-likeness, kind="stable")[:NEAREST]
            points[row] = points[mapped][nearest].mean(axis=0)
        return points
