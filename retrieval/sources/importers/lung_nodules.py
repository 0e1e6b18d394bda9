"""Lung nodules of LIDC-IDRI, cut out with their 3D masks -> an archive with ratings.

The source holds ``index.csv`` (the key slice of each nodule), ``ratings.csv`` (what radiologists
said of it), ``image/*.nii.gz`` in HU and ``mask/*.nii.gz``.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.image import Slab
from retrieval.lesion import LesionType, Split
from retrieval.progress import ReportProgress
from retrieval.sources.deeplesion.series_images import SeriesImages
from retrieval.sources.deeplesion.writer import ArchiveRow, DeepLesionWriter
from retrieval.sources.importers.mask_marks import recist_of_mask
from retrieval.sources.importers.source import (
    ImporterError,
    ImportReport,
    counted,
    read_index,
    source_file,
)
from retrieval.sources.importers.splits import split_patients
from retrieval.sources.volumes.reading import read_volume, volume_slab

SPLIT_SOURCE = "lung_nodules"
PATIENT_BASE = 110_000
"""Patient numbers of one collection never meet those of another."""

RATINGS = {
    "malignancy": "Malignancy_value",
    "texture": "Texture_value",
    "spiculation": "Spiculation_value",
    "margin": "Margin_value",
    "lobulation": "Lobulation_value",
    "sphericity": "Sphericity_value",
    "calcification": "Calcification_value",
    "subtlety": "Subtlety_value",
    "internal_structure": "InternalStructure_value",
    "diameter_mm": "diameter_mm",
}
"""Attribute -> column of ratings.csv."""


@dataclass(frozen=True)
class Nodule:
    """One nodule of the source.

    Attributes:
        name: the source's id, ``LIDC-IDRI-0004_R_1``.
        patient_name: the source's patient.
        slab: the cut-out CT, the key slice as the index says.
        mask: (slices, rows, columns), True inside the nodule.
        ratings: the radiologists' mean ratings and the diameter.
    """

    name: str
    patient_name: str
    slab: Slab
    mask: NDArray[np.bool_]
    ratings: Mapping[str, float]


@dataclass(frozen=True)
class NoduleSource:
    """The source's index, read once: names by patient, splits, and each nodule on demand."""

    folder: Path
    nodules_of: Mapping[str, tuple[str, ...]]
    splits: Mapping[str, Split]
    _key_slices: Mapping[str, int]
    _ratings: Mapping[str, Mapping[str, float]]

    @classmethod
    def open(cls, folder: Path) -> NoduleSource:
        """Reads both tables; raises ImporterError."""
        index = read_index(folder, "index.csv", ("patient", "lesion_id", "slice"))
        table = read_index(folder, "ratings.csv", ("patient_id", "nodule_id", *RATINGS.values()))
        ratings: dict[str, Mapping[str, float]] = {}
        for record in table.to_dict("records"):
            name = f"{record['patient_id']}_R_{record['nodule_id']}"
            ratings[name] = {key: float(record[column]) for key, column in RATINGS.items()}
        if unrated := sorted(set(index["lesion_id"]) - set(ratings)):
            raise ImporterError(f"{folder / 'ratings.csv'} lacks the nodules {unrated[:5]}")
        grouped = index.groupby("patient", sort=True)["lesion_id"]
        nodules_of = {str(patient): tuple(names) for patient, names in grouped}
        splits = split_patients(nodules_of, source=SPLIT_SOURCE)
        key_slices = {
            str(name): int(key) for name, key in index.set_index("lesion_id")["slice"].items()
        }
        return cls(folder, nodules_of, splits, key_slices, ratings)

    def nodule(self, patient_name: str, name: str) -> Nodule:
        """Reads one nodule's pixels; raises VolumeError or ImporterError."""
        image = source_file(self.folder / "image" / f"{name}.nii.gz")
        slab = volume_slab(image, key_slice=self._key_slices[name])
        mask = read_volume(source_file(self.folder / "mask" / f"{name}.nii.gz")).display()
        if mask.values.shape != slab.hu.shape:
            raise ImporterError(
                f"{name}: mask {mask.values.shape} and image {slab.hu.shape} differ"
            )
        return Nodule(name, patient_name, slab, mask.values != 0, self._ratings[name])


def import_lung_nodules(
    source: Path, out: Path, *, progress: ReportProgress | None = None
) -> ImportReport:
    """Writes each nodule twice: on its key slice, and on the next slice it reaches.

    Both rows share the track ``nodule-<name>`` and lie in one study, so that "the same nodule on
    its next slice" can be asked; the attribute ``next_slice`` tells them apart. A cut-out is a
    series of its own, since each has its own pixel grid. Patients already in ``out`` are kept.

    Raises:
        ImporterError: the folder is not this collection.
        VolumeError: a file of it cannot be read.
    """
    nodules = NoduleSource.open(source)
    total = len(nodules.nodules_of)
    written = 0
    with DeepLesionWriter(out) as writer:
        done = writer.patients_done()
        for patient_name, names in counted(nodules.nodules_of.items(), total, progress):
            patient = patient_number(patient_name)
            if patient in done:
                continue
            for series, name in enumerate(names, start=1):
                nodule = nodules.nodule(patient_name, name)
                split = nodules.splits[patient_name]
                written += _write(writer, nodule, (patient, series), split)
    return ImportReport(written)


def patient_number(patient_name: str) -> int:
    """``LIDC-IDRI-0004`` -> 110004; raises ImporterError for any other form."""
    digits = patient_name.rpartition("-")[2]
    if not digits.isdigit():
        raise ImporterError(f"patient {patient_name!r} does not end in a number, as LIDC-IDRI-0004")
    return PATIENT_BASE + int(digits)


def next_slice_of(mask: NDArray[np.bool_], key_slice: int, *, upward: bool) -> int | None:
    """The neighbour of the key slice that the mask reaches, the preferred side first."""
    step = 1 if upward else -1
    for position in (key_slice + step, key_slice - step):
        if 0 <= position < len(mask) and mask[position].any():
            return position
    return None


def _write(writer: DeepLesionWriter, nodule: Nodule, place: tuple[int, int], split: Split) -> int:
    patient, series = place
    slab = nodule.slab
    # One study for all: a patient's second scan says nothing of whether the first one's nodules
    # are still there, and another study number would claim that they vanished.
    images = SeriesImages.of_slab((patient, 1, series), slab.hu)
    writer.write_slices(images)
    following = next_slice_of(nodule.mask, slab.key_slice, upward=(patient + series) % 2 == 0)
    slices = [(slab.key_slice, 0.0)] + ([(following, 1.0)] if following is not None else [])
    for position, is_next in slices:
        recist = recist_of_mask(nodule.mask[position], slab.spacing_mm_px)
        fields: dict[str, Any] = {
            "patient": patient,
            "study": 1,
            "series": series,
            "key_slice": images.number_of(position),
            "recist": recist,
            "box": recist.box(),
            "location": None,
            "lesion_type": LesionType.LUNG,
            "split": split,
            "spacing_mm_px": slab.spacing_mm_px,
            "slice_interval_mm": slab.slice_interval_mm,
            "slice_range": images.slice_range,
            "image_size": (slab.rows, slab.columns),
            "window": (-1350.0, 150.0),
        }
        attributes = {**nodule.ratings, "next_slice": is_next}
        writer.add_row(ArchiveRow(**fields), f"nodule-{nodule.name}", attributes)
    return len(slices)
