"""An archive in memory whose pixels say what a lesion is: brightness its type, tilt its patient."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from retrieval.image import Slab
from retrieval.lesion import Box, ImageSource, Lesion, LesionType, Split
from retrieval.patch import PatchSpec
from retrieval.sources.errors import ArchiveError

SPEC = PatchSpec(size_px=16, slices=3, slice_interval_mm=2.0)


@dataclass
class ToyArchive:
    lesions: Sequence[Lesion]
    track_ids: Mapping[str, str] = field(default_factory=dict)
    attributes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    root: Path = Path("somewhere/toy")
    with_images: bool = True
    readings: list[str] = field(default_factory=list)

    def slab(self, lesion: Lesion, *, half_depth_mm: float) -> Slab:
        if not self.with_images:
            raise ArchiveError(f"{lesion.lesion_id} has no image")
        self.readings.append(lesion.lesion_id)
        half = int(np.ceil(half_depth_mm / 2.0))
        rng = np.random.default_rng(int(lesion.lesion_id))
        hu = rng.normal(0, 4, (2 * half + 1, 64, 64))
        hu += 100 * max(lesion.lesion_type.code, 0)
        hu[:, 28:36, 28:36] += 10 * int(lesion.patient_id)
        return Slab(hu.astype(np.float32), (1.0, 1.0), 2.0, half)

    def source(self, lesion: Lesion) -> ImageSource:
        return ImageSource("toy", lesion.lesion_id, (1.0, 1.0), 2.0)

    def image_name(self, lesion: Lesion) -> str:
        return f"{lesion.series_id}_{lesion.key_slice_index:03d}.png"


def toy_lesion(number: int, *, patient: int, study: int = 1, kind: LesionType, **fields) -> Lesion:
    x = fields.pop("x", 32.0)
    return Lesion(
        lesion_id=str(number),
        patient_id=str(patient),
        study_id=str(study),
        series_id="1",
        key_slice_index=number,
        box=Box(x - 6, 26.0, x + 6, 38.0),
        long_mm=fields.pop("long_mm", 10.0 + number),
        short_mm=fields.pop("short_mm", 8.0),
        location=fields.pop("location", (0.1 * patient % 1, 0.5, 0.1 * kind.code)),
        lesion_type=kind,
        **fields,
    )


def toy_archive(patients: int = 12, **fields) -> ToyArchive:
    """Each patient has one lesion of one type in two studies, and a second one of another type."""
    kinds = [LesionType.LIVER, LesionType.LUNG, LesionType.KIDNEY]
    lesions, tracks = [], {}
    for patient in range(patients):
        for study in (1, 2):
            number = len(lesions)
            kind = kinds[patient % 3]
            lesions.append(toy_lesion(number, patient=patient, study=study, kind=kind))
            tracks[str(number)] = f"{patient}-a"
        kind = kinds[(patient + 1) % 3]
        lesions.append(toy_lesion(len(lesions), patient=patient, kind=kind))
    split_of = [Split.TEST, Split.VALIDATION]
    lesions = [
        lesion.with_changes(split=split_of[int(lesion.patient_id) % 2]) for lesion in lesions
    ]
    return ToyArchive(lesions, tracks, **fields)


def brightness(patches):
    """A toy encoder: the mean HU as an angle, so that only the type's brightness counts."""
    return circle(np.array([patch.hu[:, :3, :3].mean() for patch in patches]) / 1000)


def contrast(patches):
    """Another toy encoder: the lesion against its corner as an angle; it knows patients apart."""
    inner = np.array([patch.hu[:, 5:11, 5:11].mean() for patch in patches])
    return circle((inner - [patch.hu[:, :1, :1].mean() for patch in patches]) / 20)


def circle(angles):
    return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
