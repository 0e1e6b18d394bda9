"""SliceCache: every training slice on the detector's grid, cut once, one file a slice.

A file is written whole or not at all, so a killed job goes on with the slices it lacks.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from retrieval.detection.whole_slice import WholeSlice, whole_slice
from retrieval.lesion import Lesion
from retrieval.patch import PatchSpec
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive
from retrieval.training.cut_images import CacheFolder, cut_each, digest_of


class SliceCache:
    """The key slices of one archive, by their number in ``lesions``.

    Raises CacheError if ``folder`` holds the slices of another archive or grid.
    """

    def __init__(
        self, archive: Archive, lesions: Sequence[Lesion], spec: PatchSpec, folder: Path
    ) -> None:
        self._archive, self._lesions, self._spec, self._folder = archive, lesions, spec, folder
        description = {
            "slices": digest_of(lesion.lesion_id for lesion in lesions),
            "grid": spec.to_dict(),
        }
        cache = CacheFolder(
            folder, description, "slice cache", "from other slices or on another grid"
        )
        if not cache.is_begun():
            cache.begin()

    def build(self, *, progress: ReportProgress | None = None) -> list[bool]:
        """Cuts what is missing; says of each slice whether its image could be read."""
        count = len(self._lesions)
        readable = [self._path(number).is_file() for number in range(count)]
        uncut = {n: self._lesions[n] for n in range(count) if not readable[n]}
        cut = cut_each(
            self._archive,
            uncut,
            lambda slab, _: whole_slice(slab, self._spec),
            half_depth_mm=self._spec.half_depth_mm,
        )
        for done, (number, one) in enumerate(cut, start=count - len(uncut) + 1):
            if one is not None:
                self._store(number, one)
                readable[number] = True
            if progress:
                progress(done, count)
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

    def _store(self, number: int, cut: WholeSlice) -> None:
        path = self._path(number)
        partial = path.with_suffix(".partial")
        with partial.open("wb") as file:
            np.savez(
                file,
                hu=np.rint(cut.hu).astype(np.int16),
                origin_px=np.array(cut.origin_px),
                spacing_mm_px=np.array(cut.spacing_mm_px),
            )
        partial.replace(path)
