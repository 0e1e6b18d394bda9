"""Lesions with masks of readers, and where there is one the mark that a radiologist drew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import nibabel
import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import LesionSearchError, Recist, Split
from retrieval.segmentation.learning.example import MaskedLesion, on_largest_slice
from retrieval.segmentation.learning.real import read_nodules, read_sarcomas
from retrieval.sources.archive import open_archive
from retrieval.sources.importers.source import read_index, source_file

MASK_COLUMNS = ("series", "slices", "key_slice", "x1", "y1", "mask_file", "pixels_here")
NEAR_PX = 1.0


class CohortError(LesionSearchError):
    """A cohort that cannot be read."""


@dataclass(frozen=True)
class SegmentationCase:
    """A lesion to score; ``mark`` is the radiologist's, None where the mask gives it."""

    lesion: MaskedLesion
    mark: Recist | None = None

    @property
    def key_mark(self) -> Recist:
        """The mark on the key slice, undisturbed."""
        return self.mark or self.lesion.mark_on(self.lesion.slab.key_slice)


@dataclass(frozen=True)
class CohortFolders:
    """Where lesions with masks lie; each may be missing.

    Attributes:
        nodules, sarcomas: the two collections, of which ``split`` is scored.
        marked: an archive of DeepLesion with ``index.csv`` that names a mask a lesion.
    """

    nodules: Path | None = None
    sarcomas: Path | None = None
    marked: Path | None = None
    split: Split = Split.TEST


def read_cohort(folders: CohortFolders) -> list[SegmentationCase]:
    """Every lesion of the folders.

    Raises:
        CohortError: there is none.
        ImporterError, ArchiveError, VolumeError: a folder cannot be read.
    """
    lesions: list[MaskedLesion] = []
    if folders.nodules:
        lesions += read_nodules(folders.nodules, folders.split)
    if folders.sarcomas:
        lesions += read_sarcomas(folders.sarcomas, folders.split)
    cases = [SegmentationCase(on_largest_slice(lesion)) for lesion in lesions]
    if folders.marked:
        cases += read_marked(folders.marked)
    if not cases:
        raise CohortError("no lesion with a mask to score: name at least one folder")
    return cases


def read_marked(folder: Path) -> list[SegmentationCase]:
    """The lesions of an archive of DeepLesion that have a mask in ``mask/``."""
    index = read_index(folder, "index.csv", MASK_COLUMNS)
    archive = open_archive(folder)
    found = []
    for row in index[index["pixels_here"] == 1].to_dict("records"):
        for lesion in archive.lesions:
            here = lesion.series_id == row["series"]
            if not here or lesion.key_slice_index != int(row["key_slice"]):
                continue
            if abs(lesion.box.x1 + 1 - row["x1"]) > NEAR_PX + 1:
                continue
            mask = _mask(folder / str(row["mask_file"]))
            depth_mm = (len(mask) // 2) * archive.source(lesion).slice_interval_mm
            slab = archive.slab(lesion, half_depth_mm=depth_mm)
            if mask.shape != slab.hu.shape:
                raise CohortError(
                    f"mask {row['mask_file']} has the shape {mask.shape}, the slices about "
                    f"{lesion.lesion_id} {slab.hu.shape}: give masks on the same slices"
                )
            patient = f"DeepLesion {int(row['patient'])}"
            masked = MaskedLesion(lesion.lesion_id, patient, "DeepLesion", slab, mask)
            mark = archive.recist(lesion)
            display = None if mark is None else slab.grid.to_display_recist(mark)
            found.append(SegmentationCase(masked, display))
    return found


def _mask(path: Path) -> NDArray[np.float32]:
    """(slices from the feet, rows, columns) of a mask whose file counts slices from the head."""
    stored = np.asarray(nibabel.load(source_file(path)).dataobj)  # type: ignore[attr-defined]
    return np.asarray(stored.transpose(2, 1, 0)[::-1] > 0, np.float32)
