"""The identity of a slice's pixels, whatever the file that holds them is called or coded in.

The hash is SHA-256 over, in this order:

1. the text ``lesion-search slice 1`` and a line feed;
2. rows and columns, each as an unsigned 32-bit integer, little-endian;
3. the slice of the display grid in Hounsfield units, rounded to whole units (halves to the even
   one) and clipped to [-1024, 3071], as signed 16-bit integers, little-endian, row by row.

PNG and DICOM hold whole HU, NIfTI whole ones or floats beside them: rounding makes them one.
Clipping makes one of what scanners and converters write outside the scanned circle. Spacing is
left out, because a picture may be sent without it.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray

from retrieval.image import CT_HU, CTError

IDENTIFYING_VALUES = 64
"""A slice with fewer different HU (air, a uniform test object) tells nothing of its patient."""

_NAME = b"lesion-search slice 1\n"


def pixel_hash(plane: NDArray[np.floating | np.integer]) -> str:
    """The hash of a slice (rows, columns) in HU as 64 hexadecimal digits.

    Raises CTError if a value is not a number.
    """
    return _hash_of(_whole_hu(plane))


def turned_hashes(plane: NDArray[np.floating | np.integer]) -> tuple[str, ...]:
    """The hashes of a slice (rows, columns) in the seven other ways to turn and mirror it.

    A picture without a header (PNG) does not say which way up it is. Errors are those of
    ``pixel_hash``.
    """
    whole = _whole_hu(plane)
    turned = [np.rot90(side, turns) for side in (whole, whole[:, ::-1]) for turns in range(4)]
    return tuple(map(_hash_of, turned[1:]))


def is_identifying(plane: NDArray[np.floating | np.integer]) -> bool:
    """Whether equal pixels mean the same scan: False for a slice of hardly any content."""
    used = np.zeros(int(CT_HU.high - CT_HU.low) + 1, dtype=bool)
    used[_whole_hu(plane).astype(np.intp) - int(CT_HU.low)] = True
    return int(used.sum()) >= IDENTIFYING_VALUES


def _hash_of(whole: NDArray[np.int16]) -> str:
    digest = hashlib.sha256(_NAME + np.array(whole.shape, "<u4").tobytes())
    digest.update(whole.tobytes())
    return digest.hexdigest()


def _whole_hu(plane: NDArray[np.floating | np.integer]) -> NDArray[np.int16]:
    if plane.ndim != 2:
        raise CTError(f"a slice has the shape {plane.shape}: (rows, columns) is needed")
    if not np.isfinite(plane).all():
        raise CTError("the slice holds values that are not numbers: repair the file")
    return np.ascontiguousarray(np.clip(np.rint(plane), CT_HU.low, CT_HU.high), dtype="<i2")
