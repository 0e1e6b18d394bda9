"""Shape, texture and margin of one physical lesion; all analytic, so that every study of the
patient shows the same lesion again without showing the same pixels."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.lesion import LesionType
from retrieval.synthesis.phantom.body.fields import Waves
from retrieval.synthesis.phantom.body.points import Floats, Points
from retrieval.synthesis.phantom.body.shapes import coverage
from retrieval.synthesis.phantom.body.tissues import Phase, uptake

LOBULATION_DEPTH = 0.22
SPIKE_LENGTH = 0.9
NECROTIC_HU, CALCIUM_HU, FATTY_HU = 16.0, 480.0, -85.0


class Texture(StrEnum):
    """What a lesion is made of."""

    SOLID = "solid"
    NECROTIC = "necrotic"
    CALCIFIED = "calcified"
    GROUND_GLASS = "ground glass"
    PART_SOLID = "part solid"
    CYSTIC = "cystic"
    FATTY = "fatty"
    RIM = "rim"
    HYPERVASCULAR = "hypervascular"
    CAVITY = "cavity"
    LYTIC = "lytic"
    SCLEROTIC = "sclerotic"

    @property
    def code(self) -> int:
        """Its number in ``attributes.csv``."""
        return list(Texture).index(self)


class Margin(StrEnum):
    """How a lesion ends."""

    SHARP = "sharp"
    LOBULATED = "lobulated"
    SPICULATED = "spiculated"
    ILL_DEFINED = "ill defined"

    @property
    def code(self) -> int:
        """Its number in ``attributes.csv``."""
        return list(Margin).index(self)


@dataclass(frozen=True)
class Composition:
    """What a lesion's voxels hold; shares are 0 to 1.

    Attributes:
        density_hu: without contrast; ``enhancement_hu`` what contrast adds at most, ``early``
            how soon (see ``uptake``).
        heterogeneity_hu: deviation of the grain.
        necrosis: radius of the necrotic core; ``calcification`` and ``fat`` share of such spots.
        rim_hu: extra enhancement of the outer shell.
        opacity: below 1 the lung shows through; ``core`` radius of an opaque core in it.
    """

    density_hu: float
    enhancement_hu: float
    early: float = 0.5
    heterogeneity_hu: float = 6.0
    necrosis: float = 0.0
    necrotic_hu: float = NECROTIC_HU
    calcification: float = 0.0
    fat: float = 0.0
    rim_hu: float = 0.0
    opacity: float = 1.0
    core: float = 0.0


@dataclass(frozen=True)
class Outline:
    """A lesion's surface: an ellipsoid moved in and out along its radii.

    Attributes:
        radii_mm: half axes (3,) at scale 1; rotation's rows are the axes.
        softness: width of the margin as a share of the mean radius.
        spikes: (spikes, 3) unit directions; ``spike_lengths`` their share of the radius.
    """

    radii_mm: Floats
    rotation: Floats
    lobulation: float
    spiculation: float
    softness: float
    lobes: Waves
    spikes: Floats
    spike_lengths: Floats


@dataclass(frozen=True)
class PhantomLesion:
    """One physical lesion, followed over the studies as one lesion track.

    Attributes:
        center: (3,) mm in the patient's frame.
        grain, spots: texture fields over the unit ball of the lesion.
        rigid: it sits in bone and does not move with the breath.
        host: what cuts it off: "bone", "lung", "liver" or "" for nothing.
    """

    lesion_type: LesionType
    center: NDArray[np.float64]
    outline: Outline
    texture: Texture
    margin: Margin
    composition: Composition
    grain: Waves
    spots: Waves
    rigid: bool = False
    host: str = ""

    @property
    def diameter_mm(self) -> float:
        """Mean diameter in 3D at scale 1."""
        return float(2 * np.prod(self.outline.radii_mm) ** (1 / 3))

    def attributes(self, scale: float) -> dict[str, float]:
        """Numbers for ``attributes.csv`` at one study's scale."""
        made = self.composition
        return {
            "texture_code": self.texture.code,
            "margin_code": self.margin.code,
            "spiculation": round(self.outline.spiculation, 3),
            "lobulation": round(self.outline.lobulation, 3),
            "margin_softness": round(self.outline.softness, 3),
            "necrosis": round(made.necrosis, 3),
            "calcification": round(made.calcification, 3),
            "fat": round(made.fat, 3),
            "ground_glass": round(1 - made.opacity, 3),
            "heterogeneity_hu": round(made.heterogeneity_hu, 1),
            "density_hu": round(made.density_hu, 1),
            "enhancement_hu": round(made.enhancement_hu + made.rim_hu, 1),
            "diameter_3d_mm": round(self.diameter_mm * scale, 2),
        }


