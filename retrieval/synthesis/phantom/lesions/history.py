"""Which lesions a patient has, and how each of the patient's studies shows them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from retrieval.lesion import LesionType
from retrieval.synthesis.phantom.body.anatomy import Anatomy
from retrieval.synthesis.phantom.body.fields import Waves
from retrieval.synthesis.phantom.lesions.appearance import Appearance, PhantomLesion, Texture
from retrieval.synthesis.phantom.lesions.compositions import (
    draw_composition,
    draw_margin,
    draw_outline,
    draw_texture,
)
from retrieval.synthesis.phantom.lesions.sites import Site, draw_site

SMALLEST_MM, LARGEST_MM, MEDIAN_MM = 5.0, 80.0, 15.0
VANISH_CHANCE, LATER_CHANCE, UNMARKED_CHANCE = 0.10, 0.16, 0.08
FOLLOW_UP_SCALE = 0.22
"""Deviation of the logarithm of a lesion's growth from one study to the next."""

_TYPE_WEIGHTS = {
    LesionType.BONE: 0.09,
    LesionType.ABDOMEN: 0.17,
    LesionType.MEDIASTINUM: 0.15,
    LesionType.LIVER: 0.16,
    LesionType.LUNG: 0.20,
    LesionType.KIDNEY: 0.07,
    LesionType.SOFT_TISSUE: 0.08,
    LesionType.PELVIS: 0.08,
}


@dataclass(frozen=True)
class TrackedLesion:
    """A physical lesion with its appearance in each study, None where it is not there."""

    track: int
    lesion: PhantomLesion
    appearances: tuple[Appearance | None, ...]


@dataclass(frozen=True)
class PatientHistory:
    """A patient's history.

    Attributes:
        study_numbers: of each study, rising, with gaps; ``ages`` the patient's age at each.
        marked: whether the study's lesions were marked at all.
    """

    lesions: tuple[TrackedLesion, ...]
    study_numbers: tuple[int, ...]
    series_numbers: tuple[int, ...]
    ages: tuple[float, ...]
    marked: tuple[bool, ...]
    gender: str


def draw_history(anatomy: Anatomy, rng: np.random.Generator) -> PatientHistory:
    """One to eight lesions over two to four studies."""
    studies = int(rng.integers(2, 5))
    lesions = _draw_lesions(anatomy, rng)
    trend = float(rng.normal(0.02, 0.16))
    tracked = []
    for track, lesion in enumerate(lesions, start=1):
        shown = _appearances(lesion, studies, trend, rng)
        tracked.append(TrackedLesion(track, lesion, shown))
    marked = rng.random(studies) >= UNMARKED_CHANCE
    marked[int(rng.integers(studies))] = True
    steps = rng.integers(1, 4, studies)
    ages = rng.uniform(22, 85) + np.cumsum(rng.uniform(0.15, 1.1, studies))
    return PatientHistory(
        lesions=tuple(tracked),
        study_numbers=tuple(int(number) for number in np.cumsum(steps)),
        series_numbers=tuple(int(number) for number in rng.integers(1, 8, studies)),
        ages=tuple(float(np.floor(age)) for age in ages),
        marked=tuple(bool(value) for value in marked),
        gender="F" if "uterus" in anatomy.organs.ellipsoids or rng.random() < 0.15 else "M",
    )


def _draw_lesions(anatomy: Anatomy, rng: np.random.Generator) -> list[PhantomLesion]:
    count = min(int(rng.geometric(0.33)), 8)
    kinds, weights = list(_TYPE_WEIGHTS), np.array(list(_TYPE_WEIGHTS.values()))
    main = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
    usual = draw_texture(main, rng)
    lesions: list[PhantomLesion] = []
    for _ in range(count * 6):
        if len(lesions) == count:
            break
        kind = main
        if rng.random() > 0.55:
            kind = kinds[int(rng.choice(len(kinds), p=weights / weights.sum()))]
        # Metastases of one patient tend to look alike: that is what makes matching hard.
        alike = kind is main and rng.random() < 0.5
        lesion = draw_lesion(kind, anatomy, rng, texture=usual if alike else None)
        if all(_apart(lesion, other) for other in lesions):
            lesions.append(lesion)
    return lesions


def _apart(first: PhantomLesion, second: PhantomLesion) -> bool:
    gap = float(np.linalg.norm(first.center - second.center))
    return gap > 0.75 * (first.diameter_mm + second.diameter_mm) + 8


def draw_lesion(
    kind: LesionType,
    anatomy: Anatomy,
    rng: np.random.Generator,
    *,
    texture: Texture | None = None,
) -> PhantomLesion:
    """One lesion of a type at a place where such lesions occur."""
    site = draw_site(kind, anatomy, rng)
    made_of = texture or draw_texture(kind, rng)
    diameter = _draw_diameter(kind, made_of, site, rng)
    margin = draw_margin(kind, made_of, rng)
    composition = draw_composition(made_of, rng)
    if kind is LesionType.LUNG and made_of is Texture.SOLID:
        composition = replace(composition, enhancement_hu=min(composition.enhancement_hu, 40.0))
    return PhantomLesion(
        lesion_type=kind,
        center=site.center,
        outline=draw_outline(margin, diameter, rng),
        texture=made_of,
        margin=margin,
        composition=composition,
        grain=Waves.random(rng, 14, float(2.4 + 0.09 * diameter)),
        spots=Waves.random(rng, 10, float(3.2 + 0.05 * diameter)),
        rigid=site.rigid,
        host=site.host,
    )


def _draw_diameter(
    kind: LesionType, texture: Texture, site: Site, rng: np.random.Generator
) -> float:
    median = {LesionType.LUNG: 11.0, LesionType.BONE: 14.0}.get(kind, MEDIAN_MM + 1.5)
    least = 9.0 if texture in {Texture.CAVITY, Texture.PART_SOLID, Texture.RIM} else SMALLEST_MM + 1
    for _ in range(20):
        diameter = median * float(np.exp(rng.normal(0, 0.52)))
        if least <= diameter <= min(site.largest_mm, LARGEST_MM * 0.8):
            return diameter
    return max(least, min(site.largest_mm, median))


def _appearances(
    lesion: PhantomLesion, studies: int, trend: float, rng: np.random.Generator
) -> tuple[Appearance | None, ...]:
    first = int(rng.integers(1, studies)) if rng.random() < LATER_CHANCE else 0
    shown: list[Appearance | None] = [None] * first
    log_scale, gone = 0.0, False
    morph = np.zeros(1, np.float32)
    low = np.log(SMALLEST_MM / lesion.diameter_mm)
    high = np.log(LARGEST_MM / (2.4 * float(lesion.outline.radii_mm.max())))
    for study in range(first, studies):
        if study > first:
            log_scale += rng.normal(trend, FOLLOW_UP_SCALE)
            log_scale = float(np.clip(log_scale, min(low, 0.0), max(high, 0.0)))
            morph = morph + rng.normal(0, 0.16, 1).astype(np.float32)
            gone = gone or bool(rng.random() < VANISH_CHANCE)
        shown.append(None if gone else Appearance(float(np.exp(log_scale)), morph))
    return tuple(shown)


def seen_in(lesions: Sequence[TrackedLesion], study: int) -> list[tuple[TrackedLesion, Appearance]]:
    """The lesions that a study shows."""
    shown = ((tracked, tracked.appearances[study]) for tracked in lesions)
    return [(tracked, seen) for tracked, seen in shown if seen is not None]
