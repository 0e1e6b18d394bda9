"""Matching the lesions of the Deep Longitudinal Study without pixels and without registration.

    python benchmarks/dls_matching.py DLS_VALID.json DL_INFO.csv

Each patient's lesions of the benchmark (with DeepLesion's own location, diameters and type) are
matched with each other; the benchmark's links are the truth, all its other lesions of the patient
the distractors. Patients are split in two halves alike in their numbers of lesions: on one is
measured how far marks of a lesion scatter (``retrieval/tracking/fitting/location_noise.py``) and
fitted what needs fitting; only the other is scored. Patient 78 belongs to the evaluation
sample and is left out.

The benchmark does not link every pair that is the same: many lesions it never linked lie at one
place. So there are two scores, with unlinked lesions taken to differ, and over the pairs that are
known to differ (``retrieval/evaluation/tracking/linked_pairs.py``). Lesions of one study that it
calls the same (two series) cannot both be matched by a method that allows one a study: they
cost every method recall. Writes benchmarks/results/dls_matching.json and the scores on stdout.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from itertools import combinations
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation.tracking.linked_pairs import LinkedLesion, score_links
from retrieval.evaluation.tracking.matching import PredictedTracks, TrueAppearance, score_tracks
from retrieval.lesion import Lesion
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.tracking.edges import NOMINAL_BODY_MM, PairTerms, TrackNode
from retrieval.tracking.fitting.baselines import fit_nearest_location
from retrieval.tracking.fitting.fit import LabelledPatient, fit_matcher
from retrieval.tracking.matcher import MatcherModel, bundled_matcher
from retrieval.tracking.states import FollowUpState
from retrieval.tracking.study_order import order_studies
from retrieval.tracking.track_types import FollowUp
from retrieval.tracking.tracks import follow_ups, track_patient

RESULT = Path(__file__).parent / "results" / "dls_matching.json"
NO_VECTOR = np.array([1.0, 0.0], np.float32)
"""Every lesion has the same, so the embedding tells nothing."""

EVALUATED_ELSEWHERE = "000078"
SEED = 0
QUANTILES = (0.5, 0.75, 0.9, 0.95, 0.99)

Patients = Mapping[str, LabelledPatient]
Matching = Callable[[LabelledPatient], Mapping[str, str]]


def lesion_of(pair: Mapping[str, Any], side: str, lesions: Mapping[str, list[Lesion]]) -> Lesion:
    """The table's lesion that one side of a pair means: of its slice, the nearest in diameter."""
    slice_name = str(pair[f"{side} recist slice"])
    long_px = max(pair[f"{side} recist diameter"])
    spacing = pair[f"{side} spacing"][0]
    return min(lesions[slice_name], key=lambda x: abs((x.long_mm or 0.0) - long_px * spacing))


def labelled(dls: Path, table: Path) -> dict[str, LabelledPatient]:
    """The benchmark's lesions by patient; its pairs' connected components are the tracks."""
    by_slice: dict[str, list[Lesion]] = {}
    for lesion in DeepLesionArchive.open(table).lesions:
        name = f"{lesion.series_id}/{lesion.key_slice_index:03d}.png"
        by_slice.setdefault(name, []).append(lesion)
    track_of: dict[str, str] = {}
    lesions: dict[str, Lesion] = {}
    for pair in json.loads(dls.read_text(encoding="utf-8")).values():
        ends = [lesion_of(pair, side, by_slice) for side in ("source", "target")]
        names = [track_of.setdefault(one.lesion_id, one.lesion_id) for one in ends]
        lesions.update({one.lesion_id: one for one in ends})
        for lesion_id, name in track_of.items():
            if name == names[1]:
                track_of[lesion_id] = names[0]
    patients: dict[str, list[TrackNode]] = {}
    for lesion in lesions.values():
        patients.setdefault(lesion.patient_id, []).append(TrackNode(lesion, NO_VECTOR))
    return {
        patient: LabelledPatient(
            nodes, {n.lesion.lesion_id: track_of[n.lesion.lesion_id] for n in nodes}
        )
        for patient, nodes in patients.items()
    }