@dataclass(frozen=True)
class Appearance:
    """How one study shows a lesion: its size and a slow change of shape and grain (radians)."""

    scale: float
    morph: Floats = field(default_factory=lambda: np.zeros(1, np.float32))


@dataclass(frozen=True, slots=True)
class LesionPixels:
    """A lesion on some pixels: geometric coverage, opacity and HU."""

    coverage: Floats
    opacity: Floats
    hu: Floats


def reach_mm(lesion: PhantomLesion, scale: float) -> float:
    """No pixel farther than this from the centre belongs to the lesion."""
    outline = lesion.outline
    growth = 1 + 2.2 * LOBULATION_DEPTH * outline.lobulation + outline.softness
    growth += SPIKE_LENGTH * outline.spiculation
    return float(outline.radii_mm.max() * scale * growth + 2)


def lesion_pixels(
    lesion: PhantomLesion, seen: Appearance, p: Points, *, phase: Phase, edge_mm: float
) -> LesionPixels:
    """The lesion at points of the patient."""
    height = p.z_rigid if lesion.rigid else p.z
    offset = np.stack([p.x, p.y, height], axis=-1) - lesion.center.astype(np.float32)
    unit = offset @ lesion.outline.rotation.T / (lesion.outline.radii_mm * np.float32(seen.scale))
    radius = np.sqrt((unit * unit).sum(axis=-1)) + np.float32(1e-6)
    surface, spiked = _surface(lesion.outline, unit / radius[..., None], seen.morph)
    distance = np.sqrt((offset * offset).sum(axis=-1)) / radius
    mean_radius = lesion.diameter_mm / 2 * seen.scale
    width = max(edge_mm, lesion.outline.softness * mean_radius)
    covered = coverage((radius - surface) * distance, width)
    opacity, hu = _contents(lesion, unit, radius / surface, phase, seen.morph)
    if lesion.outline.spiculation:
        spikes = coverage((radius - spiked) * distance, edge_mm)
        opacity = np.where(spikes > covered, 0.75 * spikes, covered * opacity)
    else:
        opacity = covered * opacity
    return LesionPixels(covered, np.asarray(opacity, np.float32), hu)


def _surface(outline: Outline, directions: Floats, morph: Floats) -> tuple[Any, Any]:
    """Radius of the lesion along unit directions, without and with its spikes."""
    lobes = outline.lobes.shifted(morph).at(directions)
    depth = np.float32(LOBULATION_DEPTH * (0.12 + outline.lobulation))
    surface = 1 + depth * np.clip(lobes, -2, 2)
    if not outline.spiculation:
        return surface, surface
    along = np.clip(directions @ outline.spikes.T, 0, 1) ** 220
    return surface, surface + (along * outline.spike_lengths).max(axis=-1)


def _contents(
    lesion: PhantomLesion, unit: Floats, depth: Any, phase: Phase, morph: Floats
) -> tuple[Any, Floats]:
    """Opacity and HU by position in the unit ball; ``depth`` is 0 at the centre, 1 outside."""
    made = lesion.composition
    grain = lesion.grain.shifted(morph).at(unit)
    taken = uptake(phase, early=made.early)
    hu = made.density_hu + made.enhancement_hu * taken + made.heterogeneity_hu * grain
    if made.rim_hu:
        hu = hu + made.rim_hu * taken * np.exp(-np.square((depth - 0.86) / 0.16))
    if made.necrosis:
        core = np.clip((made.necrosis - depth - 0.09 * grain) / 0.12 + 0.5, 0, 1)
        hu = hu + core * (made.necrotic_hu - hu)
    if made.calcification or made.fat:
        share, target = (
            (made.calcification, CALCIUM_HU) if made.calcification else (made.fat, FATTY_HU)
        )
        spots = lesion.spots.at(unit)
        mask = np.clip((spots - np.float32(1.9 - 3.0 * share)) / 0.35, 0, 1)
        hu = hu + mask * (target - hu)
    opacity: Any = np.float32(1)
    if made.opacity < 1:
        opacity = np.clip(made.opacity * (1 + 0.22 * grain), 0.1, 1)
        core = np.clip((made.core - depth - 0.1 * grain) / 0.15 + 0.5, 0, 1) * (made.core > 0)
        opacity = opacity + core * (1 - opacity)
    return opacity, np.asarray(hu, np.float32)
