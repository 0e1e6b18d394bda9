"""Where a lesion should lie in a series by registering both scans: SimpleITK, rigid then affine.

The slices about the lesion are laid on the searched series, from the place that the body position
tells. Needs the extra ``registration``.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any

import numpy as np

from retrieval.image import Slab
from retrieval.lesion import Lesion
from retrieval.position.frame import body_frame
from retrieval.position.locator import SeriesPosition
from retrieval.tracking.edges import NOMINAL_BODY_MM
from retrieval.tracking.following.expected import ExpectedPlace, PlaceSource

GRID_MM = 4.0
"""Both scans are registered on a grid of this spacing: the place is wanted to a centimetre."""

WINDOW_HU = (-200.0, 300.0)
LEAST_DEPTH_MM = 12.0
LEAST_CORRELATION = 0.7
"""Of the registered slices with the series. Less is no registration: the place stays as it was."""

ERROR_MM = 8.0
"""Standard error of a registered place along each axis; an assumption, not fitted."""

STEPS = 60


def is_registration_there() -> bool:
    """Whether SimpleITK is installed."""
    return find_spec("SimpleITK") is not None


@dataclass(frozen=True)
class Registration:
    """Places a lesion by its own slices; a ``Placing`` of ``retrieval.tracking.following.search``.

    Attributes:
        lesion: with its box in the file grid of ``own``.
        own: the slices about it, it being on the key slice.
        series: the slab that is searched.
    """

    lesion: Lesion
    own: Slab
    series: Slab

    def __call__(self, heights: SeriesPosition, expected: ExpectedPlace) -> ExpectedPlace | None:
        """The registered place; None where the scans cannot be laid on each other."""
        if len(self.own.hu) * self.own.slice_interval_mm < LEAST_DEPTH_MM:
            return None
        start = self._start(heights, expected)
        if start is None:
            return None
        point_mm = self._registered(start)
        return None if point_mm is None else self._place(point_mm, heights)

    def _start(self, heights: SeriesPosition, expected: ExpectedPlace) -> np.ndarray | None:
        """The expected place in mm of the searched series."""
        known = [
            (abs(one.place.location[2] - expected.location[2]), at)
            for at, one in enumerate(heights.slices)
            if one.place is not None
        ]
        at = min(known)[1]
        frame = body_frame(self.series.hu[at])
        if frame is None:
            return None
        x, y = frame.point_at(*expected.location[:2])
        return np.asarray(np.array([x, y, at]) * _steps_mm(self.series))

    def _registered(self, start_mm: np.ndarray) -> np.ndarray | None:
        sitk: Any = import_module("SimpleITK")
        center = self.own.display_box(self.lesion.box).center
        lesion_mm = np.array([*center, self.own.key_slice]) * _steps_mm(self.own)
        fixed, moving = _image(sitk, self.own), _image(sitk, self.series)
        rigid = sitk.Euler3DTransform()
        rigid.SetCenter(lesion_mm.tolist())
        rigid.SetTranslation((start_mm - lesion_mm).tolist())
        affine = sitk.AffineTransform(3)
        transform: Any = rigid
        try:
            transform = _optimised(sitk, fixed, moving, rigid)
            affine.SetCenter(lesion_mm.tolist())
            affine.SetMatrix(transform.GetMatrix())
            affine.SetTranslation(transform.GetTranslation())
            transform = _optimised(sitk, fixed, moving, affine)
        except RuntimeError:
            # No overlap, or nothing to lay on each other.
            return None
        if _correlation(sitk, fixed, moving, transform) < LEAST_CORRELATION:
            return None
        found: np.ndarray = np.array(transform.TransformPoint(lesion_mm.tolist()))
        return found

    def _place(self, point_mm: np.ndarray, heights: SeriesPosition) -> ExpectedPlace | None:
        x, y, depth = point_mm / _steps_mm(self.series)
        at = round(float(depth))
        if not 0 <= at < len(heights.slices):
            return None
        place, frame = heights.slices[at].place, body_frame(self.series.hu[at])
        if place is None or frame is None:
            return None
        across, down = frame.normalised((float(x), float(y)))
        x_error, y_error, z_error = (ERROR_MM / side for side in NOMINAL_BODY_MM)
        return ExpectedPlace(
            (across, down, place.location[2]),
            (x_error, y_error, z_error),
            PlaceSource.REGISTRATION,
        )


def _steps_mm(slab: Slab) -> np.ndarray:
    return np.array([*slab.spacing_mm_px, slab.slice_interval_mm])


def _image(sitk: Any, slab: Slab) -> Any:
    low, high = WINDOW_HU
    image = sitk.GetImageFromArray(np.clip(slab.hu, low, high))
    steps = _steps_mm(slab)
    image.SetSpacing(steps.tolist())
    wanted = np.maximum(steps, GRID_MM)
    size = np.maximum(np.round(np.array(image.GetSize()) * steps / wanted), 1).astype(int)
    smooth = (
        sitk.SmoothingRecursiveGaussian(image, (wanted / 2).tolist())
        if min(image.GetSize()) >= 4
        else image
    )
    return sitk.Resample(
        smooth,
        size.tolist(),
        sitk.Transform(),
        sitk.sitkLinear,
        image.GetOrigin(),
        wanted.tolist(),
        image.GetDirection(),
        low,
        sitk.sitkFloat32,
    )


def _optimised(sitk: Any, fixed: Any, moving: Any, transform: Any) -> Any:
    method = sitk.ImageRegistrationMethod()
    method.SetMetricAsCorrelation()
    method.SetInterpolator(sitk.sitkLinear)
    method.SetOptimizerAsRegularStepGradientDescent(
        learningRate=4.0, minStep=0.05, numberOfIterations=STEPS
    )
    method.SetOptimizerScalesFromPhysicalShift()
    method.SetShrinkFactorsPerLevel([2, 1])
    method.SetSmoothingSigmasPerLevel([2.0, 0.0])
    method.SetNumberOfThreads(1)
    method.SetInitialTransform(transform, inPlace=True)
    method.Execute(fixed, moving)
    return transform


def _correlation(sitk: Any, fixed: Any, moving: Any, transform: Any) -> float:
    low = WINDOW_HU[0]
    laid = sitk.Resample(moving, fixed, transform, sitk.sitkLinear, low - 1.0)
    own, other = sitk.GetArrayViewFromImage(fixed), sitk.GetArrayViewFromImage(laid)
    both = other >= low
    if both.mean() < 0.5 or np.ptp(own[both]) == 0 or np.ptp(other[both]) == 0:
        return 0.0
    return float(np.corrcoef(own[both], other[both])[0, 1])
