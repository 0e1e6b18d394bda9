"""Noise augmentation: phantom patients made as hard to match as real ones, to fit the matcher.

In phantoms a lesion lies exactly where it lay, is always marked, and never looks like another. A
matcher fitted on them is too sure of every term and refuses real follow-ups. Each copy of a patient
made here therefore has locations that scatter as in real patients, marks left out, vectors turned
towards other lesions by as much as real ones turn, and a few marks that cannot be recognised.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from retrieval.lesion import LesionType
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.fitting.fit import LabelledPatient
from retrieval.tracking.fitting.location_noise import DLS_NOISE, LocationNoise, with_location_noise

FloatVector = NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class NoiseAugmentation:
    """How the patients' marks are changed.

    Attributes:
        location: scatter of given locations.
        kept_share: of marks; a reader leaves out the others, so lesions seem new or vanished. Of
            DeepLesion's lesions, 0.52 have a partner that the Deep Longitudinal Study names in a
            linked study: the least it can be, so that matches are rather doubted than made.
        unlike_share: of marks whose vector is that of another patient's lesion of the same type:
            another contrast phase, another slice, years of growth. An assumption.
        wrong_type_share: of marks. Types of the same lesion agree in 99.2 % of 368 real pairs.
        cosines: measured cosines of one lesion's two marks; each mark's vector is turned towards
            another patient's lesion of its type, so that a pair is turned by one of these. None
            are turned if empty.
        copies: of every patient, each with its own noise.
    """

    location: LocationNoise = DLS_NOISE
    kept_share: float = 0.52
    unlike_share: float = 0.05
    wrong_type_share: float = 0.004
    cosines: tuple[float, ...] = ()
    copies: int = 4

    def described(self) -> str:
        """One line for a card."""
        turned = f"vectors turned as {len(self.cosines)} real pairs" if self.cosines else "as seen"
        return (
            f"{self.copies} noisy copies: locations with {self.location.name} noise, "
            f"{self.kept_share:.0%} of marks kept, {turned}, {self.unlike_share:.0%} of marks "
            f"unrecognisable, {self.wrong_type_share:.1%} of types wrong"
        )


def augmented_patients(
    patients: Mapping[str, LabelledPatient], noise: NoiseAugmentation, generator: Generator
) -> dict[str, LabelledPatient]:
    """Noisy copies by name; a copy left with marks in fewer than two studies is dropped."""
    lookalikes = _Lookalikes(patients)
    copies: dict[str, LabelledPatient] = {}
    for number in range(noise.copies):
        for name in sorted(patients):
            patient = patients[name]
            marked = [n for n in patient.nodes if generator.random() < noise.kept_share]
            if len({node.lesion.study_id for node in marked}) < 2:
                continue
            placed = with_location_noise(marked, noise.location, generator)
            nodes = [_perturbed(node, noise, lookalikes, generator) for node in placed]
            copies[f"{name} copy {number + 1}"] = LabelledPatient(nodes, patient.track_of)
    return copies


class _Lookalikes:
    """Vectors of lesions by type and patient."""

    def __init__(self, patients: Mapping[str, LabelledPatient]) -> None:
        self._of_type: dict[LesionType, list[tuple[str, FloatVector]]] = {}
        for patient in patients.values():
            for node in patient.nodes:
                same_kind = self._of_type.setdefault(node.lesion.lesion_type, [])
                same_kind.append((node.lesion.patient_id, node.vector))

    @property
    def types(self) -> Sequence[LesionType]:
        """All that occur."""
        return sorted(self._of_type)

    def of(self, node: TrackNode, generator: Generator) -> FloatVector | None:
        """The vector of another patient's lesion of the node's type, None where there is none."""
        others = [
            vector
            for patient_id, vector in self._of_type.get(node.lesion.lesion_type, ())
            if patient_id != node.lesion.patient_id
        ]
        return others[int(generator.integers(len(others)))] if others else None


def _perturbed(
    node: TrackNode, noise: NoiseAugmentation, lookalikes: _Lookalikes, generator: Generator
) -> TrackNode:
    other = lookalikes.of(node, generator)
    vector = node.vector
    if other is not None and generator.random() < noise.unlike_share:
        vector = other
    elif other is not None and noise.cosines:
        # Both marks of a pair are turned, each by the root: the pair's cosine shrinks by the whole.
        cosine = float(np.clip(generator.choice(np.array(noise.cosines)), 0.0, 1.0))
        vector = turned(node.vector, other, float(np.sqrt(cosine)))
    lesion = node.lesion
    if generator.random() < noise.wrong_type_share:
        kinds = lookalikes.types
        lesion = lesion.with_changes(lesion_type=kinds[int(generator.integers(len(kinds)))])
    return replace(node, lesion=lesion, vector=vector)


def turned(vector: FloatVector, towards: FloatVector, cosine: float) -> FloatVector:
    """The unit vector at this cosine from ``vector``, in the plane of both, on the other's side.

    Parallel vectors span no plane: then it is ``vector`` itself, as a unit vector.
    """
    start = vector.astype(np.float64) / np.linalg.norm(vector)
    aside = towards.astype(np.float64) - (towards @ start) * start
    length = float(np.linalg.norm(aside))
    if length < 1e-6:
        return np.asarray(start, np.float32)
    return np.asarray(cosine * start + np.sqrt(1.0 - cosine**2) * aside / length, np.float32)
