"""BodyLocator: where in the body a slice or a box lies, in DeepLesion's terms, with its error."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from retrieval.body import BodyRegion, body_region
from retrieval.image import Slab
from retrieval.lesion import Box, LesionSearchError
from retrieval.position.calibration import CalibrationError, HeightCalibration
from retrieval.position.frame import body_frame
from retrieval.position.narrow_field import CutField, cut_field, estimated_error
from retrieval.position.network import UNIT_MM, HeightNetwork
from retrieval.position.network_file import load_height_network
from retrieval.position.order import SeriesCheck, SliceOrder, check_series, level_scores
from retrieval.position.picture import PictureSpec, slice_picture

WEIGHTS = Path(__file__).parents[1] / "weights"
BUNDLED_POSITION = WEIGHTS / "position.safetensors"
BUNDLED_CALIBRATION = WEIGHTS / "position.json"

BATCH = 32
BOX_SLICES = 9
"""So many slices of a slab, evenly spaced and with the key slice, tell the height of a box."""

Progress = Callable[[int, int], None]
"""Called with slices done and slices in all."""

Location = tuple[float, float, float]


class NoBodyError(LesionSearchError):
    """A slice on which no body can be found has no position in one."""


@dataclass(frozen=True, slots=True)
class LocatedPoint:
    """A place in the body.

    Attributes:
        location: DeepLesion's (x, y, z) in [0, 1].
        location_error: half of all estimates lie within this of the truth, along x, y and z.
        location_error_90: nine of ten do.
    """

    location: Location
    location_error: Location
    location_error_90: Location


@dataclass(frozen=True, slots=True)
class SlicePosition:
    """One slice: the place of the middle of its body; None where it shows no body.

    Attributes:
        index: the file's own number of the slice.
        place: location and error of the middle of the body on that slice.
        score_mm: the network's height, in millimetres towards the head.
    """

    index: int
    place: LocatedPoint | None
    score_mm: float


@dataclass(frozen=True)
class SeriesPosition:
    """Every slice of a slab, and what their heights say of the series.

    Attributes:
        slices: in the slab's order, from feet to head.
        check: order, breaks and slice interval.
        is_reversed: slabs run from feet to head by what their file states, this one does not.
    """

    slices: tuple[SlicePosition, ...]
    check: SeriesCheck
    is_reversed: bool


class BodyLocator:
    """A height network with its calibration."""

    def __init__(
        self, network: HeightNetwork, spec: PictureSpec, calibration: HeightCalibration
    ) -> None:
        self.network, self.spec, self.calibration = network.folded(), spec, calibration

    @classmethod
    def load(cls, path: Path | None = None, calibration: Path | None = None) -> BodyLocator:
        """The bundled network and calibration, or those of files.

        Raises:
            PositionModelError, CalibrationError: missing, damaged, or of two different networks.
        """
        network, spec, header = load_height_network(path or BUNDLED_POSITION)
        read = HeightCalibration.read(calibration or BUNDLED_CALIBRATION)
        if read.fingerprint != header["fingerprint"]:
            raise CalibrationError(
                f"calibration is of network {read.fingerprint}, the weights are "
                f"{header['fingerprint']}: calibrate these weights"
            )
        return cls(network, spec, read)

    def scores_mm(
        self,
        hu: NDArray[np.float32],
        spacing_mm_px: tuple[float, float],
        *,
        progress: Progress | None = None,
    ) -> NDArray[np.float64]:
        """(slices,) heights in mm towards the head; NaN where a slice shows no body."""
        return self._look(hu, spacing_mm_px, progress)[0]

    def _look(
        self,
        hu: NDArray[np.float32],
        spacing_mm_px: tuple[float, float],
        progress: Progress | None = None,
    ) -> tuple[NDArray[np.float64], list[BodyRegion | None]]:
        """The scores, and the body on each slice."""
        scores = np.full(len(hu), np.nan)
        regions = []
        for first in range(0, len(hu), BATCH):
            batch = hu[first : first + BATCH]
            seen = [body_region(plane, spacing_mm_px) for plane in batch]
            pictures = [
                slice_picture(plane, spacing_mm_px, region, self.spec)
                for plane, region in zip(batch, seen, strict=True)
                if region is not None
            ]
            if pictures:
                with torch.inference_mode():
                    raw = self.network(torch.from_numpy(np.stack(pictures)))
                shown = [first + at for at, region in enumerate(seen) if region is not None]
                scores[shown] = raw.double().numpy() * UNIT_MM
            regions += seen
            if progress:
                progress(len(regions), len(hu))
        return scores, regions

    def locate(
        self,
        slab: Slab,
        *,
        progress: Progress | None = None,
    ) -> SeriesPosition:
        """Every slice of a slab.

        A sound series is put on its own line of height over millimetres, so that its slices share
        their error and none goes astray alone.

        Args:
            slab: one slice or many.
            progress: told of slices done.
        """
        scores, regions = self._look(slab.hu, slab.spacing_mm_px, progress)
        check, leveled = _leveled(scores, np.arange(len(scores)), slab.slice_interval_mm)
        slices = []
        for position, region in enumerate(regions):
            place = None
            if region is not None:
                height = float(leveled[position])
                narrow = cut_field(slab.hu[position], slab.spacing_mm_px, region)
                place = self._point(slab.hu[position], region.box.center, height, narrow)
            index = slab.grid.to_file_slice(position)
            slices.append(SlicePosition(index, place, float(scores[position])))
        return SeriesPosition(tuple(slices), check, check.order is SliceOrder.HEAD_FIRST)

    def locate_box(self, slab: Slab, box: Box) -> LocatedPoint:
        """The middle of a box of the display grid on the slab's key slice.

        Raises:
            NoBodyError: the key slice shows no body.
        """
        others = np.linspace(0, len(slab.hu) - 1, min(BOX_SLICES, len(slab.hu))).round()
        chosen = np.unique(np.append(others.astype(int), slab.key_slice))
        scores, regions = self._look(slab.hu[chosen], slab.spacing_mm_px)
        _, leveled = _leveled(scores, chosen, slab.slice_interval_mm)
        key = int(np.flatnonzero(chosen == slab.key_slice)[0])
        plane = slab.hu[slab.key_slice]
        narrow = cut_field(plane, slab.spacing_mm_px, regions[key])
        found = self._point(plane, box.center, float(leveled[key]), narrow)
        if found is None:
            raise NoBodyError(
                f"slice {slab.key_slice_index} shows no body: "
                "choose another slice, or check that the values are Hounsfield units"
            )
        return found

    def _point(
        self,
        hu: NDArray[np.float32],
        point: tuple[float, float],
        score_mm: float,
        narrow: CutField | None,
    ) -> LocatedPoint | None:
        frame = body_frame(hu)
        if frame is None or not np.isfinite(score_mm):
            return None
        x, y = frame.normalised(point)
        z = float(self.calibration.z_of(np.array(score_mm)))
        error = self.calibration.error_at(z)
        if narrow is not None:
            error = error.with_more(estimated_error(narrow))
        return LocatedPoint((x, y, z), error.half, error.most)


def _leveled(
    scores: NDArray[np.float64], positions: NDArray[np.int_], interval_mm: float
) -> tuple[SeriesCheck, NDArray[np.float64]]:
    """The check of the slices that show a body, and all their scores on the series' line."""
    seen = np.isfinite(scores)
    heights = np.asarray(positions[seen] * interval_mm, np.float64)
    check = check_series(scores[seen], heights)
    leveled = scores.copy()
    leveled[seen] = level_scores(scores[seen], heights, check)
    return check, leveled
