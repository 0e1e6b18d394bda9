"""8-bit pictures of slices, taken for HU under the soft-tissue window, on the user's word alone."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np

from retrieval.image import CTError, Slab

ASSUMED_WINDOW = (-175.0, 275.0)
"""HU that black and white are taken for: the window of DeepLesion's and NIH's pictures."""

MAX_SIDE_PX = 4096


class GreyPictureError(CTError):
    """A picture that cannot be taken for a windowed slice."""


def is_grey_picture(path: Path) -> bool:
    """Whether a file is a PNG of 8 bits a channel (its header's 25th byte)."""
    if not path.is_file():
        return False
    with path.open("rb") as file:
        head = file.read(25)
    return len(head) == 25 and head.startswith(b"\x89PNG\r\n\x1a\n") and head[24] == 8


def read_grey_picture(path: Path, spacing_mm_px: tuple[float, float]) -> Slab:
    """One slice of assumed HU: black is -175, white 275, linear between.

    Raises:
        GreyPictureError: not decodable, in colour, too large, or a spacing that is not positive.
    """
    if not all(np.isfinite(length) and length > 0 for length in spacing_mm_px):
        raise GreyPictureError(f"spacing {list(spacing_mm_px)} mm: numbers above 0 are needed")
    encoded = np.frombuffer(path.read_bytes(), np.uint8)
    columns, rows = (int.from_bytes(encoded[at : at + 4].tobytes(), "big") for at in (16, 20))
    if max(columns, rows) > MAX_SIDE_PX:
        raise GreyPictureError(f"{path.name} has {columns} x {rows} pixels: at most {MAX_SIDE_PX}")
    pixels = cv2.imdecode(encoded, cv2.IMREAD_UNCHANGED)
    if pixels is None:
        raise GreyPictureError(f"{path.name} is a damaged PNG: copy it again")
    if pixels.ndim == 3:
        colours = pixels[:, :, :3]
        if np.any(colours != colours[:, :, :1]):
            raise GreyPictureError(f"{path.name} is in colour: a grey picture of a slice is needed")
        pixels = colours[:, :, 0]
    low, high = ASSUMED_WINDOW
    hu = low + pixels.astype(np.float32) * np.float32((high - low) / 255)
    return Slab(hu[None], spacing_mm_px, slice_interval_mm=1.0)
