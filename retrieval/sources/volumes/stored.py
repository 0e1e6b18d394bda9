"""StoredVolume: what a volume file holds, before it is turned into the display grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from retrieval.image import CT_HU, CTError, Slab
from retrieval.sources.axes import DisplayVolume, to_display
from retrieval.sources.intensity.declared import UNDECLARED, DeclaredIntensity
from retrieval.sources.intensity.judgement import require_hu


class VolumeError(CTError):
    """A NIfTI, NRRD or MetaImage file that cannot be read as one axial CT in HU."""


def one_line(wrong: Exception) -> str:
    """What a library says of a file, in one line of bounded length."""
    return " ".join(str(wrong).split())[:200] or type(wrong).__name__


@dataclass(frozen=True)
class StoredVolume:
    """One 3D volume as its file stores it, CT or mask.

    Attributes:
        name: what errors call the file.
        values: (k, j, i): the file's fastest axis last; the file's own numbers, scaled.
        steps_mm: (3, 3): the rows are the steps in mm that one voxel makes along i, j and k, in
            DICOM's patient coordinates (x to the patient's left, y to the back, z to the head).
        origin_mm: (3,): where the centre of voxel (0, 0, 0) lies, in the same coordinates.
        declared: what the header says of the values.
        notes: what a reader should know of how the file was read.
        label_names: value -> name, where a mask names its labels.
    """

    name: str
    values: NDArray[Any]
    steps_mm: NDArray[np.float64]
    origin_mm: NDArray[np.float64]
    declared: DeclaredIntensity = UNDECLARED
    notes: tuple[str, ...] = ()
    label_names: Mapping[int, str] = field(default_factory=dict)

    @property
    def spacing_mm(self) -> tuple[float, float, float]:
        """Millimetres per voxel along i, j and k."""
        i_mm, j_mm, k_mm = (float(length) for length in np.linalg.norm(self.steps_mm, axis=1))
        return i_mm, j_mm, k_mm

    def display(self) -> DisplayVolume:
        """The values on the display grid, unjudged: for masks. Raises CTError if oblique."""
        return to_display(self.name, self.values, self.steps_mm)

    def slab(self, *, key_slice: int | None = None, assume_hu: bool = False) -> Slab:
        """The volume as CT; ``key_slice`` in the file grid, the middle one if None.

        NaN outside the field of view (in every slice joined to its edge) stands for air.

        Raises:
            VolumeError: other values that are not finite.
            NotHounsfieldError: values that are no HU, unless ``assume_hu``.
            CTError: oblique axes, or no such slice.
        """
        volume, notes = self.display(), self.notes
        if self.values.dtype.kind == "f" and not np.isfinite(self.values).all():
            filled, note = _padded(self.name, volume.values)
            volume, notes = replace(volume, values=filled), (*notes, note)
        slab = volume.slab(self.name, key_slice=key_slice, notes=notes)
        return require_hu(slab, self.name, declared=self.declared, assume_hu=assume_hu)


def _padded(name: str, values: NDArray[Any]) -> tuple[NDArray[Any], str]:
    """(slices, rows, columns) with air for the NaN outside the field of view, and what to say.

    Raises VolumeError for NaN within the picture, and for infinite values.
    """
    missing = np.isnan(values)
    inside = int(np.count_nonzero(np.isinf(values)))
    for plane in missing:
        if plane.any():
            inside += _enclosed(plane)
    if inside or missing.all():
        raise VolumeError(
            f"{name} holds {inside or missing.size} values within the picture that are NaN or "
            "infinite: finite HU are read; write -1024 where nothing was scanned"
        )
    share = float(missing.mean())
    padding = np.asarray(CT_HU.padding, values.dtype)
    note = f"{name} holds NaN for {share:.0%} of its voxels, outside the field of view: read as air"
    return np.where(missing, padding, values), note


def _enclosed(missing: NDArray[np.bool_]) -> int:
    """How many marked pixels of a slice are not joined to its edge."""
    _, labels = cv2.connectedComponents(missing.astype(np.uint8), connectivity=8)
    edge = np.unique(np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]]))
    return int(np.count_nonzero(missing & ~np.isin(labels, edge)))