def halves(patients: Patients) -> tuple[dict[str, LabelledPatient], dict[str, LabelledPatient]]:
    """(calibration, test): of each two patients with like numbers of lesions, one on each side."""
    ranked = sorted(patients, key=lambda name: (len(patients[name].nodes), name))
    generator = np.random.default_rng(SEED)
    calibration, test = {}, {}
    for start in range(0, len(ranked), 2):
        pair = ranked[start : start + 2]
        for place, number in enumerate(generator.permutation(len(pair))):
            (test if place else calibration)[pair[number]] = patients[pair[number]]
    return calibration, test


def scatter(patients: Patients) -> dict[str, Any]:
    """How far the marks of one lesion lie apart in two studies, and how alike they are else.

    ``within``: spread of the offsets of the lesions of one pair of series about each other, scaled
    to one lesion's offset: what is left if the studies' common shift is taken away.
    """
    offsets, within, sizes, types = [], [], [], []
    for patient in patients.values():
        terms = PairTerms.of(patient.nodes)
        by_series: dict[tuple[str, str], list[NDArray[np.float64]]] = {}
        for a, b in combinations(range(len(patient.nodes)), 2):
            # Sorted by series, so that every offset of two series runs the same way.
            one, two = sorted((patient.nodes[a].lesion, patient.nodes[b].lesion), key=_series)
            tracks = patient.track_of[one.lesion_id], patient.track_of[two.lesion_id]
            if one.study_id == two.study_id or tracks[0] != tracks[1]:
                continue
            where = np.array([one.location, two.location], np.float64) * NOMINAL_BODY_MM
            by_series.setdefault((one.series_id, two.series_id), []).append(where[1] - where[0])
            sizes.append(abs(terms.log_size_ratio[a, b]))
            types.append(terms.type_agreement[a, b] > 0)
        for found in by_series.values():
            offsets += found
            within += [(x - y) / np.sqrt(2) for x, y in combinations(found, 2)]
    return {
        "pairs": len(offsets),
        "quantiles": QUANTILES,
        "offset_mm_x_y_z": _quantiles(offsets),
        "offset_mm_x_y_z_within_a_pair_of_series": _quantiles(within),
        "log_size_ratio": _quantiles(sizes),
        "types_agree": float(np.mean(types)),
    }


def _series(lesion: Lesion) -> str:
    return lesion.series_id


def _quantiles(values: Iterable[Any]) -> list[Any]:
    found = np.quantile(np.abs(np.array(list(values))), QUANTILES, axis=0)
    return np.asarray(found.round(3)).tolist()


def without_looks(model: MatcherModel) -> MatcherModel:
    """The model with the weight 0 for the embedding's cosine."""
    return replace(model, weights=(0.0, *model.weights[1:]))


def tracks_by(model: MatcherModel) -> Matching:
    """Track of each lesion id, by the lesion graph."""

    def matched(patient: LabelledPatient) -> dict[str, str]:
        tracks = track_patient(patient.nodes, model=model).tracks
        return {lesion.lesion_id: track.track_id for track in tracks for lesion in track.lesions}

    return matched


def scores(patients: Patients, matching: Matching) -> dict[str, Any]:
    """Both scores of a method, see the module."""
    predicted = {name: matching(patient) for name, patient in patients.items()}
    closed = score_tracks(
        {name: _tracked(patient) for name, patient in patients.items()},
        {name: PredictedTracks(tracks, {}) for name, tracks in predicted.items()},
        np.random.default_rng(SEED),
    ).estimates
    # Track names repeat from patient to patient, but pairs are made within one.
    everybody = {lesion: track for tracks in predicted.values() for lesion, track in tracks.items()}
    linked = score_links(
        {name: _linked(patient) for name, patient in patients.items()},
        everybody,
        np.random.default_rng(SEED),
    )
    return {
        "unlinked taken to differ": {
            name: closed[name].to_json() for name in ("pair precision", "pair recall", "pair F1")
        },
        "known pairs": {
            "pair precision": linked.precision.to_json(),
            "pair recall": linked.recall.to_json(),
            "pair F1": linked.f1.to_json(),
            "mean F1 of patients": linked.patient_f1.to_json(),
            "same": linked.same,
            "different": linked.different,
        },
    }


