"""A small archive, a toy encoder and an untrained one, for the tests of the service package."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from retrieval.embedding.encoder import Embedding, save_encoder
from retrieval.embedding.network import DLGNetwork, NetworkConfig
from retrieval.lesion import LesionType, Recist, Split
from retrieval.patch import Patch, PatchSpec
from retrieval.sources.deeplesion.series_images import SeriesImages
from retrieval.sources.deeplesion.writer import ArchiveRow, DeepLesionWriter

PATIENTS = 5
STUDIES = 3
SIDE = 96
AIR_PX = 3
SPACING = (0.9, 0.9)
INTERVAL = 2.5
TYPES = (LesionType.LIVER, LesionType.LUNG, LesionType.KIDNEY)


class ToyEncoder:
    """The middle slice shrunk to 16 x 16 and centred, as a unit vector: no network, no seed."""

    name = "toy"
    dimension = 256
    spec = PatchSpec(size_px=32, mm_px=1.5)

    def __init__(self, fingerprint: str = "toy0") -> None:
        self.fingerprint = fingerprint

    def embed(self, patches: Sequence[Patch], *, batch_size: int = 32) -> Embedding:
        planes = np.stack([patch.hu[1] for patch in patches]) if patches else np.empty((0, 32, 32))
        means = planes.reshape(-1, 16, 2, 16, 2).mean(axis=(2, 4)).reshape(len(patches), 256)
        centred = means - means.mean(axis=1, keepdims=True)
        vectors = centred / np.linalg.norm(centred, axis=1, keepdims=True)
        return Embedding(
            vectors.astype(np.float32),
            np.full((len(patches), 3), 0.5, np.float32),
        )


def write_archive(
    root: Path, *, patients: int = PATIENTS, first_patient: int = 1, lesions: int = 1
) -> None:
    """Patients with the same lesions in every study: bright ellipses on a texture of their own.

    Air lies about the body, so that no image cuts it off.
    """
    rows, columns = np.mgrid[:SIDE, :SIDE]
    with DeepLesionWriter(root) as writer:
        for patient in range(first_patient, first_patient + patients):
            rng = np.random.default_rng(patient)
            centers = rng.uniform(40, 56, size=(1, 2)) + 22 * np.arange(lesions)[:, None]
            texture = np.kron(rng.normal(0, 60, (12, 12)), np.ones((8, 8)))
            for study in range(1, STUDIES + 1):
                radius = 8 + 2 * study
                plane = texture + rng.normal(0, 4, texture.shape)
                for x, y in centers:
                    inside = ((columns - x) / radius) ** 2 + ((rows - y) / 6) ** 2 < 1
                    plane = plane + np.where(inside, 80, 0)
                hu = np.full((3, SIDE, SIDE), -1000.0)
                inner = slice(AIR_PX, SIDE - AIR_PX)
                body = np.stack([plane, plane + 3, plane - 3]) + 40
                hu[:, inner, inner] = body[:, inner, inner]
                writer.write_slices(SeriesImages(patient, study, 1, 10, hu))
                for number, center in enumerate(centers):
                    row = _row(patient, study, (center[0], center[1]), radius)
                    writer.add_row(row, track_id=f"track-{patient}-{number}")


def _row(patient: int, study: int, center: tuple[float, float], radius: float) -> ArchiveRow:
    x, y = center
    recist = Recist(((x - radius, y), (x + radius, y), (x, y - 6), (x, y + 6)))
    return ArchiveRow(
        patient=patient,
        study=study,
        series=1,
        key_slice=11,
        recist=recist,
        box=recist.box(),
        location=(x / SIDE, y / SIDE, 0.5),
        lesion_type=TYPES[patient % len(TYPES)],
        split=Split.TEST,
        spacing_mm_px=SPACING,
        slice_interval_mm=INTERVAL,
        slice_range=(10, 12),
        image_size=(SIDE, SIDE),
    )


def write_encoder(path: Path, *, seed: int) -> Path:
    """Saves an untrained encoder with 32-pixel patches."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        spec = PatchSpec(size_px=64, mm_px=1.5)
        network = DLGNetwork(NetworkConfig(backbone="mobilenet_v3_small"), spec, pretrained=False)
    save_encoder(network.eval(), path, name=f"untrained-{seed}")
    return path
