"""Real nodules pasted into other people's lungs -> an archive with known follow-ups.

A nodule's cut-out shows 3 cm about it; pasted into whole slices it has the surroundings that a
query will have. Every nodule becomes a patient whose studies show it in several places, scales
and scanners, so the same track has appearances that no shift or zoom could make.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from retrieval.image import Slab
from retrieval.lesion import LesionType, Split
from retrieval.progress import ReportProgress
from retrieval.sources.deeplesion.series_images import SeriesImages
from retrieval.sources.deeplesion.writer import ArchiveRow, DeepLesionWriter
from retrieval.sources.importers.backgrounds import BackgroundSource, Run
from retrieval.sources.importers.lung_nodules import Nodule, NoduleSource
from retrieval.sources.importers.source import ImporterError, ImportReport, counted
from retrieval.synthesis.pasting import NodulePlanes, Placement, Scene, paste
from retrieval.tissue import body_mask, lung_mask

PATIENT_BASE = 140_000
WINDOW_MM = 192.0
"""Of the background this much about the nodule is kept."""

HALF_DEPTH_MM = 8.0
MAX_WALL_SHARE = 0.35
"""A nodule whose rim is more wall than lung would carry a piece of its own chest along."""

ATTEMPTS = 12
APPEARANCE = ("texture", "spiculation", "margin", "lobulation", "sphericity", "calcification")
"""Ratings that pasting and scaling leave as they are."""


@dataclass(frozen=True)
class PastedRecipe:
    """How often, how large, and the seed; each nodule has a generator of its own.

    ``split`` is whose nodules are pasted into whose slices.
    """

    studies: tuple[int, int] = (2, 3)
    scales: tuple[float, float] = (0.8, 1.25)
    seed: int = 0
    split: Split = Split.TRAIN


@dataclass(frozen=True)
class _LungSlice:
    """A slice of a run with its lungs: ``room_mm`` is the distance to the lungs' edge."""

    run: Run
    position: int
    room_mm: NDArray[np.float32]
    weight: float

    def about(self, x: float, y: float) -> tuple[Slab, tuple[float, float]]:
        """The slices and the window about a point, and the point in that window.

        A slice without neighbours is repeated; ``filled_slices`` names the copies.
        """
        run = self.run
        depth = max(1, math.ceil(HALF_DEPTH_MM / run.slice_interval_mm))
        half = WINDOW_MM / 2 / run.spacing_mm_px
        top, left = max(0, round(y - half)), max(0, round(x - half))
        window = np.s_[top : round(y + half) + 1, left : round(x + half) + 1]
        copies: tuple[int, ...] = ()
        if len(run.hu) >= 3:
            first = max(0, self.position - depth)
            stack = run.hu[first : self.position + depth + 1]
            key = self.position - first
        else:
            stack = np.repeat(run.hu[self.position][None], 2 * depth + 1, axis=0)
            key = depth
            copies = tuple(k for k in range(len(stack)) if k != key)
        spacing = (run.spacing_mm_px, run.spacing_mm_px)
        hu = np.ascontiguousarray(stack[:, *window])
        slab = Slab(hu, spacing, run.slice_interval_mm, key, filled_slices=copies)
        return slab, (x - left, y - top)


def import_pasted(
    source: Path,
    out: Path,
    *,
    recipe: PastedRecipe | None = None,
    progress: ReportProgress | None = None,
) -> ImportReport:
    """Pastes nodules into backgrounds of the recipe's split; all rows are of that split.

    ``source`` holds the folders ``lung_nodules`` and ``real_ct_1mm``. Each nodule is a patient,
    each place a study, all of the track ``pasted-<name>``. Attributes: the ratings that survive,
    ``diameter_mm`` after scaling, ``scale``, ``pasted`` 1 and ``repeated_background`` 1 where a
    single slice had to serve as its own neighbours. What was left out is counted in the report:
    nodules on the chest wall, and nodules too large for the lungs tried.

    Raises:
        ImporterError: a folder is missing or is not its collection.
    """
    recipe = recipe or PastedRecipe()
    nodules = NoduleSource.open(source / "lung_nodules")
    backgrounds = BackgroundSource.open(source / "real_ct_1mm")
    slices = list(_lung_slices(backgrounds, recipe.split))
    if not slices:
        raise ImporterError(
            f"{source / 'real_ct_1mm'} has no {recipe.split.value} slice that shows lung"
        )
    names = [
        (patient, name)
        for patient, of_patient in nodules.nodules_of.items()
        if nodules.splits[patient] is recipe.split
        for name in of_patient
    ]
    skipped = Counter[str]()
    rows = 0
    with DeepLesionWriter(out) as writer:
        done = writer.patients_done()
        for number, (patient_name, name) in counted(enumerate(names, 1), len(names), progress):
            if PATIENT_BASE + number in done:
                continue
            nodule = nodules.nodule(patient_name, name)
            rng = np.random.default_rng([recipe.seed, number])
            scenes = (
                [] if wall_share(nodule) > MAX_WALL_SHARE else _scenes(nodule, slices, recipe, rng)
            )
            if len(scenes) < recipe.studies[0]:
                skipped[_reason(nodule)] += 1
                continue
            _write(writer, (PATIENT_BASE + number, recipe.split), nodule, scenes)
            rows += len(scenes)
    return ImportReport(rows, skipped)


