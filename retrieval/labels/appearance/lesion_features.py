"""The features of lesions of an archive: read, cut and embedded, a group at a time."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from retrieval.embedding.patch_encoder import PatchEncoder
from retrieval.labels.appearance.prediction import features_of_patches
from retrieval.lesion import Lesion, LesionSearchError
from retrieval.patch import Patch, extract_patch
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive

GROUP = 64


@dataclass(frozen=True)
class FeatureGroup:
    """Lesions that could be read, with features (n, features), and those that could not."""

    lesions: tuple[Lesion, ...]
    features: NDArray[np.float32]
    failed: tuple[str, ...] = ()


def lesion_features(
    archive: Archive,
    lesions: Sequence[Lesion],
    encoder: PatchEncoder,
    progress: ReportProgress | None = None,
) -> Iterator[FeatureGroup]:
    """Groups of at most ``GROUP`` lesions; one whose pixels cannot be read is named as failed."""
    done = 0
    waiting = iter(lesions)
    while group := list(islice(waiting, GROUP)):
        read: list[tuple[Lesion, Patch]] = []
        failed = []
        for lesion in group:
            try:
                slab = archive.slab(lesion, half_depth_mm=encoder.spec.half_depth_mm)
                read.append((lesion, extract_patch(slab, lesion.box, encoder.spec)))
            except LesionSearchError:
                failed.append(lesion.lesion_id)
        patches = [patch for _, patch in read]
        vectors = encoder.embed(patches).vectors
        done += len(group)
        if progress is not None:
            progress(done, len(lesions))
        yield FeatureGroup(
            tuple(lesion for lesion, _ in read),
            features_of_patches(vectors, patches),
            tuple(failed),
        )
