"""One whole patient: every study's slices about its key slices, and the table's rows."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import Split
from retrieval.sources.deeplesion.series_images import SeriesImages
from retrieval.sources.deeplesion.writer import ArchiveRow
from retrieval.synthesis.phantom.acquisition import Acquisition
from retrieval.synthesis.phantom.body.anatomy import Anatomy
from retrieval.synthesis.phantom.body.painting import PaintedSlice, Shown, paint_slice
from retrieval.synthesis.phantom.config import PhantomConfig, PhantomError
from retrieval.synthesis.phantom.lesions.appearance import Appearance, lesion_pixels, reach_mm
from retrieval.synthesis.phantom.lesions.history import (
    PatientHistory,
    TrackedLesion,
    draw_history,
    seen_in,
)
from retrieval.synthesis.phantom.lesions.marking import PhantomMark, area_px, mark_lesion
from retrieval.synthesis.phantom.scanning import scan

ATTEMPTS = 20
SMALLEST_MARK_MM = 4.5
LEAST_VISIBLE_SHARE = 0.5
"""A lesion hidden more than this behind bone or outside its organ is left unmarked."""


@dataclass(frozen=True)
class MarkedLesion:
    """A row of the table with the truth beside it."""

    row: ArchiveRow
    track_id: str
    attributes: dict[str, float]


@dataclass(frozen=True)
class PhantomPatient:
    """Everything that is written of one patient."""

    number: int
    images: tuple[SeriesImages, ...]
    lesions: tuple[MarkedLesion, ...]


@dataclass(frozen=True)
class LesionStack:
    """A lesion of a phantom on neighbouring slices, with the truth of every pixel.

    Attributes:
        hu: (slices, rows, columns) as scanned, the first slice nearest to the head.
        coverage: of the same shape, how much of each pixel is visible lesion, in [0, 1].
        key_slice: position of the slice that was marked.
    """

    row: ArchiveRow
    hu: NDArray[np.float32]
    coverage: NDArray[np.float32]
    key_slice: int


@dataclass(frozen=True)
class _Sighting:
    """A lesion on the key slice of one study."""

    tracked: TrackedLesion
    seen: Appearance
    study: int
    key_slice: int
    mark: PhantomMark


def make_patient(config: PhantomConfig, number: int) -> PhantomPatient:
    """A patient of the archive; depends on the seed, the image's size and the number alone."""
    for attempt in range(ATTEMPTS):
        studies = _Studies(config, number, attempt)
        sightings = studies.sightings()
        if sightings:
            return studies.written(sightings)
    raise PhantomError(
        f"phantom patient {number} of seed {config.seed} has no visible lesion after {ATTEMPTS} "
        "attempts: choose larger images or another seed"
    )


def lesion_stacks(config: PhantomConfig, number: int, *, most: int) -> list[LesionStack]:
    """Up to ``most`` marked lesions of a patient with their masks; none if nothing is visible."""
    studies = _Studies(config, number, 0)
    return [studies.stack(sighting) for sighting in studies.sightings()[:most]]


