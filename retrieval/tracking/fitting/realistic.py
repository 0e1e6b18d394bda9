"""The matcher fitted on patients made as hard as real ones; see ``hardened_patients``."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace

import numpy as np
from numpy.random import Generator

from retrieval.embedding.patch_encoder import PatchEncoder
from retrieval.evaluation.retrieval.nodule_cohort import rated_nodules
from retrieval.evaluation.retrieval.views import CarelessRescan
from retrieval.lesion import Lesion, Split
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive
from retrieval.tracking.fitting.fit import fit_matcher
from retrieval.tracking.fitting.hardened_patients import Hardening, hardened_patients
from retrieval.tracking.fitting.on_archive import (
    LabelledArchive,
    embedded_lesions,
    fit_labelled,
    labelled_patients,
)
from retrieval.tracking.matcher import MatcherModel


def next_slice_cosines(
    archive: Archive, encoder: PatchEncoder, splits: Collection[Split], generator: Generator
) -> tuple[float, ...]:
    """Cosines of real nodules and their next slices, both seen carelessly and scanned again.

    Of one scan, so they are the least by which two studies of a lesion differ. Raises
    EvaluationError where the archive has no rated nodules in the splits.
    """
    nodules = rated_nodules(archive, tuple(splits))
    lesions = nodules.cohort.lesions
    keys = [lesions[int(row)] for row in nodules.next_slice_of]
    view = CarelessRescan(generator)
    vector_of: dict[str, np.ndarray] = {}
    wanted: list[Lesion] = [*keys, *nodules.next_slices]
    for node in embedded_lesions(archive, wanted, encoder, view=view):
        vector_of[node.lesion.lesion_id] = node.vector
    return tuple(
        float(vector_of[key.lesion_id] @ vector_of[following.lesion_id])
        for key, following in zip(keys, nodules.next_slices, strict=True)
        if key.lesion_id in vector_of and following.lesion_id in vector_of
    )


@dataclass(frozen=True, slots=True)
class FittingRecipe:
    """How a matcher is fitted.

    Attributes:
        splits: whose patients; all if empty.
        realistic: harden the patients first, which archives of phantoms need.
        spread: an archive of nodules with next slices, whose cosines turn the vectors of hardened
            patients; only its validation patients are used.
        seed: of views, noise and turns.
        progress: told (lesions embedded, lesions in all).
    """

    splits: tuple[Split, ...] = ()
    realistic: bool = False
    spread: Archive | None = None
    seed: int = 0
    progress: ReportProgress | None = None


@dataclass(frozen=True, slots=True)
class FittedMatcher:
    """A matcher, and the patients whose scores in folds its card shows."""

    model: MatcherModel
    patients: LabelledArchive


def fit_by_recipe(
    archive: Archive, encoder: PatchEncoder, recipe: FittingRecipe, *, source: str
) -> FittedMatcher:
    """The matcher calibrated on the archive's tracks; ``source`` says whose they are.

    Raises TrackingError where the archive knows no tracks or too few.
    """
    generator = np.random.default_rng(recipe.seed)
    labelled = labelled_patients(
        archive,
        encoder,
        splits=recipe.splits,
        view=CarelessRescan(generator) if recipe.realistic else None,
        progress=recipe.progress,
    )
    if not recipe.realistic:
        return FittedMatcher(fit_labelled(labelled, encoder, source=source), labelled)
    cosines: tuple[float, ...] = ()
    if recipe.spread is not None:
        cosines = next_slice_cosines(recipe.spread, encoder, (Split.VALIDATION,), generator)
    hardening = Hardening(cosines=cosines)
    copies = hardened_patients(labelled.patients, hardening, generator)
    lesions = sum(len(patient.nodes) for patient in labelled.patients.values())
    model = fit_matcher(
        list(copies.values()),
        encoder=encoder.fingerprint,
        fitted_on=(
            f"{source}: {len(labelled.patients)} patients, {lesions} lesions; "
            f"{hardening.described()}"
        ),
    )
    # One copy of each patient, so that no copy of a patient stands in two folds.
    once = hardened_patients(labelled.patients, replace(hardening, copies=1), generator)
    return FittedMatcher(model, LabelledArchive(once, labelled.left_out))
