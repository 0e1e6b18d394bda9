"""PatchCache: every lesion's patch, cut once with room for augmentation, memory-mapped.

A folder of four files: ``cache.json`` (what was cut), ``patches.i16`` (HU, int16), ``boxes.f32``
(NaN where the image could not be read) and ``checksums.u32``. A checksum of zero marks a patch not
cut yet, so a killed job goes on where it was. The disk is asked for the whole size before the
first patch is cut.
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import Lesion
from retrieval.patch import Patch, PatchSpec, extract_patch
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive
from retrieval.training.cut_images import CacheError, CacheFolder, cut_each, digest_of

MARGIN_PX = 16
"""Room on every side for rotation, spacing and box jitter."""


def room_for_augmentation(spec: PatchSpec) -> PatchSpec:
    """The larger spec that is cached: a margin in the plane, one more plane on either side."""
    return replace(spec, size_px=spec.size_px + 2 * MARGIN_PX, slices=spec.slices + 2)


@dataclass(frozen=True)
class PatchCache:
    """The patches of one archive, in the order of its lesions.

    Attributes:
        patches: (n, slices, rows, columns), int16, HU.
        boxes: (n, 4), float32, lesion boxes in cached patch pixels; NaN where the image could not
            be read.
    """

    patches: NDArray[np.int16]
    boxes: NDArray[np.float32]

    @property
    def readable(self) -> NDArray[np.bool_]:
        """(n,): whether the lesion's image could be read."""
        return np.asarray(np.isfinite(self.boxes).all(axis=1))

    @classmethod
    def build(
        cls,
        archive: Archive,
        spec: PatchSpec,
        folder: Path,
        *,
        progress: ReportProgress | None = None,
    ) -> PatchCache:
        """Cuts what is missing, or damaged since it was cut, and opens the cache.

        Raises:
            CacheError: the disk is too small, or the folder holds patches of another archive or
                spec.
        """
        cut_spec = room_for_augmentation(spec)
        files = _CacheFiles.prepare(folder, archive.lesions, cut_spec)
        uncut = files.to_cut()
        done = len(archive.lesions) - len(uncut)
        for position, patch in cut_each(
            archive,
            {position: archive.lesions[position] for position in uncut},
            lambda slab, lesion: extract_patch(slab, lesion.box, cut_spec),
            half_depth_mm=cut_spec.half_depth_mm,
        ):
            files.store(position, patch)
            done += 1
            if progress:
                progress(done, len(archive.lesions))
        files.flush()
        return cls(files.patches, files.boxes)

    def verify(self, folder: Path) -> list[int]:
        """The positions whose patch no longer matches its checksum."""
        stored = np.fromfile(folder / "checksums.u32", np.uint32)
        return [i for i, patch in enumerate(self.patches) if _checksum(patch) != stored[i]]


@dataclass(frozen=True)
class _CacheFiles:
    patches: NDArray[np.int16]
    boxes: NDArray[np.float32]
    checksums: NDArray[np.uint32]

    @classmethod
    def prepare(cls, folder: Path, lesions: Sequence[Lesion], spec: PatchSpec) -> _CacheFiles:
        count = len(lesions)
        shape = (count, spec.slices, spec.size_px, spec.size_px)
        description = {
            "lesions": digest_of(f"{x.lesion_id} {x.box.to_list()}" for x in lesions),
            "count": count,
            "patch_spec": spec.to_dict(),
        }
        cache = CacheFolder(
            folder, description, "patch cache", "from other lesions or with another patch spec"
        )
        if not cache.is_begun():
            _check_disk(folder, int(np.prod(shape, dtype=np.int64)) * 2)
            _allocate(folder, shape)
            cache.begin()
        return cls(
            np.memmap(folder / "patches.i16", np.int16, "r+", shape=shape),
            np.memmap(folder / "boxes.f32", np.float32, "r+", shape=(count, 4)),
            np.memmap(folder / "checksums.u32", np.uint32, "r+", shape=(count,)),
        )

    def store(self, position: int, patch: Patch | None) -> None:
        if patch is None:
            self.boxes[position] = np.nan
        else:
            self.patches[position] = np.rint(patch.hu).astype(np.int16)
            self.boxes[position] = patch.box.to_list()
        self.checksums[position] = _checksum(self.patches[position])

    def to_cut(self) -> list[int]:
        """The positions never cut, or whose patch no longer matches its checksum."""
        return [
            position
            for position, stored in enumerate(self.checksums)
            if stored == 0 or stored != _checksum(self.patches[position])
        ]

    def flush(self) -> None:
        for mapped in (self.patches, self.boxes, self.checksums):
            assert isinstance(mapped, np.memmap)
            mapped.flush()


def _check_disk(folder: Path, needed: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    free = shutil.disk_usage(folder).free
    if free < needed * 1.05:
        raise CacheError(
            f"patch cache {folder} needs {needed / 1e9:.1f} GB and the disk has "
            f"{free / 1e9:.1f} GB left: free some space or name a folder on another disk"
        )


def _allocate(folder: Path, shape: tuple[int, ...]) -> None:
    count = shape[0]
    sizes = {
        "patches.i16": int(np.prod(shape, dtype=np.int64)) * 2,
        "boxes.f32": count * 16,
        "checksums.u32": count * 4,
    }
    for name, size in sizes.items():
        with (folder / name).open("wb") as file:
            file.truncate(max(size, 1))


def _checksum(patch: NDArray[np.int16]) -> int:
    """CRC-32 of a patch, never zero, which means not cut yet."""
    return zlib.crc32(np.ascontiguousarray(patch).tobytes()) or 1
