"""A picture of an archive: key slices with their boxes, and lesions close up."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from retrieval.image import CT_HU, Slab, apply_window, key_slice_picture
from retrieval.lesion import Lesion, LesionType
from retrieval.patch import PatchSpec, extract_patch
from retrieval.sources.archive import Archive
from retrieval.sources.errors import ArchiveError

TILE_PX, CLOSE_UP_MM, PAIRS_PER_ROW = 256, 80, 3


def contact_sheet(archive: Archive, path: Path, *, count: int, seed: int) -> None:
    """Writes a PNG with ``count`` lesions drawn by the seed: whole key slice and close-up.

    Lung lesions are shown in the lung window, bone lesions in the bone window, others in the
    soft-tissue window. Works for any archive, so that phantoms can be held against real CT.

    Raises:
        ArchiveError: the archive has no lesion, or the picture cannot be written.
    """
    lesions = list(archive.lesions)
    if not lesions:
        raise ArchiveError(f"archive {archive.root} has no lesions to show: choose another")
    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(lesions), min(count, len(lesions)), replace=False)
    pairs = [_pair(archive, lesions[int(position)]) for position in chosen]
    blank = np.zeros_like(pairs[0])
    pairs += [blank] * (-len(pairs) % PAIRS_PER_ROW)
    rows = [
        np.hstack(pairs[start : start + PAIRS_PER_ROW])
        for start in range(0, len(pairs), PAIRS_PER_ROW)
    ]
    if not cv2.imwrite(str(path), np.vstack(rows)):
        raise ArchiveError(f"picture {path} cannot be written: check the folder and its space")


def _pair(archive: Archive, lesion: Lesion) -> NDArray[np.uint8]:
    slab = archive.slab(lesion, half_depth_mm=0.0)
    low, high = CT_HU.windows[_window_name(lesion.lesion_type)]
    whole = _whole(slab, lesion, (low, high))
    spec = PatchSpec(size_px=TILE_PX, mm_px=CLOSE_UP_MM / TILE_PX, slices=1)
    patch = extract_patch(slab, lesion.box, spec).hu[0]
    close = np.asarray(np.rint(apply_window(patch, low, high) * 255), np.uint8)
    return np.hstack([whole, cv2.cvtColor(close, cv2.COLOR_GRAY2BGR)]).astype(np.uint8)


def _window_name(lesion_type: LesionType) -> str:
    names = {LesionType.LUNG: "lung", LesionType.BONE: "bone"}
    return names.get(lesion_type, "soft tissue")


def _whole(slab: Slab, lesion: Lesion, window: tuple[float, float]) -> NDArray[np.uint8]:
    grey = key_slice_picture(slab, *window)
    factor = TILE_PX / max(grey.shape)
    size = round(slab.columns * factor), round(slab.rows * factor)
    small = cv2.cvtColor(cv2.resize(grey, size, interpolation=cv2.INTER_AREA), cv2.COLOR_GRAY2BGR)
    box = lesion.box.scaled(factor, factor)
    corners = [round(edge) for edge in box.to_list()]
    cv2.rectangle(small, (corners[0], corners[1]), (corners[2], corners[3]), (0, 220, 255), 1)
    tile = np.zeros((TILE_PX, TILE_PX, 3), np.uint8)
    tile[: small.shape[0], : small.shape[1]] = small
    return tile
