"""A mask of any format as one array a label, on the voxels of its image."""

from __future__ import annotations

import numpy as np
from pydicom.uid import RTStructureSetStorage

from retrieval.sources.importers.masks.found import FoundMask
from retrieval.sources.importers.masks.placed import LabelMask, PlacedImage, laid_on
from retrieval.sources.importers.masks.segments import segment_masks
from retrieval.sources.importers.masks.structures import structure_masks
from retrieval.sources.importers.source import ImporterError
from retrieval.sources.volumes.reading import read_mask
from retrieval.sources.volumes.stored import StoredVolume

MAX_LABELS = 256
"""More different values are no mask but an image."""


def label_masks(found: FoundMask, image: PlacedImage) -> list[LabelMask]:
    """Each label of a mask, by its name or number; one that covers nothing says why in its note.

    Raises:
        ImporterError: it does not lie on the image's voxels, or is no mask.
        CTError: its file cannot be read.
    """
    if found.sop_class == str(RTStructureSetStorage):
        return structure_masks(found.file, image)
    if found.sop_class:
        return segment_masks(found.file, image)
    return [one for layer in read_mask(found.file) for one in _of_volume(layer, image)]


def _of_volume(volume: StoredVolume, image: PlacedImage) -> list[LabelMask]:
    values = np.unique(volume.values)
    if len(values) > MAX_LABELS or not np.isfinite(values).all():
        raise ImporterError(
            f"{volume.name} holds {len(values)} different values: a mask has 0 outside and a whole "
            "number for each label"
        )
    wrong = values[(values != np.rint(values)) | (values < 0)]
    if wrong.size:
        raise ImporterError(
            f"{volume.name} holds {float(wrong[0]):g}: a mask has 0 outside and a whole "
            "number for each label; cut probabilities at 0.5 first"
        )
    laid = laid_on(image, volume)
    names = volume.label_names
    note = ""
    if volume.values.shape != image.shape:
        sizes = (" x ".join(map(str, shape[::-1])) for shape in (volume.values.shape, image.shape))
        note = f"{volume.name} has {next(sizes)} voxels, {image.name} {next(sizes)}"
    return [
        LabelMask(names.get(int(value), str(int(value))), laid == value, note)
        for value in values
        if value != 0
    ]
