"""Random positions in real CT, each a class of its own -> an archive for self-supervision.

Nobody marked anything here: the rows say where to look, not what is there.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import BOX_PADDING_PX, Box, LesionType, Recist, Split
from retrieval.progress import ReportProgress
from retrieval.sources.deeplesion.series_images import FIRST_SLICE, SeriesImages
from retrieval.sources.deeplesion.writer import ArchiveRow, DeepLesionWriter
from retrieval.sources.importers.backgrounds import BackgroundSource, Run
from retrieval.sources.importers.source import ImportReport, counted
from retrieval.tissue import (
    body_mask,
    bone_edge_mask,
    lung_mask,
    soft_tissue_mask,
)

PATIENT_BASE = 130_000
SMALLEST_MM, LARGEST_MM = 8.0, 60.0
APART_MM = 12.0
"""Two positions of one slice keep this distance: nearer they would be the same place twice."""

ATTEMPTS = 30


@dataclass(frozen=True)
class PositionRecipe:
    """How many positions, and where.

    Attributes:
        per_slice: positions on each slice, shared among lung, soft tissue and bone edges.
        single_slices: also use slices without neighbours; their rows say ``neighbours`` 0.
        seed: of everything random; each patient has a generator of its own.
    """

    per_slice: int = 8
    single_slices: bool = True
    seed: int = 0


def import_real_positions(
    source: Path,
    out: Path,
    *,
    recipe: PositionRecipe | None = None,
    progress: ReportProgress | None = None,
) -> ImportReport:
    """Writes positions on every slice that has both neighbours, and on single slices.

    Each position is a track ``position-...`` of its own with the attributes ``position`` 1 and
    ``neighbours`` 1 or 0; its type is unknown and its mark only spans the random box. Patients
    already in ``out`` are kept.

    Raises:
        ImporterError: the folder is not this collection.
    """
    recipe = recipe or PositionRecipe()
    backgrounds = BackgroundSource.open(source)
    written, single = 0, 0
    with DeepLesionWriter(out) as writer:
        done = writer.patients_done()
        names = list(backgrounds.records_of)
        numbered = counted(enumerate(names, start=1), len(names), progress)
        for number, name in numbered:
            patient = PATIENT_BASE + number
            if patient in done:
                continue
            rng = np.random.default_rng([recipe.seed, patient])
            runs = backgrounds.runs(name)
            for run, first_slice in zip(runs, _from_the_head(runs), strict=True):
                if len(run.hu) < 3 and not recipe.single_slices:
                    single += len(run.hu)
                    continue
                images = SeriesImages.of_slab(
                    (patient, 1, run.series), run.hu, first_slice=first_slice
                )
                positions = _Positions(images, run, backgrounds.splits[name])
                written += positions.write(writer, recipe.per_slice, rng)
    return ImportReport(written, {"slices without neighbours": single} if single else {})


def sample_points(
    hu: NDArray[np.float32], spacing_mm_px: float, count: int, rng: np.random.Generator
) -> list[tuple[int, int]]:
    """Up to ``count`` pixels (x, y) inside the body, in turn lung, soft tissue and bone edge.

    A class that the slice lacks is passed over; points keep 12 mm from each other, so a small
    body may hold fewer than asked for.
    """
    body = body_mask(hu)
    classes = [
        np.argwhere(mask)
        for mask in (
            lung_mask(hu, body, spacing_mm_px),
            soft_tissue_mask(hu, body),
            bone_edge_mask(hu, body),
        )
    ]
    classes = [pixels for pixels in classes if len(pixels)]
    points: list[tuple[int, int]] = []
    for attempt in range(ATTEMPTS * count if classes else 0):
        if len(points) == count:
            break
        pixels = classes[(len(points) + attempt // ATTEMPTS) % len(classes)]
        row, column = (int(v) for v in pixels[rng.integers(len(pixels))])
        if all(math.hypot(column - x, row - y) * spacing_mm_px >= APART_MM for x, y in points):
            points.append((column, row))
    return points


def random_box(
    point: tuple[int, int],
    image_size: tuple[int, int],
    spacing_mm_px: float,
    rng: np.random.Generator,
) -> Box:
    """A box of 8 to 60 mm about a pixel, sizes even on a logarithmic scale, sides up to 4:3.

    It stays centred; a side that would reach farther over the image's edge than DeepLesion's own
    boxes do (their padding) is shortened to that.
    """
    size = math.exp(rng.uniform(math.log(SMALLEST_MM), math.log(LARGEST_MM)))
    ratio = math.exp(rng.uniform(-0.5, 0.5) * math.log(4 / 3))
    x, y = point
    rows, columns = image_size
    halves = []
    for length, place, count in ((size * ratio, x, columns), (size / ratio, y, rows)):
        side_mm = min(max(length, SMALLEST_MM), LARGEST_MM)
        room = min(place, count - 1 - place) + BOX_PADDING_PX
        halves.append(min(side_mm / 2 / spacing_mm_px, room))
    half_width, half_height = halves
    return Box(x - half_width, y - half_height, x + half_width, y + half_height)


def mark_across(box: Box) -> Recist:
    """The two middle lines of a box, the longer first."""
    x, y = box.center
    across = ((box.x1, y), (box.x2, y))
    down = ((x, box.y1), (x, box.y2))
    return Recist((*across, *down) if box.width >= box.height else (*down, *across))


def _from_the_head(runs: Sequence[Run]) -> list[int]:
    """The number of each run's slice nearest to the head; gaps between runs stay."""
    tops: dict[int, int] = {}
    for run in runs:
        tops[run.series] = max(tops.get(run.series, 0), run.last_slice)
    return [FIRST_SLICE + tops[run.series] - run.last_slice for run in runs]


@dataclass(frozen=True)
class _Positions:
    images: SeriesImages
    run: Run
    split: Split

    def write(self, writer: DeepLesionWriter, per_slice: int, rng: np.random.Generator) -> int:
        """Writes the run and its rows; runs of two count as single slices."""
        run, rows = self.run, 0
        has_neighbours = len(run.hu) >= 3
        middle = range(1, len(run.hu) - 1) if has_neighbours else range(len(run.hu))
        writer.write_slices(self.images)
        for position in middle:
            points = sample_points(run.hu[position], run.spacing_mm_px, per_slice, rng)
            for number, point in enumerate(points, start=1):
                box = random_box(point, (run.hu.shape[1], run.hu.shape[2]), run.spacing_mm_px, rng)
                row = self._row(self.images.number_of(position), box)
                track = f"position-{row.series_id}-{row.key_slice:03d}-{number:02d}"
                attributes = {"position": 1.0, "neighbours": float(has_neighbours)}
                writer.add_row(row, track, attributes)
                rows += 1
        return rows

    def _row(self, key_slice: int, box: Box) -> ArchiveRow:
        run, images = self.run, self.images
        return ArchiveRow(
            patient=images.patient,
            study=1,  # several real studies share the number: no position is sought in another
            series=images.series,
            key_slice=key_slice,
            recist=mark_across(box),
            box=box,
            location=None,
            lesion_type=LesionType.UNKNOWN,
            split=self.split,
            spacing_mm_px=(run.spacing_mm_px, run.spacing_mm_px),
            slice_interval_mm=run.slice_interval_mm,
            slice_range=images.slice_range,
            image_size=(int(run.hu.shape[1]), int(run.hu.shape[2])),
        )
