"""What is kept of a measurement beside its lesion: the sizes, and the mask in some bytes."""

from __future__ import annotations

import struct
import zlib
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import LesionSearchError
from retrieval.measured_size import MEASURES, MeasuredSizes, MeasuredValue
from retrieval.segmentation.diameters import contours_of
from retrieval.segmentation.measuring import LesionMeasurement

_MAGIC = b"LM01"
_HEAD = struct.Struct("<4s6i")
LARGEST_SIDE = 1 << 15
LARGEST_VOXELS = 1 << 28


class KeptMaskError(LesionSearchError):
    """Bytes that are no mask."""


@dataclass(frozen=True, eq=False)
class KeptMask:
    """A lesion's mask, cut to its extent.

    Attributes:
        mask: (slices, rows, columns) of the display grid: slices from the feet to the head.
        key: position in ``mask`` of the lesion's key slice; outside of it where the mask has
            nothing there.
        corner: (x, y) in the whole slice of the first column and row.
    """

    mask: NDArray[np.bool_]
    key: int
    corner: tuple[int, int]

    @classmethod
    def of(cls, found: LesionMeasurement) -> Self:
        """The mask of a measurement."""
        mask = found.lesion.mask
        spans = []
        for axis in range(3):
            held = np.flatnonzero(mask.any(axis=tuple(set(range(3)) - {axis})))
            spans.append(slice(int(held[0]), int(held[-1]) + 1))
        z, y, x = spans
        key = found.slab.key_slice - found.lesion.first - z.start
        return cls(mask[z, y, x], key, (x.start, y.start))

    def pack(self) -> bytes:
        """Its bytes: a head and compressed bits."""
        head = _HEAD.pack(_MAGIC, *self.mask.shape, self.key, *self.corner)
        return head + zlib.compress(np.packbits(self.mask).tobytes(), 9)

    @classmethod
    def unpack(cls, packed: bytes) -> Self:
        """The inverse of ``pack``; raises KeptMaskError."""
        try:
            magic, slices, rows, columns, key, x, y = _HEAD.unpack_from(packed)
        except struct.error:
            raise KeptMaskError(f"a mask of {len(packed)} bytes is cut off") from None
        shape = (slices, rows, columns)
        voxels = slices * rows * columns
        if magic != _MAGIC or not all(0 < side <= LARGEST_SIDE for side in shape):
            raise KeptMaskError(f"the bytes are no mask: they begin {packed[:8]!r}")
        if voxels > LARGEST_VOXELS:
            raise KeptMaskError(f"the mask claims {voxels} voxels: {LARGEST_VOXELS} are accepted")
        wanted = (voxels + 7) // 8
        try:
            # No more is unpacked than the head speaks of, whatever the bytes stand for.
            bits = zlib.decompressobj().decompress(packed[_HEAD.size :], wanted + 1)
        except zlib.error as wrong:
            raise KeptMaskError(f"the mask is damaged ({wrong})") from None
        if len(bits) != wanted:
            raise KeptMaskError(f"the mask holds {len(bits)} bytes of bits: {wanted} are needed")
        flat = np.unpackbits(np.frombuffer(bits, np.uint8), count=voxels)
        return cls(flat.reshape(shape).astype(np.bool_), key, (x, y))

    def outlines(self) -> list[tuple[int, list[list[list[float]]]]]:
        """For every slice its offset from the key slice (towards the head) and closed paths.

        Points are [x, y] in pixels of the display grid.
        """
        x, y = self.corner
        found = []
        for position, plane in enumerate(self.mask):
            # A margin, so that an outline along the extent closes.
            paths = contours_of(np.pad(plane, 1).astype(np.float32))
            shifted = [
                [[round(float(px) + x - 1, 2), round(float(py) + y - 1, 2)] for px, py in path]
                for path in paths
            ]
            found.append((position - self.key, shifted))
        return found


def sizes_of(found: LesionMeasurement, network: str) -> MeasuredSizes:
    """The sizes of a measurement as they are kept, rounded as they are answered.

    Args:
        found: the measurement.
        network: the fingerprint of the network that it was made with.
    """
    values = {
        name: MeasuredValue.from_json(found.values[name].to_json())
        for name in MEASURES
        if name in found.values
    }
    return MeasuredSizes(
        long_mm=values["long_mm"],
        short_mm=values["short_mm"],
        volume_mm3=values.get("volume_mm3"),
        mean_hu=values["mean_hu"],
        sd_hu=values["sd_hu"],
        method=found.method.value,
        flags=tuple(flag.value for flag in found.flags),
        network=network,
    )
