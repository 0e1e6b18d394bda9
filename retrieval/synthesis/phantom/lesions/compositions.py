"""Which textures and margins lesions of a type have, and what they are made of."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from retrieval.lesion import LesionType
from retrieval.synthesis.phantom.body.fields import Waves
from retrieval.synthesis.phantom.body.shapes import turned
from retrieval.synthesis.phantom.lesions.appearance import Composition, Margin, Outline, Texture

T, M = Texture, Margin

_TEXTURES: dict[LesionType, dict[Texture, float]] = {
    LesionType.BONE: {T.LYTIC: 0.45, T.SCLEROTIC: 0.4, T.RIM: 0.15},
    LesionType.ABDOMEN: {
        T.SOLID: 0.45, T.NECROTIC: 0.2, T.CYSTIC: 0.12, T.RIM: 0.13, T.CALCIFIED: 0.1
    },
    LesionType.MEDIASTINUM: {T.SOLID: 0.55, T.NECROTIC: 0.2, T.CALCIFIED: 0.15, T.CYSTIC: 0.1},
    LesionType.LIVER: {
        T.SOLID: 0.38, T.CYSTIC: 0.15, T.RIM: 0.2, T.HYPERVASCULAR: 0.12, T.NECROTIC: 0.15
    },
    LesionType.LUNG: {
        T.SOLID: 0.5, T.GROUND_GLASS: 0.15, T.PART_SOLID: 0.12, T.CALCIFIED: 0.12, T.CAVITY: 0.11
    },
    LesionType.KIDNEY: {T.CYSTIC: 0.4, T.SOLID: 0.28, T.FATTY: 0.12, T.NECROTIC: 0.2},
    LesionType.SOFT_TISSUE: {
        T.SOLID: 0.4, T.NECROTIC: 0.2, T.RIM: 0.15, T.CYSTIC: 0.1, T.FATTY: 0.07, T.CALCIFIED: 0.08
    },
    LesionType.PELVIS: {
        T.SOLID: 0.38, T.CYSTIC: 0.25, T.NECROTIC: 0.2, T.RIM: 0.1, T.CALCIFIED: 0.07
    },
}  # fmt: skip

_MARGINS: dict[LesionType, dict[Margin, float]] = {
    LesionType.LUNG: {M.SHARP: 0.35, M.LOBULATED: 0.25, M.SPICULATED: 0.28, M.ILL_DEFINED: 0.12},
    LesionType.LIVER: {M.SHARP: 0.35, M.LOBULATED: 0.3, M.ILL_DEFINED: 0.35},
    LesionType.BONE: {M.SHARP: 0.4, M.LOBULATED: 0.25, M.ILL_DEFINED: 0.35},
}
_OTHER_MARGINS = {M.SHARP: 0.45, M.LOBULATED: 0.4, M.ILL_DEFINED: 0.15}


def draw_texture(kind: LesionType, rng: np.random.Generator) -> Texture:
    """A texture that lesions of the type have."""
    shares = _TEXTURES[kind]
    return list(shares)[int(rng.choice(len(shares), p=list(shares.values())))]


def draw_margin(kind: LesionType, texture: Texture, rng: np.random.Generator) -> Margin:
    """A margin that suits type and texture: cysts are round and sharp."""
    if texture is Texture.CYSTIC:
        return Margin.SHARP
    shares = _MARGINS.get(kind, _OTHER_MARGINS)
    return list(shares)[int(rng.choice(len(shares), p=list(shares.values())))]


def draw_composition(texture: Texture, rng: np.random.Generator) -> Composition:
    """What a lesion of the texture is made of."""
    solid = Composition(
        density_hu=float(rng.uniform(30, 48)),
        enhancement_hu=float(rng.uniform(18, 50)),
        early=float(rng.uniform(0.2, 0.8)),
        heterogeneity_hu=float(rng.uniform(2, 12)),
    )
    unit = float(rng.random())
    changes: dict[Texture, dict[str, float]] = {
        Texture.SOLID: {},
        Texture.NECROTIC: {
            "necrosis": 0.45 + 0.4 * unit, "enhancement_hu": float(rng.uniform(35, 70)),
            "necrotic_hu": float(rng.uniform(8, 24)),
        },
        Texture.CALCIFIED: {"calcification": 0.25 + 0.5 * unit},
        Texture.GROUND_GLASS: {
            "opacity": 0.25 + 0.25 * unit, "density_hu": 0.0, "enhancement_hu": 8.0
        },
        Texture.PART_SOLID: {
            "opacity": 0.28 + 0.2 * unit, "core": float(rng.uniform(0.35, 0.65))
        },
        Texture.CYSTIC: {
            "density_hu": 2 + 16 * unit, "enhancement_hu": 1.0, "heterogeneity_hu": 1.5
        },
        Texture.FATTY: {"fat": 0.45 + 0.4 * unit},
        Texture.RIM: {
            "rim_hu": float(rng.uniform(35, 80)), "enhancement_hu": 12.0,
            "density_hu": float(rng.uniform(20, 36)), "heterogeneity_hu": float(rng.uniform(5, 14)),
        },
        Texture.HYPERVASCULAR: {
            "enhancement_hu": float(rng.uniform(85, 130)), "early": float(rng.uniform(0.8, 1.0)),
            "heterogeneity_hu": float(rng.uniform(4, 16)),
        },
        Texture.CAVITY: {"necrosis": 0.35 + 0.35 * unit, "necrotic_hu": -920.0},
        Texture.LYTIC: {
            "density_hu": float(rng.uniform(25, 55)), "enhancement_hu": float(rng.uniform(15, 50))
        },
        Texture.SCLEROTIC: {
            "density_hu": float(rng.uniform(480, 950)), "enhancement_hu": 0.0,
            "heterogeneity_hu": float(rng.uniform(30, 110)),
        },
    }  # fmt: skip
    return replace(solid, **changes[texture])


def draw_outline(margin: Margin, diameter_mm: float, rng: np.random.Generator) -> Outline:
    """A surface with the margin, about an ellipsoid of the mean diameter."""
    stretch = np.exp(rng.normal(0, 0.17, 3))
    radii = diameter_mm / 2 * stretch / np.prod(stretch) ** (1 / 3)
    lobulation = rng.uniform(0.45, 1.0) if margin is Margin.LOBULATED else rng.uniform(0.0, 0.3)
    spiculation = rng.uniform(0.4, 1.0) if margin is Margin.SPICULATED else 0.0
    softness = rng.uniform(0.35, 0.7) if margin is Margin.ILL_DEFINED else rng.uniform(0.02, 0.15)
    count = int(rng.integers(10, 26))
    spikes = rng.standard_normal((count, 3))
    spikes /= np.linalg.norm(spikes, axis=1, keepdims=True)
    return Outline(
        radii_mm=radii.astype(np.float32),
        rotation=turned(rng, 60).astype(np.float32),
        lobulation=float(lobulation),
        spiculation=float(spiculation),
        softness=float(softness),
        lobes=Waves.random(rng, 7, 3.2),
        spikes=spikes.astype(np.float32),
        spike_lengths=(0.9 * spiculation * rng.uniform(0.3, 1.0, count)).astype(np.float32),
    )
