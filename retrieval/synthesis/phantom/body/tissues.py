"""Hounsfield units of tissues in four contrast phases: usual values of body CT."""

from __future__ import annotations

from enum import StrEnum


class Phase(StrEnum):
    """Time of the scan after contrast was given."""

    PLAIN = "plain"
    ARTERIAL = "arterial"
    PORTAL = "portal"
    DELAYED = "delayed"


class Tissue(StrEnum):
    """What a pixel can be made of."""

    SKIN = "skin"
    FAT = "fat"
    MUSCLE = "muscle"
    LUNG = "lung"
    AIRWAY = "airway"
    LUNG_VESSEL = "lung vessel"
    ARTERY = "artery"
    VEIN = "vein"
    MYOCARDIUM = "myocardium"
    LIVER = "liver"
    LIVER_VESSEL = "liver vessel"
    SPLEEN = "spleen"
    CORTEX = "kidney cortex"
    MEDULLA = "kidney medulla"
    PANCREAS = "pancreas"
    GUT_WALL = "gut wall"
    GALL = "gall"
    URINE = "urine"
    UTERUS = "uterus"
    MARROW = "marrow"
    CORTICAL = "cortical bone"
    CARTILAGE = "cartilage"
    DISC = "disc"
    NERVE = "nerve"


_HU: dict[Tissue, tuple[float, float, float, float]] = {
    Tissue.SKIN: (10, 15, 25, 20),
    Tissue.FAT: (-106, -106, -104, -104),
    Tissue.MUSCLE: (52, 56, 62, 60),
    Tissue.LUNG: (-855, -852, -850, -850),
    Tissue.AIRWAY: (-990, -990, -990, -990),
    Tissue.LUNG_VESSEL: (38, 230, 140, 100),
    Tissue.ARTERY: (42, 320, 165, 120),
    Tissue.VEIN: (42, 85, 160, 122),
    Tissue.MYOCARDIUM: (44, 95, 105, 95),
    Tissue.LIVER: (57, 68, 110, 95),
    Tissue.LIVER_VESSEL: (42, 78, 165, 120),
    Tissue.SPLEEN: (48, 125, 122, 102),
    Tissue.CORTEX: (33, 175, 180, 150),
    Tissue.MEDULLA: (31, 75, 155, 160),
    Tissue.PANCREAS: (40, 98, 92, 76),
    Tissue.GUT_WALL: (38, 75, 85, 72),
    Tissue.GALL: (10, 10, 12, 12),
    Tissue.URINE: (6, 6, 8, 45),
    Tissue.UTERUS: (48, 85, 105, 98),
    Tissue.MARROW: (165, 170, 180, 178),
    Tissue.CORTICAL: (900, 900, 910, 910),
    Tissue.CARTILAGE: (115, 115, 120, 120),
    Tissue.DISC: (82, 82, 88, 88),
    Tissue.NERVE: (28, 30, 32, 32),
}


def tissue_hu(tissue: Tissue, phase: Phase) -> float:
    """HU of a tissue in a phase."""
    return _HU[tissue][list(Phase).index(phase)]


def uptake(phase: Phase, *, early: float) -> float:
    """Share of a lesion's enhancement that shows in a phase.

    ``early`` 1 is a lesion that is brightest in the arterial phase and washes out, 0 one that
    fills slowly.
    """
    quick = {Phase.PLAIN: 0.0, Phase.ARTERIAL: 1.0, Phase.PORTAL: 0.7, Phase.DELAYED: 0.5}
    slow = {Phase.PLAIN: 0.0, Phase.ARTERIAL: 0.35, Phase.PORTAL: 0.9, Phase.DELAYED: 1.0}
    return early * quick[phase] + (1 - early) * slow[phase]
