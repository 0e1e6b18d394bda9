"""Filters of slices in the frequency domain, with frequencies in cycles per millimetre."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import irfft2, rfft2

Planes = NDArray[np.float32]
Frequencies = NDArray[np.float64]


@lru_cache(maxsize=32)
def radial_frequencies(rows: int, columns: int, x_mm: float, y_mm: float) -> Frequencies:
    """(rows, columns // 2 + 1): cycles per mm of every coefficient of ``scipy.fft.rfft2``."""
    down = np.fft.fftfreq(rows, y_mm)[:, None]
    across = np.fft.rfftfreq(columns, x_mm)[None, :]
    return np.asarray(np.hypot(down, across))


def filtered(
    planes: Planes,
    spacing_mm_px: tuple[float, float],
    transfer: Callable[[Frequencies], Frequencies],
    *,
    margin_mm: float = 0.0,
) -> Planes:
    """Every slice with its frequencies multiplied by ``transfer``.

    Args:
        planes: (slices, rows, columns).
        spacing_mm_px: along (x, y).
        transfer: cycles per mm to a factor.
        margin_mm: how far the edge is mirrored outwards first, so that opposite edges do not mix.
    """
    pad = [round(margin_mm / spacing) for spacing in reversed(spacing_mm_px)]
    pad = [min(width, side - 1) for width, side in zip(pad, planes.shape[1:], strict=True)]
    wide = np.pad(planes, ((0, 0), (pad[0], pad[0]), (pad[1], pad[1])), mode="symmetric")
    rows, columns = wide.shape[1:]
    factors = transfer(radial_frequencies(rows, columns, *spacing_mm_px)).astype(np.float32)
    spectrum = rfft2(wide.astype(np.float32, copy=False), axes=(1, 2)) * factors
    out = irfft2(spectrum, s=(rows, columns), axes=(1, 2))
    inner = out[:, pad[0] : rows - pad[0], pad[1] : columns - pad[1]]
    return np.ascontiguousarray(inner, np.float32)
