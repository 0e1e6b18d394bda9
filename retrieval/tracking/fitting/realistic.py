"""The matcher fitted on patients made as hard as real ones; see ``noise_augmentation``."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.random import Generator

from retrieval.embedding.patch_encoder import PatchEncoder
from retrieval.lesion import Lesion, Split
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive
from retrieval.synthesis.views import RetestPerturbation
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.fitting.fit import LabelledPatient, fit_matcher
from retrieval.tracking.fitting.noise_augmentation import NoiseAugmentation, augmented_patients
from retrieval.tracking.fitting.on_archive import (
    LabelledArchive,
    embedded_lesions,
    fit_labelled,
    labelled_patients,
)
from retrieval.tracking.fitting.views import seen_in_all_views
from retrieval.tracking.matcher import MatcherModel


def nodule_patients(
    archive: Archive, encoder: PatchEncoder, splits: Collection[Split], generator: Generator
) -> dict[str, LabelledPatient]:
    """Patients with real lung nodules: the key slices as one study, the next slices as another.

    Both are marked carelessly and scanned again. Two nodules of a patient are real lesions that
    differ, in one organ; a nodule and its next slice are of one scan, so their cosine is the most
    that two studies of a lesion can have. Raises TrackingError where the archive has no rated
    nodule with its next slice in the splits.
    """
    pairs = _next_slice_pairs(archive, splits)
    keys, following = zip(*pairs, strict=True)
    view = RetestPerturbation(generator)
    node_of: dict[str, TrackNode] = {}
    for node in embedded_lesions(archive, [*keys, *following], encoder, view=view):
        node_of[node.lesion.lesion_id] = node
    found: dict[str, tuple[list[TrackNode], dict[str, str]]] = {}
    for pair in pairs:
        if any(lesion.lesion_id not in node_of for lesion in pair):
            continue
        nodes, track_of = found.setdefault(pair[0].patient_id, ([], {}))
        for study, lesion in enumerate(pair, start=1):
            node = node_of[lesion.lesion_id]
            nodes.append(replace(node, lesion=node.lesion.with_changes(study_id=str(study))))
            track_of[lesion.lesion_id] = pair[0].lesion_id
    return {name: LabelledPatient(nodes, tracks) for name, (nodes, tracks) in found.items()}


def _next_slice_pairs(archive: Archive, splits: Collection[Split]) -> list[tuple[Lesion, Lesion]]:
    """Each rated nodule that has its next slice, with it; of every split where none is named."""
    key_of: dict[str, Lesion] = {}
    following: list[tuple[str, Lesion]] = []
    for lesion in archive.lesions:
        told, track = archive.attributes.get(lesion.lesion_id, {}), archive.track_ids
        if "malignancy" not in told or (splits and lesion.split not in splits):
            continue
        if told.get("next_slice", 0.0) == 1:
            following.append((track.get(lesion.lesion_id, ""), lesion))
        elif lesion.lesion_id in track:
            key_of[track[lesion.lesion_id]] = lesion
    pairs = [(key_of[track], lesion) for track, lesion in following if track in key_of]
    if not pairs:
        raise TrackingError(
            f"none of the {len(archive.lesions)} lesions is a rated nodule with its next slice in "
            f"the splits {[split.value for split in splits] or 'all'}: give an archive of "
            "`import lung-nodules`"
        )
    return pairs


def pair_cosines(patients: Mapping[str, LabelledPatient]) -> tuple[float, ...]:
    """Cosines of the pairs of one lesion in two studies."""
    return tuple(
        float(a.vector @ b.vector)
        for patient in patients.values()
        for a, b in combinations(patient.nodes, 2)
        if a.lesion.study_id != b.lesion.study_id
        and patient.track_of[a.lesion.lesion_id] == patient.track_of[b.lesion.lesion_id]
    )


@dataclass(frozen=True, slots=True)
class FittingRecipe:
    """How a matcher is fitted.

    Attributes:
        splits: whose patients; all if empty.
        realistic: augment the patients with noise first, which archives of phantoms need.
        spread: an archive of nodules with next slices, whose cosines turn the vectors of augmented
            patients, and whose patients join the fit; only its validation patients are used.
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
        view=RetestPerturbation(generator) if recipe.realistic else None,
        progress=recipe.progress,
    )
    if not recipe.realistic:
        return FittedMatcher(fit_labelled(labelled, encoder, source=source), labelled)
    real: dict[str, LabelledPatient] = {}
    if recipe.spread is not None:
        real = nodule_patients(recipe.spread, encoder, (Split.VALIDATION,), generator)
    noise = NoiseAugmentation(cosines=pair_cosines(real))
    copies = augmented_patients(labelled.patients, noise, generator)
    seen = seen_in_all_views(list(copies.values()), generator)
    # Their cosines are real already: none is turned.
    seen += augmented_patients(real, replace(noise, cosines=()), generator).values()
    lesions = sum(len(patient.nodes) for patient in labelled.patients.values())
    nodules = f"; {len(real)} patients with real nodules" if real else ""
    model = fit_matcher(
        seen,
        encoder=encoder.fingerprint,
        fitted_on=(
            f"{source}: {len(labelled.patients)} patients, {lesions} lesions; "
            f"{noise.described()}{nodules}"
        ),
    )
    # One copy of each patient, so that no copy of a patient stands in two folds.
    once = augmented_patients(labelled.patients, replace(noise, copies=1), generator)
    return FittedMatcher(model, LabelledArchive(once, labelled.left_out))