def _reason(nodule: Nodule) -> str:
    if wall_share(nodule) > MAX_WALL_SHARE:
        return "nodules on the chest wall"
    return "nodules without room in the lungs tried"


def wall_share(nodule: Nodule) -> float:
    """The share of the nodule's rim, 1 to 4 mm outside its mask, that is as dense as tissue."""
    sampling = (nodule.slab.slice_interval_mm, *reversed(nodule.slab.spacing_mm_px))
    distance = ndimage.distance_transform_edt(~nodule.mask, sampling=sampling)
    rim = (distance > 1.0) & (distance <= 4.0)
    return float((nodule.slab.hu[rim] > -300.0).mean()) if rim.any() else 1.0


def _lung_slices(backgrounds: BackgroundSource, wanted: Split) -> Iterator[_LungSlice]:
    for patient, split in backgrounds.splits.items():
        if split is not wanted:
            continue
        found: list[tuple[Run, int, NDArray[np.float32]]] = []
        for run in backgrounds.runs(patient):
            middle = range(1, len(run.hu) - 1) if len(run.hu) >= 3 else range(len(run.hu))
            for position in middle:
                hu = run.hu[position]
                lungs = lung_mask(hu, body_mask(hu), run.spacing_mm_px)
                if lungs.any():
                    room = ndimage.distance_transform_edt(lungs) * run.spacing_mm_px
                    found.append((run, position, room.astype(np.float32)))
        # One long series must not be the background of nearly everything.
        weight = 1 / math.sqrt(len(found)) if found else 0.0
        yield from (_LungSlice(*place, weight) for place in found)


def _scenes(
    nodule: Nodule, slices: list[_LungSlice], recipe: PastedRecipe, rng: np.random.Generator
) -> list[Scene]:
    """Up to the recipe's number of places for one nodule, each on another background slice."""
    wanted = int(rng.integers(recipe.studies[0], recipe.studies[1] + 1))
    planes = NodulePlanes.of(nodule)
    weights = np.asarray([background.weight for background in slices])
    tried = min(ATTEMPTS, len(slices))
    scenes: list[Scene] = []
    for index in rng.choice(len(slices), tried, replace=False, p=weights / weights.sum()):
        scene = _scene(planes, slices[int(index)], recipe, rng)
        if scene is not None:
            scenes.append(scene)
        if len(scenes) == wanted:
            break
    return scenes


def _scene(
    planes: NodulePlanes, background: _LungSlice, recipe: PastedRecipe, rng: np.random.Generator
) -> Scene | None:
    low, high = np.log(recipe.scales)
    scale = float(np.exp(rng.uniform(low, high)))
    places = np.argwhere(background.room_mm >= planes.radius_mm * scale + 1.0)
    if len(places) == 0:
        return None
    row, column = (float(v) for v in places[rng.integers(len(places))] + rng.uniform(-0.5, 0.5, 2))
    slab, center = background.about(column, row)
    return paste(planes, slab, Placement(center, scale, float(rng.uniform(-0.25, 0.25))))


def _write(
    writer: DeepLesionWriter, owner: tuple[int, Split], nodule: Nodule, scenes: Sequence[Scene]
) -> None:
    patient, split = owner
    for study, scene in enumerate(scenes, start=1):
        slab = scene.slab
        images = SeriesImages.of_slab((patient, study, 1), slab.hu)
        writer.write_slices(images)
        row = ArchiveRow(
            patient=patient,
            study=study,
            series=1,
            key_slice=images.number_of(slab.key_slice),
            recist=scene.recist,
            box=scene.recist.box(),
            location=None,
            lesion_type=LesionType.LUNG,
            split=split,
            spacing_mm_px=slab.spacing_mm_px,
            slice_interval_mm=slab.slice_interval_mm,
            slice_range=images.slice_range,
            image_size=(slab.rows, slab.columns),
            window=(-1350.0, 150.0),
        )
        attributes = {name: nodule.ratings[name] for name in APPEARANCE} | {
            "diameter_mm": nodule.ratings["diameter_mm"] * scene.scale,
            "scale": scene.scale,
            "pasted": 1.0,
            "repeated_background": float(bool(slab.filled_slices)),
        }
        writer.add_row(row, f"pasted-{nodule.name}", attributes)
