"""SliceCache: every training slice on the detector's grid, cut once, one file a slice.

A file is written whole or not at all, so a killed job goes on with the slices it lacks.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np

from retrieval.detection.whole_slice import WholeSlice, whole_slice
from retrieval.lesion import Lesion, LesionSearchError
from retrieval.patch import PatchSpec
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive


class SliceCacheError(LesionSearchError):
    """A slice cache that holds something else."""


class SliceCache:
    """The key slices of one archive, by their number in ``lesions``.

    Raises SliceCacheError if ``folder`` holds the slices of another archive or grid.
    """

    def __init__(
        self, archive: Archive, lesions: Sequence[Lesion], spec: PatchSpec, folder: Path
    ) -> None:
        self._archive, self._lesions, self._spec, self._folder = archive, lesions, spec, folder
        folder.mkdir(parents=True, exist_ok=True)
        stated = folder / "cache.json"
        names = "\n".join(lesion.lesion_id for lesion in lesions)
        description = {
            "slices": hashlib.sha256(names.encode()).hexdigest(),
            "grid": spec.to_dict(),
        }
        if not stated.is_file():
            stated.write_text(json.dumps(description))
        elif json.loads(stated.read_text()) != description:
            raise SliceCacheError(
                f"slice cache {folder} was cut from other slices or on another grid: delete it, "
                "or name another folder"
            )

    def build(self, *, progress: ReportProgress | None = None) -> list[bool]:
        """Cuts what is missing; says of each slice whether its image could be read."""
        readable = []
        with ThreadPoolExecutor() as pool:
            for done, could in enumerate(pool.map(self._cut, range(len(self._lesions))), start=1):
                readable.append(could)
                if progress:
                    progress(done, len(self._lesions))
        return readable

    def read(self, number: int) -> WholeSlice:
        """One slice as it was cut."""
        with np.load(self._path(number), allow_pickle=False) as stored:
            origin, spacing = stored["origin_px"], stored["spacing_mm_px"]
            return WholeSlice(
                hu=stored["hu"].astype(np.float32),
                mm_px=self._spec.mm_px,
                origin_px=(float(origin[0]), float(origin[1])),
                spacing_mm_px=(float(spacing[0]), float(spacing[1])),
            )

    def _path(self, number: int) -> Path:
        return self._folder / f"{number:06d}.npz"

    def _cut(self, number: int) -> bool:
        path = self._path(number)
        if path.is_file():
            return True
        try:
            half_depth = self._spec.half_depth_mm
            slab = self._archive.slab(self._lesions[number], half_depth_mm=half_depth)
            cut = whole_slice(slab, self._spec)
        except LesionSearchError:
            return False
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(
                file,
                hu=np.rint(cut.hu).astype(np.int16),
                origin_px=np.array(cut.origin_px),
                spacing_mm_px=np.array(cut.spacing_mm_px),
            )
        partial.replace(path)
        return True
