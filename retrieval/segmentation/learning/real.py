"""Nodules of LIDC-IDRI and soft-tissue sarcomas with the masks of their readers, by split."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from retrieval.lesion import Split
from retrieval.segmentation.learning.example import MaskedLesion, cropped
from retrieval.sources.importers.lung_nodules import NoduleSource
from retrieval.sources.importers.sarcoma import read_sarcoma, sarcoma_patients
from retrieval.sources.importers.splits import split_patients

SARCOMA_SPLIT = "sarcoma_ct"


def read_nodules(folder: Path, split: Split) -> list[MaskedLesion]:
    """The nodules of a split's patients, by name.

    Their cut-outs often end with the nodule's own first and last slice: nothing there shows where
    along the body it stops.

    Raises:
        ImporterError, VolumeError: the folder is not this collection, or a file cannot be read.
    """
    source = NoduleSource.open(folder)
    found = []
    for patient, names in source.nodules_of.items():
        if source.splits[patient] is not split:
            continue
        for name in names:
            nodule = source.nodule(patient, name)
            share = nodule.mask.astype(np.float32)
            found.append(MaskedLesion(name, patient, "nodule", nodule.slab, share))
    return found


def read_sarcomas(folder: Path, split: Split) -> list[MaskedLesion]:
    """The sarcomas of a split's patients, each with the slice of its largest section as key.

    Raises:
        ImporterError, VolumeError: the folder is not this collection, or a file cannot be read.
    """
    names = sarcoma_patients(folder)
    splits = split_patients(names, source=SARCOMA_SPLIT)
    found = []
    for name in names:
        if splits[name] is not split:
            continue
        tumour = read_sarcoma(folder, name)
        key = int(tumour.mask.sum(axis=(1, 2)).argmax())
        slab, share = cropped(tumour.slab.with_key_slice(key), tumour.mask.astype(np.float32))
        found.append(MaskedLesion(name, name, "sarcoma", slab, share))
    return found
