"""Soft-tissue sarcomas with 3D masks -> an archive with several key slices of each tumour.

The source holds ``nifti/<patient>/CT_image.nii.gz`` and ``CT_mask.nii.gz``, and beside them
``dicom/<patient>/CT/image/*.dcm`` with a structure set in ``dicom/<patient>/CT/mask``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.image import Slab
from retrieval.lesion import LesionType, Split
from retrieval.progress import ReportProgress
from retrieval.sources.deeplesion.series_images import SeriesImages
from retrieval.sources.deeplesion.writer import ArchiveRow, DeepLesionWriter
from retrieval.sources.importers.mask_marks import recist_of_mask
from retrieval.sources.importers.masks.placed import place_series
from retrieval.sources.importers.masks.structures import structure_masks
from retrieval.sources.importers.source import ImporterError, ImportReport, counted, source_file
from retrieval.sources.importers.splits import split_patients
from retrieval.sources.volumes.reading import read_volume, volume_slab

PATIENT_BASE = 120_000
KEY_SLICE_STEP_MM = 10.0
MIN_AREA_SHARE = 0.4
"""A key slice shows at least this share of the tumour's largest cross-section."""


@dataclass(frozen=True)
class Sarcoma:
    """One patient's tumour: the CT about it and its mask, (slices, rows, columns) each."""

    slab: Slab
    mask: NDArray[np.bool_]


def import_sarcoma(
    source: Path, out: Path, *, progress: ReportProgress | None = None
) -> ImportReport:
    """Writes each tumour on several key slices about 10 mm apart, all of one track.

    The rows' attributes: ``offset_mm`` from the slice with the largest cross-section, and
    ``area_share`` of it. Patients already in ``out`` are kept.

    Raises:
        ImporterError: the folder is not this collection.
        VolumeError, DicomError: a file of it cannot be read.
    """
    names = sarcoma_patients(source)
    splits = split_patients(names, source="sarcoma_ct")
    written = 0
    with DeepLesionWriter(out) as writer:
        done = writer.patients_done()
        for name in counted(names, len(names), progress):
            if patient_number(name) not in done:
                written += _write(writer, name, read_sarcoma(source, name), splits[name])
    return ImportReport(written)


def sarcoma_patients(source: Path) -> list[str]:
    """The names of all patients of the collection, NIfTI and DICOM; raises ImporterError."""
    folders = [*source.glob("nifti/STS_*"), *source.glob("dicom/STS_*")]
    names = sorted(folder.name for folder in folders if folder.is_dir())
    if not names:
        raise ImporterError(f"{source} holds no nifti/STS_* or dicom/STS_*: give the collection")
    if len(set(names)) < len(names):
        raise ImporterError(f"{source} holds a patient both as NIfTI and as DICOM: remove one")
    return names


def read_sarcoma(source: Path, name: str) -> Sarcoma:
    """One patient's CT and mask, from NIfTI or from DICOM with its structure set."""
    folder = source / "nifti" / name
    if folder.is_dir():
        slab = volume_slab(source_file(folder / "CT_image.nii.gz"))
        mask = read_volume(source_file(folder / "CT_mask.nii.gz")).display().values != 0
    else:
        folder = source / "dicom" / name / "CT"
        image = place_series(name, sorted((folder / "image").glob("*.dcm")))
        regions = list(structure_masks(source_file(folder / "mask" / "RS.dcm"), image))
        if len(regions) != 1:
            raise ImporterError(
                f"{name}: its structure set holds {len(regions)} regions: 1 is read"
            )
        slab, mask = image.slab, image.on_display(regions[0].mask)
    if mask.shape != slab.hu.shape or not mask.any():
        raise ImporterError(f"{name}: mask {mask.shape} is empty or not on the CT {slab.hu.shape}")
    return Sarcoma(slab, mask)


def patient_number(name: str) -> int:
    """``STS_007`` -> 120007; raises ImporterError for any other form."""
    digits = name.removeprefix("STS_")
    if not digits.isdigit():
        raise ImporterError(f"patient {name!r} is not of the form STS_007")
    return PATIENT_BASE + int(digits)


def key_slices_of(mask: NDArray[np.bool_], slice_interval_mm: float) -> list[int]:
    """The slice of the largest cross-section and those 10, 20, ... mm from it, large enough."""
    areas = mask.sum(axis=(1, 2))
    step = max(1, round(KEY_SLICE_STEP_MM / slice_interval_mm))
    largest = int(areas.argmax())
    candidates = range(largest % step, len(mask), step)
    return [k for k in candidates if areas[k] >= MIN_AREA_SHARE * areas[largest]]


def _write(writer: DeepLesionWriter, name: str, sarcoma: Sarcoma, split: Split) -> int:
    slab, patient = sarcoma.slab, patient_number(name)
    areas = sarcoma.mask.sum(axis=(1, 2))
    largest = int(areas.argmax())
    images = SeriesImages.of_slab((patient, 1, 1), slab.hu)
    writer.write_slices(images)
    positions = key_slices_of(sarcoma.mask, slab.slice_interval_mm)
    for position in positions:
        recist = recist_of_mask(sarcoma.mask[position], slab.spacing_mm_px)
        row = ArchiveRow(
            patient=patient,
            study=1,
            series=1,
            key_slice=images.number_of(position),
            recist=recist,
            box=recist.box(),
            location=None,
            lesion_type=LesionType.SOFT_TISSUE,
            split=split,
            spacing_mm_px=slab.spacing_mm_px,
            slice_interval_mm=slab.slice_interval_mm,
            slice_range=images.slice_range,
            image_size=(slab.rows, slab.columns),
        )
        attributes = {
            "offset_mm": (position - largest) * slab.slice_interval_mm,
            "area_share": float(areas[position] / areas[largest]),
        }
        writer.add_row(row, f"sarcoma-{name}", attributes)
    return len(positions)