def _tracked(patient: LabelledPatient) -> list[TrueAppearance]:
    order = order_studies(node.lesion for node in patient.nodes).study_ids
    return [
        TrueAppearance(x.lesion_id, order.index(x.study_id), patient.track_of[x.lesion_id])
        for x in (node.lesion for node in patient.nodes)
    ]


def _linked(patient: LabelledPatient) -> list[LinkedLesion]:
    return [
        LinkedLesion(x.lesion_id, x.study_id, x.series_id, patient.track_of[x.lesion_id])
        for x in (node.lesion for node in patient.nodes)
    ]


def answers(patients: Patients, model: MatcherModel) -> dict[str, float]:
    """What a query with each lesion answers for each study in which its track is known to be."""
    counts: Counter[str] = Counter()
    for patient in patients.values():
        for node in patient.nodes:
            track = patient.track_of[node.lesion.lesion_id]
            known = {
                other.lesion.study_id
                for other in patient.nodes
                if patient.track_of[other.lesion.lesion_id] == track
            }
            for found in follow_ups(node, patient.nodes, model=model):
                if found.study_id in known:
                    counts[_judged(found, track, patient)] += 1
    total = counts.total()
    return {"questions": total, **{kind: n / total for kind, n in sorted(counts.items())}}


def _judged(found: FollowUp, track: str, patient: LabelledPatient) -> str:
    if found.lesion is None:
        return "none given"
    right = patient.track_of[found.lesion.lesion_id] == track
    sure = "" if found.state is not FollowUpState.UNCERTAIN else ", said to be uncertain"
    return ("right" if right else "wrong") + sure


def main(dls: Path, table: Path) -> None:
    """Measures, writes and prints."""
    patients = labelled(dls, table)
    patients.pop(EVALUATED_ELSEWHERE)
    calibration, test = halves(patients)
    nearest = fit_nearest_location(list(calibration.values()))
    methods: dict[str, Matching] = {
        "nearest location, Hungarian": lambda patient: nearest.match(patient.nodes).track_of
    }
    models = {
        f"{name}, fitted with unlinked taken to differ": fit_matcher(
            list(calibration.values()), terms=terms
        )
        for name, terms in (
            ("size", ("size",)),
            ("location", ("location",)),
            ("location and size", ("location", "size")),
            ("location, size and type", ("location", "size", "type")),
        )
    }
    models["bundled matcher without looks"] = without_looks(bundled_matcher())
    methods |= {name: tracks_by(model) for name, model in models.items()}
    document = {
        "registration": "none",
        "left_out": f"patient {EVALUATED_ELSEWHERE}, of the evaluation sample",
        "calibration": {**_counts(calibration), "nearest_limit_mm": nearest.limit_mm},
        "scatter_of_the_calibration_half": scatter(calibration),
        "test": _counts(test),
        "bundled_matcher": bundled_matcher().fitted_on,
        "test_half": {name: scores(test, method) for name, method in methods.items()},
        "follow_ups_of_every_lesion_of_the_test_half": {
            name: answers(test, model) for name, model in models.items()
        },
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(document["scatter_of_the_calibration_half"]))
    for name, found in document["test_half"].items():
        for protocol, values in found.items():
            shown = {k: round(v["value"], 3) for k, v in values.items() if isinstance(v, dict)}
            print(f"{name} | {protocol} | {shown}")
    print(json.dumps(document["follow_ups_of_every_lesion_of_the_test_half"], indent=1))


def _counts(patients: Patients) -> dict[str, int]:
    lesions = sum(len(patient.nodes) for patient in patients.values())
    doubled = sum(
        most > 1
        for patient in patients.values()
        for most in Counter(
            (patient.track_of[n.lesion.lesion_id], n.lesion.study_id) for n in patient.nodes
        ).values()
    )
    return {
        "patients": len(patients),
        "lesions": lesions,
        "tracks_with_two_lesions_in_a_study": doubled,
    }


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
