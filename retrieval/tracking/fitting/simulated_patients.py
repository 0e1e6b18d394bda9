"""Patients made of lesions without images: for interim weights, for tests and for speed.

Locations, sizes and types scatter as in the Deep Longitudinal Study's validation pairs (same
lesion in two studies: 90 % within 0.054, 0.068 and 0.016 along x, y, z; long diameters within 28 %
up or down for 75 %; types agree in 98 %). The embeddings are an assumption: a part common to the
lesion type, a part of the lesion's own, and noise. Nothing measured on them says anything about a
real encoder.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.random import Generator

from retrieval.lesion import Box, Lesion, LesionType
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.fitting.fit import LabelledPatient

Location = tuple[float, float, float]

_SHIFT_SCALE = np.array([0.016, 0.018, 0.005])
_KINDS = tuple(kind for kind in LesionType if kind is not LesionType.UNKNOWN)


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """How many lesions in how many studies, and how much of a lesion changes between studies.

    Ranges are inclusive. Shares are probabilities for a lesion at each study. ``own_part`` and
    ``noise`` are lengths beside the type's part of 1 in an embedding of ``dimensions`` numbers;
    they vary from lesion to lesion, so that some lesions of an organ look alike.
    """

    studies: tuple[int, int] = (2, 4)
    lesions: tuple[int, int] = (1, 8)
    new_share: float = 0.15
    vanished_share: float = 0.15
    wrong_type_share: float = 0.01
    log_size_change: float = 0.2
    dimensions: int = 32
    own_part: float = 1.0
    noise: float = 0.7


@dataclass(frozen=True, slots=True)
class _PhysicalLesion:
    track: str
    kind: LesionType
    place: np.ndarray
    long_mm: float
    appearance: np.ndarray


def simulate_patient(
    generator: Generator, patient_id: str, settings: SimulationSettings | None = None
) -> LabelledPatient:
    """One patient with known tracks; at least one lesion in at least two studies."""
    chosen = settings or SimulationSettings()
    organs: dict[LesionType, tuple[np.ndarray, np.ndarray]] = {
        kind: _organ(generator, chosen) for kind in _KINDS
    }
    alive = [
        _physical(generator, f"{patient_id}-{number}", organs, chosen)
        for number in range(int(generator.integers(*chosen.lesions, endpoint=True)))
    ]
    nodes: list[TrackNode] = []
    track_of: dict[str, str] = {}
    born = len(alive)
    for study in range(1, int(generator.integers(*chosen.studies, endpoint=True)) + 1):
        if study > 1:
            kept = [one for one in alive if generator.random() >= chosen.vanished_share]
            arriving = int(generator.binomial(len(alive), chosen.new_share))
            alive = (kept or alive[:1]) + [
                _physical(generator, f"{patient_id}-{born + n}", organs, chosen)
                for n in range(arriving)
            ]
            born += arriving
            alive = [_grown(generator, one, chosen) for one in alive]
        for one in alive:
            node = _appearance(generator, one, patient_id, study, chosen)
            nodes.append(node)
            track_of[node.lesion.lesion_id] = one.track
    return LabelledPatient(nodes, track_of)


def simulate_patients(
    count: int, generator: Generator, settings: SimulationSettings | None = None
) -> list[LabelledPatient]:
    """``count`` patients, named P1, P2 and so on."""
    return [simulate_patient(generator, f"P{n + 1}", settings) for n in range(count)]


def _unit(generator: Generator, dimensions: int) -> np.ndarray:
    direction = generator.normal(size=dimensions)
    return np.asarray(direction / np.linalg.norm(direction))


def _organ(generator: Generator, settings: SimulationSettings) -> tuple[np.ndarray, np.ndarray]:
    """Where a type's lesions lie in this patient, and what they have in common."""
    return generator.uniform(0.25, 0.75, size=3), _unit(generator, settings.dimensions)


def _physical(
    generator: Generator,
    track: str,
    organs: dict[LesionType, tuple[np.ndarray, np.ndarray]],
    settings: SimulationSettings,
) -> _PhysicalLesion:
    kind = _KINDS[int(generator.integers(len(_KINDS)))]
    center, common = organs[kind]
    place = np.clip(center + generator.normal(scale=(0.12, 0.12, 0.05)), 0.0, 1.0)
    distinct = settings.own_part * generator.uniform(0.1, 1.0)
    own = common + distinct * _unit(generator, settings.dimensions)
    return _PhysicalLesion(track, kind, place, float(np.exp(generator.normal(3.0, 0.5))), own)


def _grown(
    generator: Generator, lesion: _PhysicalLesion, settings: SimulationSettings
) -> _PhysicalLesion:
    factor = float(np.exp(generator.normal(0.0, settings.log_size_change)))
    return _PhysicalLesion(
        lesion.track, lesion.kind, lesion.place, lesion.long_mm * factor, lesion.appearance
    )


def _appearance(
    generator: Generator,
    lesion: _PhysicalLesion,
    patient_id: str,
    study: int,
    settings: SimulationSettings,
) -> TrackNode:
    # Student's t with three degrees of freedom: most shifts are small and a few are large.
    place = lesion.place + _SHIFT_SCALE / np.sqrt(2) * generator.standard_t(3, size=3)
    wrong = generator.random() < settings.wrong_type_share
    kind = _KINDS[int(generator.integers(len(_KINDS)))] if wrong else lesion.kind
    length = settings.noise * generator.uniform(0.3, 1.6)
    scattered = length * _unit(generator, settings.dimensions)
    vector = lesion.appearance + scattered
    row, column = (float(v) for v in generator.uniform(100, 400, size=2))
    return TrackNode(
        lesion=Lesion(
            lesion_id=f"{lesion.track}@{study}",
            patient_id=patient_id,
            study_id=str(study),
            series_id="1",
            key_slice_index=int(generator.integers(1, 200)),
            box=Box.around((column, row), lesion.long_mm + 10.0),
            long_mm=lesion.long_mm,
            short_mm=lesion.long_mm * float(generator.uniform(0.6, 0.95)),
            location=_clipped(place),
            lesion_type=kind,
        ),
        vector=(vector / np.linalg.norm(vector)).astype(np.float32),
    )


def _clipped(place: np.ndarray) -> Location:
    x, y, z = (float(v) for v in np.clip(place, 0.0, 1.0))
    return (x, y, z)
