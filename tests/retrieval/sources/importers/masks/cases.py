"""A body with lesions, and masks of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from retrieval.sources.importers.masks.importing import MaskOptions, MasksReport, import_masks
from tests.retrieval.sources.volumes.bodies import body, stored_image, written

SIZE = (9, 60, 64)


def ball(center: tuple[int, int, int], radius: float) -> np.ndarray:
    """(slices, rows, columns), True within ``radius`` pixels of a point (z, y, x); flat in z."""
    z, y, x = np.indices(SIZE)
    return np.hypot(y - center[1], x - center[2]) <= radius - 1.5 * abs(z - center[0])


LESIONS = [((2, 20, 20), 6), ((6, 40, 44), 8), ((5, 15, 50), 4)]


def mask_of(*numbers: int) -> np.ndarray:
    """A label volume on the display grid: lesion n has the label n + 1."""
    mask = np.zeros(SIZE, np.int16)
    for number in numbers:
        mask[ball(*LESIONS[number])] = number + 1
    return mask


def case(
    folder: Path, name: str, mask: np.ndarray, ending: str = ".nii.gz", mask_name: str = "{}_mask"
) -> None:
    """An image and its mask in one folder."""
    folder.mkdir(parents=True, exist_ok=True)
    written(stored_image(body(size=SIZE)), folder / f"{name}{ending}")
    written(stored_image(mask), folder / f"{mask_name.format(name)}{ending}")


def imported(images: Path, masks: Path, out: Path, **options: object) -> MasksReport:
    return import_masks(images, masks, out, MaskOptions(**options))  # type: ignore[arg-type]
