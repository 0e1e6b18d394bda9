"""Rated nodules as features of the shared trunk: what the head of tags is fitted on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from retrieval.image import Slab
from retrieval.labels.appearance.image_numbers import image_numbers
from retrieval.labels.appearance.learning.nodule_head import RatedLesions
from retrieval.labels.appearance.learning.ratings import rated_terms
from retrieval.labels.appearance.prediction import features_of
from retrieval.lesion import Box, Split
from retrieval.multitask.network import MultitaskNetwork
from retrieval.multitask.tag_vector import as_array
from retrieval.patch import Patch
from retrieval.progress import ReportProgress
from retrieval.sources.importers.lung_nodules import NoduleSource, next_slice_of, patient_number
from retrieval.sources.importers.mask_marks import recist_of_mask


def rated_nodules(
    folder: Path,
    network: MultitaskNetwork,
    splits: Sequence[Split],
    progress: ReportProgress | None = None,
) -> RatedLesions:
    """The nodules of the splits on their key slice and on the next one, as an import has them.

    The scale of the vector is learnt from the training patients among them.

    Raises:
        ImporterError, VolumeError: the folder is not this collection, or a file cannot be read.
    """
    source = NoduleSource.open(folder)
    pooled: list[Tensor] = []
    patches: list[Patch] = []
    rows: list[dict[str, float]] = []
    owners: list[tuple[str, str]] = []
    chosen = [patient for patient in source.nodules_of if source.splits[patient] in splits]
    for done, patient in enumerate(chosen, start=1):
        for series, name in enumerate(source.nodules_of[patient], start=1):
            nodule = source.nodule(patient, name)
            upward = (patient_number(patient) + series) % 2 == 0
            after = next_slice_of(nodule.mask, nodule.slab.key_slice, upward=upward)
            positions = [nodule.slab.key_slice, *([] if after is None else [after])]
            for position in positions:
                box = recist_of_mask(nodule.mask[position], nodule.slab.spacing_mm_px).box()
                found = _seen(network, nodule.slab.with_key_slice(position), box)
                pooled.append(found[0])
                patches.append(found[1])
                is_next = float(position != nodule.slab.key_slice)
                rows.append({**nodule.ratings, "next_slice": is_next})
                owners.append((patient, source.splits[patient].value))
        if progress:
            progress(done, len(chosen))
    names_of = sorted(rows[0])
    ratings = {name: np.array([row[name] for row in rows]) for name in names_of}
    parts = np.array([split for _, split in owners])
    vectors = _vectors(network, torch.cat(pooled), parts == Split.TRAIN.value)
    return RatedLesions(
        features=features_of(vectors, image_numbers(patches)),
        truth=rated_terms(ratings),
        splits=parts,
        is_key=ratings["next_slice"] != 1,
        patients=np.array([patient for patient, _ in owners]),
    )


def _seen(network: MultitaskNetwork, slab: Slab, box: Box) -> tuple[Tensor, Patch]:
    inputs, masks = network.about(slab, box)
    return network.heads.vector.pooled(inputs, masks), network.patch_of(slab, box)


def _vectors(
    network: MultitaskNetwork, pooled: Tensor, is_train: NDArray[np.bool_]
) -> NDArray[np.float32]:
    if is_train.any():
        network.heads.vector.learn_scale(pooled[torch.from_numpy(is_train)])
    return as_array(network.heads.vector.standardised(pooled))
