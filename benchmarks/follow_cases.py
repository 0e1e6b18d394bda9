"""Cases for following a lesion: phantom patients' later studies, and lesions planted in real CT.

Each case is a lesion in one study and the slices of another study of the same patient, in which
it is or has gone. Every other study is moved, breathed and scanned anew
(``retrieval.synthesis.restudy``), so that registration has something to do. In real series lung
nodules and soft-tissue lesions are planted, one that is followed and some that stay, beside some
that come: a search must not take those for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from retrieval.image import Slab
from retrieval.lesion import Box, Lesion, Split
from retrieval.sources.archive import Archive, open_archive
from retrieval.sources.importers.backgrounds import BackgroundSource
from retrieval.sources.importers.lung_nodules import NoduleSource
from retrieval.sources.query_image import open_query_image
from retrieval.synthesis.painting import inside_body, paint_covered
from retrieval.synthesis.pasted import MAX_WALL_SHARE, wall_share
from retrieval.synthesis.pasting import NodulePlanes, Placement, paste
from retrieval.synthesis.restudy import Restudy, StudyChange, restudied
from retrieval.tissue import body_mask, lung_mask

OWN_MM = 60.0
PLANTED = {"fit": ("ACRIN-NSCLC-FDG-PET-042", Split.TRAIN), "test": ("C3L-00189", Split.TEST)}
"""Whole series without gaps, and the split of the nodules that are planted in them."""

FIRST_SCAN = StudyChange(
    displacement_mm=(0.0, 0.0, 0.0), rotation_deg=0.0, log_scale=0.0, noise_hu=15.0
)


@dataclass(frozen=True)
class Case:
    """A lesion on its own slices, and the series in which it is sought.

    Attributes:
        name, patient, kind: for the report; intervals are drawn over patients.
        lesion: with its box in the file grid of ``own``; without a location where none is given.
        own: the slices about it, it being on the key slice.
        others: other lesions of its study, each with the slab it is on.
        series: the other study's slices.
        truth: the middle of the lesion there (x, y, slice position); None where it has gone.
        extent_mm: the lesion's longer side.
    """

    name: str
    patient: str
    kind: str
    lesion: Lesion
    own: Slab
    others: list[tuple[Lesion, Slab]]
    series: Slab
    truth: tuple[float, float, int] | None
    extent_mm: float


def phantom_cases(folder: Path, pairs: int, seed: int) -> Iterator[Case]:
    """As many lesions that are marked in another study as such that are not there."""
    archive = open_archive(folder)
    for number, (lesion, rest, there, truth) in enumerate(_pairs(archive, pairs, seed)):
        mark = truth or there
        image = archive.root / archive.source(mark).image
        slab = open_query_image(
            image.parent, key_slice_index=mark.key_slice_index, half_depth_mm=1e6
        )
        marked = np.zeros(slab.hu.shape, np.bool_)
        if truth is not None:
            marked = _ellipsoid(slab, truth)
        later = restudied(slab, [marked], np.random.default_rng([seed, number]))
        found = later.marked_box()
        if (found is None) != (truth is None):
            continue
        yield Case(
            name=f"{lesion.lesion_id} in {mark.study_id}",
            patient=lesion.patient_id,
            kind="phantom",
            lesion=lesion,
            own=archive.slab(lesion, half_depth_mm=OWN_MM),
            others=[(one, archive.slab(one, half_depth_mm=12.0)) for one in rest],
            series=later.slab,
            truth=None if found is None else (*found[1].center, found[0]),
            extent_mm=lesion.long_mm or 0.0,
        )


def planted_cases(data: Path, part: str, count: int, seed: int) -> Iterator[Case]:
    """Lesions planted in a whole real series; every other one has gone."""
    patient, split = PLANTED[part]
    background = _series(data, patient)
    nodules = _nodules(data, split)
    for number in range(count):
        generator = np.random.default_rng([seed, number])
        case = _planted(background, nodules, generator, gone=number % 2 == 1)
        if case is not None:
            lesion, own, others, later, truth, extent = case
            name = f"{patient} {number}"
            yield Case(name, name, "planted", lesion, own, others, later, truth, extent)


@cache
def _series(data: Path, patient: str) -> Slab:
    (run,) = BackgroundSource.open(data / "real_ct_1mm").runs(patient)
    return Slab(run.hu, (run.spacing_mm_px,) * 2, run.slice_interval_mm)


@cache
def _nodules(data: Path, split: Split) -> list[NodulePlanes]:
    source = NoduleSource.open(data / "lung_nodules")
    names = [
        (patient, name)
        for patient, own in source.nodules_of.items()
        if source.splits[patient] is split
        for name in own
    ]
    found = [source.nodule(*one) for one in names[:: max(len(names) // 90, 1)]]
    return [NodulePlanes.of(one) for one in found if wall_share(one) <= MAX_WALL_SHARE]


@dataclass(frozen=True)
class _Plant:
    """A lesion to be laid into a stack: what it adds in HU, and where it is."""

    added: NDArray[np.float32]
    where: NDArray[np.bool_]
    position: int


def _planted(
    background: Slab, nodules: list[NodulePlanes], generator: Generator, *, gone: bool
) -> (
    tuple[Lesion, Slab, list[tuple[Lesion, Slab]], Slab, tuple[float, float, int] | None, float]
    | None
):
    stack = _excerpt(background, generator)
    main = _plant(stack, nodules, generator)
    if main is None:
        return None
    staying, coming = (
        [
            one
            for _ in range(int(generator.integers(0, 3)))
            if (one := _plant(stack, nodules, generator))
        ]
        for _ in range(2)
    )
    if any((main.where & one.where).any() for one in (*staying, *coming)):
        return None
    first = replace(stack, hu=stack.hu + sum((one.added for one in staying), main.added))
    growth = float(generator.uniform(0.75, 1.2))
    later = stack.hu + sum((one.added for one in (*staying, *coming)), np.zeros_like(stack.hu))
    if not gone:
        later = later + growth * main.added
    nothing = np.zeros_like(main.where)
    everything = [one.where for one in (main, *staying)]
    earlier = restudied(first, everything, generator, FIRST_SCAN)
    marks = [_marked(earlier, mark) for mark in range(len(everything))]
    if marks[0] is None:
        return None
    second = restudied(replace(stack, hu=later), [nothing if gone else main.where], generator)
    found = second.marked_box()
    if not gone and found is None:
        return None
    lesion, own = marks[0]
    truth = None if found is None else (*found[1].center, found[0])
    box = lesion.box
    extent = max(box.width - 10, box.height - 10) * own.spacing_mm_px[0]
    return lesion, own, [one for one in marks[1:] if one], second.slab, truth, extent


def _excerpt(background: Slab, generator: Generator) -> Slab:
    """90 to 160 mm of the series."""
    count = len(background.hu)
    length = int(generator.uniform(90, 160) / background.slice_interval_mm)
    first = int(generator.integers(0, max(count - length, 0) + 1))
    return replace(background, hu=background.hu[first : first + length])


def _plant(stack: Slab, nodules: list[NodulePlanes], generator: Generator) -> _Plant | None:
    """A nodule in the lungs or a painted lesion, on a slice away from the ends."""
    edge = int(20 / stack.slice_interval_mm)
    at = int(generator.integers(edge, len(stack.hu) - edge))
    hu = stack.hu[at]
    if generator.random() < 0.5:
        planes = nodules[int(generator.integers(len(nodules)))]
        lungs = lung_mask(hu, body_mask(hu), stack.spacing_mm_px[0])
        places = np.argwhere(lungs)
        if len(places):
            row, column = (float(v) for v in places[generator.integers(len(places))])
            scene = paste(
                planes,
                stack.with_key_slice(at),
                Placement((column, row), float(generator.uniform(0.9, 1.5)), 0.0),
            )
            if scene is not None:
                added = scene.slab.hu - stack.hu
                return _Plant(added, added > 0.4 * added.max(), at)
    reach = min(at, len(stack.hu) - 1 - at, int(40 / stack.slice_interval_mm))
    part = np.s_[at - reach : at + reach + 1]
    painted = paint_covered(
        stack.hu[part],
        inside_body(hu),
        generator,
        mm_px=stack.spacing_mm_px[0],
        slice_interval_mm=stack.slice_interval_mm,
    )
    if painted is None:
        return None
    added, where = np.zeros_like(stack.hu), np.zeros(stack.hu.shape, np.bool_)
    added[part] = painted.hu - stack.hu[part]
    where[part] = painted.coverage > 0.5
    return _Plant(added, where, at)


def _marked(study: Restudy, mark: int) -> tuple[Lesion, Slab] | None:
    found = study.marked_box(mark)
    if found is None:
        return None
    at, box = found
    slab = study.slab.with_key_slice(at)
    reach = int(OWN_MM / slab.slice_interval_mm)
    first = max(at - reach, 0)
    own = replace(slab, hu=slab.hu[first : at + reach + 1], key_slice=at - first)
    return Lesion(f"planted {mark}", "planted", "first", "first_1", at - first, box), own


def _pairs(
    archive: Archive, pairs: int, seed: int
) -> list[tuple[Lesion, list[Lesion], Lesion, Lesion | None]]:
    """(lesion, the rest of its study, a mark of another study, its own mark there or None)."""
    by_study: dict[tuple[str, str], list[Lesion]] = {}
    for lesion in archive.lesions:
        by_study.setdefault((lesion.patient_id, lesion.study_id), []).append(lesion)
    found: dict[bool, list[tuple[Lesion, list[Lesion], Lesion, Lesion | None]]] = {}
    for (patient, study), lesions in by_study.items():
        for (other, later), there in by_study.items():
            if other != patient or later == study:
                continue
            for lesion in lesions:
                track = archive.track_ids[lesion.lesion_id]
                same = [x for x in there if archive.track_ids[x.lesion_id] == track]
                rest = [x for x in lesions if x is not lesion]
                case = (lesion, rest, there[0], same[0] if same else None)
                found.setdefault(bool(same), []).append(case)
    generator = np.random.default_rng(seed)
    drawn = []
    for kind in (True, False):
        order = generator.permutation(len(found[kind]))[:pairs]
        drawn.append([found[kind][int(at)] for at in order])
    return [case for both in zip(*drawn, strict=False) for case in both]


def _ellipsoid(slab: Slab, lesion: Lesion) -> NDArray[np.bool_]:
    """The voxels within the lesion's box, as deep as it is wide."""
    box: Box = slab.display_box(lesion.box)
    (x, y), at = box.center, slab.key_slice
    half = (max(box.width - 10, 2) / 2, max(box.height - 10, 2) / 2)
    deep = max(half[0] * slab.spacing_mm_px[0], slab.slice_interval_mm)
    z, row, column = np.ogrid[: len(slab.hu), : slab.rows, : slab.columns]
    return np.asarray(
        ((z - at) * slab.slice_interval_mm / deep) ** 2
        + ((row - y) / half[1]) ** 2
        + ((column - x) / half[0]) ** 2
        < 1
    )