class _Studies:
    """One patient's studies; slices are painted once and kept."""

    def __init__(self, config: PhantomConfig, number: int, attempt: int) -> None:
        self._config, self._number, self._attempt = config, number, attempt
        self._anatomy = Anatomy.random(config.generator(number, attempt, 1))
        self._history: PatientHistory = draw_history(
            self._anatomy, config.generator(number, attempt, 2)
        )
        self._taken = [
            Acquisition.random(
                self._anatomy, config.image_size_px, config.generator(number, attempt, 3, study)
            )
            for study in range(len(self._history.study_numbers))
        ]
        self._painted: dict[tuple[int, int], PaintedSlice] = {}

    def sightings(self) -> list[_Sighting]:
        """The lesions that can be marked in every marked study that shows them."""
        found: list[_Sighting] = []
        hidden: set[int] = set()
        for study, marked in enumerate(self._history.marked):
            for tracked, seen in seen_in(self._history.lesions, study) if marked else ():
                sighting = self._sight(tracked, seen, study)
                if sighting is None:
                    hidden.add(tracked.track)
                else:
                    found.append(sighting)
        kept = [sighting for sighting in found if sighting.tracked.track not in hidden]
        return list(_distinct(kept))

    def written(self, sightings: list[_Sighting]) -> PhantomPatient:
        """Rows and slices for the sightings."""
        images: list[SeriesImages] = []
        lesions: list[MarkedLesion] = []
        for study in sorted({sighting.study for sighting in sightings}):
            here = [sighting for sighting in sightings if sighting.study == study]
            half = round(self._config.half_depth_mm / self._taken[study].interval_mm)
            ranges = [(max(s.key_slice - half, 1), s.key_slice + half) for s in here]
            images.extend(self._series(study, ranges))
            lesions.extend(
                self._marked(sighting, extent)
                for sighting, extent in zip(here, ranges, strict=True)
            )
        return PhantomPatient(self._number, tuple(images), tuple(lesions))

    def stack(self, sighting: _Sighting) -> LesionStack:
        """The lesion of a sighting on every slice within the configured depth."""
        half = max(round(self._config.half_depth_mm / self._taken[sighting.study].interval_mm), 1)
        first = max(sighting.key_slice - half, 1)
        run = list(range(first, sighting.key_slice + half + 1))
        hu = self._scan(sighting.study, run).astype(np.float32)
        coverage = np.zeros(hu.shape, np.float32)
        for plane, index in zip(coverage, run, strict=True):
            trace = self._paint(sighting.study, index).traces.get(sighting.tracked.track)
            if trace is not None:
                plane[trace.window] = trace.coverage
        extent = (run[0], run[-1])
        row = self._marked(sighting, extent).row
        return LesionStack(row, hu, coverage, sighting.key_slice - first)

    def _sight(self, tracked: TrackedLesion, seen: Appearance, study: int) -> _Sighting | None:
        key_slice, whole = self._key_slice(tracked, seen, study)
        trace = self._paint(study, key_slice).traces.get(tracked.track)
        if trace is None or area_px(trace) < LEAST_VISIBLE_SHARE * whole:
            return None
        mark = mark_lesion(trace)
        if mark is None or mark.long_px * self._taken[study].mm_px < SMALLEST_MARK_MM:
            return None
        x, y = mark.recist.box().center
        size = self._config.image_size_px
        return (
            _Sighting(tracked, seen, study, key_slice, mark)
            if 0 <= x < size and 0 <= y < size
            else None
        )

    def _key_slice(self, tracked: TrackedLesion, seen: Appearance, study: int) -> tuple[int, float]:
        """The slice with the largest cross-section, and that in pixels, nothing hiding it."""
        lesion, taken = tracked.lesion, self._taken[study]
        middle = taken.slice_near(
            float(lesion.center[2]), rigid=lesion.rigid, anatomy=self._anatomy
        )
        reach = max(
            int(float(lesion.outline.radii_mm.max()) * seen.scale * 0.6 / taken.interval_mm), 1
        )
        step = max(reach // 4, 1)
        best, best_area = middle, -1.0
        for index in range(middle - reach, middle + reach + 1, step):
            grid = taken.grid(index, self._anatomy)
            window = grid.window(
                float(lesion.center[0]), float(lesion.center[1]), reach_mm(lesion, seen.scale)
            )
            if window is None:
                continue
            pixels = lesion_pixels(
                lesion, seen, grid.points.at(window), phase=taken.phase, edge_mm=taken.mm_px
            )
            area = float(pixels.coverage.sum())
            if area > best_area:
                best, best_area = index, area
        return best, best_area

    def _paint(self, study: int, index: int) -> PaintedSlice:
        if (study, index) not in self._painted:
            taken = self._taken[study]
            shown: Shown = [
                (tracked.track, tracked.lesion, seen)
                for tracked, seen in seen_in(self._history.lesions, study)
            ]
            grid = taken.grid(index, self._anatomy)
            self._painted[study, index] = paint_slice(
                self._anatomy, grid, taken.phase, shown, size_px=taken.size_px
            )
        return self._painted[study, index]

    def _series(self, study: int, ranges: list[tuple[int, int]]) -> Iterator[SeriesImages]:
        """The union of the sub-volumes, as runs of neighbouring slices."""
        wanted = sorted({index for first, last in ranges for index in range(first, last + 1)})
        breaks = [0, *(i for i in range(1, len(wanted)) if wanted[i] != wanted[i - 1] + 1)]
        for start, stop in zip(breaks, [*breaks[1:], len(wanted)], strict=True):
            run = wanted[start:stop]
            yield SeriesImages(
                patient=self._number,
                study=self._history.study_numbers[study],
                series=self._history.series_numbers[study],
                first_slice=run[0],
                hu=self._scan(study, run),
            )

    def _scan(self, study: int, run: list[int]) -> NDArray[np.int16]:
        taken = self._taken[study]
        planes = []
        for index in run:
            rng = self._config.generator(self._number, self._attempt, 4, study, index)
            planes.append(scan(self._paint(study, index), self._anatomy, taken, rng))
        return np.stack(planes).astype(np.int16)

    def _marked(self, sighting: _Sighting, extent: tuple[int, int]) -> MarkedLesion:
        history, taken = self._history, self._taken[sighting.study]
        lesion = sighting.tracked.lesion
        size = self._config.image_size_px
        split: Split = self._config.split(self._number)
        row = ArchiveRow(
            patient=self._number,
            study=history.study_numbers[sighting.study],
            series=history.series_numbers[sighting.study],
            key_slice=sighting.key_slice,
            recist=sighting.mark.recist,
            box=sighting.mark.recist.box(),
            location=self._location(sighting),
            lesion_type=lesion.lesion_type,
            split=split,
            spacing_mm_px=(taken.mm_px, taken.mm_px),
            slice_interval_mm=taken.interval_mm,
            slice_range=extent,
            image_size=(size, size),
            gender=history.gender,
            age=history.ages[sighting.study],
        )
        track_id = f"{self._number:06d}_t{sighting.tracked.track:02d}"
        return MarkedLesion(row, track_id, lesion.attributes(sighting.seen.scale))

    def _location(self, sighting: _Sighting) -> tuple[float, float, float]:
        """Position in the body's bounding box on the key slice, and body height."""
        taken, torso = self._taken[sighting.study], self._anatomy.torso
        level = taken.height_of(sighting.key_slice)
        half_width, half_depth, center_y = torso.skin_axes(level)
        middle = (taken.size_px - 1) / 2
        x, y = sighting.mark.recist.box().center
        x_mm = (x - middle) * taken.mm_px - taken.shift_mm[0]
        y_mm = (y - middle) * taken.mm_px - taken.shift_mm[1] - center_y
        place = (
            0.5 + x_mm / (2 * half_width),
            0.5 + y_mm / (2 * half_depth),
            level / torso.height_mm,
        )
        first, second, third = (float(np.clip(value, 0, 1)) for value in place)
        return first, second, third


def _distinct(sightings: list[_Sighting]) -> Iterator[_Sighting]:
    """At most one lesion for a box centre of a slice, as DeepLesion's identities need."""
    clashing: set[int] = set()
    taken: dict[tuple[int, int, int, int], int] = {}
    for sighting in sightings:
        x, y = sighting.mark.recist.box().center
        place = (sighting.study, sighting.key_slice, round(x), round(y))
        if place in taken and taken[place] != sighting.tracked.track:
            clashing.add(sighting.tracked.track)
        taken.setdefault(place, sighting.tracked.track)
    return (s for s in sightings if s.tracked.track not in clashing)
