"""Where a NIfTI volume lies: its sform and its qform, which must say the same.

A NIfTI header may place the voxels twice: by the qform (a rotation and the voxel size, from the
scanner) and by the sform (any affine matrix). Tools choose differently between them, so that where
the two disagree about a side of the body, half of all tools show the picture mirrored.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.sources.volumes.stored import VolumeError, one_line

MAX_LENGTH_DIFFERENCE = 0.01
"""Voxel sizes of qform, sform and pixdim may differ by this part."""

TOO_LONG_MM = 100.0
"""No voxel of a CT is as long: another unit, or a spoilt header."""

TOLD_ANGLE_DEGREES = 1.0
"""A turn of the sform against the qform that is worth a note."""

_TO_LPS = np.array([-1.0, -1.0, 1.0])
"""NIfTI's x runs to the right and y to the front; DICOM's to the left and to the back."""

Placed = tuple[NDArray[np.float64], NDArray[np.float64], tuple[str, ...]]


def placed(name: str, header: Any) -> Placed:
    """Steps along i, j, k (3, 3) and origin (3,), both LPS in mm, and notes.

    Raises:
        VolumeError: no orientation, sform and qform contradict each other, two voxel sizes, or
            another unit than mm.
    """
    unit = _unit(header)
    if unit not in {"mm", "unknown"}:
        raise VolumeError(f"{name} measures in {unit!r}: millimetres are read; convert it")
    sform, s_code = header.get_sform(coded=True)
    qform, q_code = _qform(name, header)
    if int(s_code) <= 0 and int(q_code) <= 0:
        raise VolumeError(
            f"{name} says nothing of its orientation (qform and sform codes are 0): left and "
            "right would be a guess; write one of them"
        )
    notes = _compared(name, sform, qform) if int(s_code) > 0 and int(q_code) > 0 else ()
    affine = np.asarray(sform if int(s_code) > 0 else qform, np.float64)
    steps = affine[:3, :3].T * _TO_LPS
    if not np.isfinite(affine).all():
        raise VolumeError(f"{name} has numbers in its orientation that are not finite")
    _check_lengths(name, steps, np.asarray(header["pixdim"][1:4], np.float64))
    return steps, affine[:3, 3] * _TO_LPS, notes


def _unit(header: Any) -> str:
    try:
        return str(header.get_xyzt_units()[0])
    except KeyError:
        return f"unit {int(header['xyzt_units'])}"


def _qform(name: str, header: Any) -> tuple[Any, int]:
    try:
        with np.errstate(all="ignore"):  # numbers that are none are refused by those who read them
            affine, code = header.get_qform(coded=True)
    except ValueError as wrong:
        raise VolumeError(f"{name} has a qform that is no rotation: {one_line(wrong)}") from None
    return affine, int(code)


def _check_lengths(name: str, steps: NDArray[np.float64], stated: NDArray[np.float64]) -> None:
    lengths = np.linalg.norm(steps, axis=1)
    if not (np.isfinite(steps).all() and (lengths > 0).all() and (lengths < TOO_LONG_MM).all()):
        raise VolumeError(
            f"{name} has the voxel size {lengths.round(4).tolist()} mm: three lengths above 0 "
            f"and below {TOO_LONG_MM:g} are accepted"
        )
    stated = np.abs(stated)
    if (np.abs(lengths - stated) > MAX_LENGTH_DIFFERENCE * lengths).any():
        raise VolumeError(
            f"{name} says two voxel sizes: pixdim {stated.round(4).tolist()} mm, orientation "
            f"{lengths.round(4).tolist()} mm; write the right one into both"
        )


def _compared(name: str, sform: Any, qform: Any) -> tuple[str, ...]:
    first, second = (np.asarray(affine, np.float64)[:3, :3].T for affine in (sform, qform))
    if not (np.isfinite(first).all() and np.isfinite(second).all()):
        raise VolumeError(f"{name} has numbers in sform or qform that are not finite")
    cosines = (first * second).sum(axis=1) / np.maximum(
        np.linalg.norm(first, axis=1) * np.linalg.norm(second, axis=1), 1e-12
    )
    angle = float(np.degrees(np.arccos(np.clip(cosines.min(), -1, 1))))
    if angle > 45:
        raise VolumeError(
            f"{name} contradicts itself: by its sform the axes run to {_codes(first)}, by its "
            f"qform to {_codes(second)}; set the code of the wrong one to 0"
        )
    if angle > TOLD_ANGLE_DEGREES:
        return (f"{name}: sform and qform differ by {angle:.1f} degrees; the sform is followed",)
    return ()


def _codes(steps: NDArray[np.float64]) -> str:
    """Where the axes i, j, k run to, as R, A, S or L, P, I; ``steps`` in NIfTI's x, y, z."""
    names = ("LR", "PA", "IS")
    axes = np.abs(steps).argmax(axis=1)
    return ", ".join(
        names[axis][int(step[axis] > 0)] for axis, step in zip(axes, steps, strict=True)
    )
