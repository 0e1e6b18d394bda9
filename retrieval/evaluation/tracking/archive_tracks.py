"""Tracking measured on an archive with known tracks, beside baselines that know less.

The shipped matcher is scored as it is. Everything that must be fitted (the baselines, and the
matcher fitted anew as a reference) is fitted on other patients of the archive, in folds, so no
patient is scored by weights that saw it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from retrieval.embedding.patch_encoder import PatchEncoder
from retrieval.evaluation.tracking.matching import (
    MatchingScores,
    PredictedTracks,
    TrueAppearance,
    score_tracks,
)
from retrieval.evaluation.tracking.report import TrackingReport
from retrieval.lesion import Split
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.fitting.baselines import NearestLocation, fit_nearest_location
from retrieval.tracking.fitting.fit import LabelledPatient, fit_matcher
from retrieval.tracking.fitting.location_noise import LocationNoise, with_location_noise
from retrieval.tracking.fitting.on_archive import LabelledArchive, labelled_patients
from retrieval.tracking.fitting.views import PatientView, seen_as
from retrieval.tracking.matcher import TERM_NAMES, MatcherModel, bundled_matcher
from retrieval.tracking.study_order import order_studies
from retrieval.tracking.tracks import match_scores, track_patient

Patients = Mapping[str, LabelledPatient]

BASELINE_TERMS = {
    "size only": ("size",),
    "location only": ("location",),
    "location and size": ("location", "size"),
    "embedding only": ("similarity",),
}


@dataclass(frozen=True, slots=True)
class TrackingOptions:
    """How tracking is evaluated.

    Attributes:
        model: the matcher to measure; the bundled one if None.
        splits: whose patients are measured; all if empty.
        folds: parts of the patients for what is fitted on the others; at least 2.
        seed: of the folds and of the resamples.
        resamples: of patients, for the intervals.
        progress: told (lesions embedded, lesions in all).
        location_noise: moves given locations; for archives whose own are exact, as phantoms' are.
    """

    model: MatcherModel | None = None
    splits: tuple[Split, ...] = ()
    folds: int = 4
    seed: int = 0
    resamples: int = 1000
    progress: ReportProgress | None = None
    location_noise: LocationNoise | None = None


def evaluate_tracking(
    archive: Archive, encoder: PatchEncoder, options: TrackingOptions | None = None
) -> TrackingReport:
    """Embeds the archive's lesions and scores the matcher and its baselines.

    Raises TrackingError where the archive knows no tracks.
    """
    chosen = options or TrackingOptions()
    labelled = labelled_patients(archive, encoder, splits=chosen.splits, progress=chosen.progress)
    return evaluate_patients(
        labelled, archive_name=archive.root.name, encoder_name=encoder.name, options=chosen
    )


def evaluate_patients(
    labelled: LabelledArchive,
    *,
    archive_name: str,
    encoder_name: str,
    options: TrackingOptions,
) -> TrackingReport:
    """The report for patients that are embedded already.

    Raises TrackingError for fewer patients than folds.
    """
    patients = _with_noise(labelled.patients, options)
    if not 2 <= options.folds <= len(patients):
        raise TrackingError(
            f"{len(patients)} patients in {options.folds} folds: at least 2 folds and as many "
            "patients are needed"
        )
    truth = {name: _truth(patient) for name, patient in patients.items()}
    return TrackingReport(
        archive=archive_name,
        encoder=encoder_name,
        patients=len(patients),
        lesions=sum(len(lesions) for lesions in truth.values()),
        pairs=sum(_true_pairs(lesions) for lesions in truth.values()),
        left_out=labelled.left_out,
        sections={
            _title(view, options): _section(_seen(patients, view, options), truth, options, view)
            for view in PatientView
        },
        settings={
            "folds": options.folds,
            "seed": options.seed,
            "resamples": options.resamples,
            "splits": [split.value for split in options.splits] or ["all"],
            "matcher": (options.model or bundled_matcher()).fitted_on,
            "matcher_encoder": (options.model or bundled_matcher()).encoder,
            "location_noise": options.location_noise and options.location_noise.name,
        },
    )


def _with_noise(patients: Patients, options: TrackingOptions) -> Patients:
    """The patients with given locations as far off as the options say."""
    noise = options.location_noise
    if noise is None:
        return patients
    generator = np.random.default_rng(options.seed)
    return {
        name: LabelledPatient(
            with_location_noise(patients[name].nodes, noise, generator), patients[name].track_of
        )
        for name in sorted(patients)
    }


_TITLES = {
    PatientView.GIVEN: "location given",
    PatientView.ESTIMATED: "location estimated",
    PatientView.QUERY: "last study a box alone, its location estimated",
    PatientView.ABSENT: "location absent",
}


def _title(view: PatientView, options: TrackingOptions) -> str:
    if view is not PatientView.GIVEN or options.location_noise is None:
        return _TITLES[view]
    return f"{_TITLES[view]} with {options.location_noise.name} noise"


def _seen(
    patients: Patients, view: PatientView, options: TrackingOptions
) -> dict[str, LabelledPatient]:
    generator = np.random.default_rng(options.seed)
    return {name: seen_as(patients[name], view, generator) for name in sorted(patients)}


def _section(
    patients: Patients,
    truth: Mapping[str, Sequence[TrueAppearance]],
    options: TrackingOptions,
    view: PatientView,
) -> dict[str, MatchingScores]:
    folds = _folds(list(patients), options)
    located = view is not PatientView.ABSENT
    predictions: dict[str, dict[str, PredictedTracks]] = {}
    for method, terms in BASELINE_TERMS.items():
        if located or "location" not in terms:
            predictions[f"{method}, fitted in folds"] = _in_folds(patients, folds, terms)
    if located:
        predictions["nearest location, Hungarian, limit fitted in folds"] = _nearest(
            patients, folds
        )
    predictions["matcher, fitted in folds"] = _in_folds(patients, folds, TERM_NAMES)
    model = options.model or bundled_matcher()
    predictions["matcher"] = {name: _predicted(p, model) for name, p in patients.items()}
    return {
        method: score_tracks(
            truth, predicted, np.random.default_rng(options.seed), resamples=options.resamples
        )
        for method, predicted in predictions.items()
    }


def _folds(names: list[str], options: TrackingOptions) -> list[list[str]]:
    shuffled = np.random.default_rng(options.seed).permutation(sorted(names))
    return [
        [str(name) for name in shuffled[part :: options.folds]] for part in range(options.folds)
    ]


def _in_folds(
    patients: Patients,
    folds: Sequence[Sequence[str]],
    terms: Sequence[str],
) -> dict[str, PredictedTracks]:
    predicted = {}
    for fold in folds:
        others = [patient for name, patient in patients.items() if name not in set(fold)]
        model = fit_matcher(others, terms=terms)
        predicted.update({name: _predicted(patients[name], model) for name in fold})
    return predicted


def _nearest(patients: Patients, folds: Sequence[Sequence[str]]) -> dict[str, PredictedTracks]:
    predicted = {}
    for fold in folds:
        others = [patient for name, patient in patients.items() if name not in set(fold)]
        method: NearestLocation = fit_nearest_location(others)
        for name in fold:
            answer = method.match(patients[name].nodes)
            predicted[name] = PredictedTracks(answer.track_of, answer.scores)
    return predicted


def _predicted(patient: LabelledPatient, model: MatcherModel) -> PredictedTracks:
    tracks = track_patient(patient.nodes, model=model)
    track_of = {x.lesion_id: track.track_id for track in tracks.tracks for x in track.lesions}
    return PredictedTracks(track_of, match_scores(patient.nodes, model=model))


def _truth(patient: LabelledPatient) -> list[TrueAppearance]:
    order = order_studies(node.lesion for node in patient.nodes).study_ids
    place = {study_id: number for number, study_id in enumerate(order)}
    return [
        TrueAppearance(
            node.lesion.lesion_id,
            place[node.lesion.study_id],
            patient.track_of[node.lesion.lesion_id],
        )
        for node in patient.nodes
    ]


def _true_pairs(lesions: Sequence[TrueAppearance]) -> int:
    return sum(a.track == b.track and a.study < b.study for a in lesions for b in lesions)
