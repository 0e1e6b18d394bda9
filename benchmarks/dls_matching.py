"""Matching the lesions of the Deep Longitudinal Study without pixels and without registration.

    python benchmarks/dls_matching.py DLS_VALID.json DL_INFO.csv

Each patient's lesions of the benchmark (with DeepLesion's own location, diameters and type) are
matched with each other; the benchmark's pairs are the truth, all its other lesions of the patient
the distractors. Whatever is fitted is fitted on other patients, in four folds. The lesions of one
study that the benchmark calls the same (two series of it) cannot both be matched by a method that
allows one lesion a study, so they cost every method recall. Writes
benchmarks/results/dls_matching.json and the scores on stdout.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from index.edges import TrackNode
from index.matcher import LocationSource
from index.matcher_fit import LabelledPatient, fit_matcher
from index.track_types import FollowUp, FollowUpState
from index.tracking import follow_ups
from retrieval.lesion import Lesion
from retrieval.sources.deeplesion import DeepLesionArchive
from service.matcher_fitting import LabelledArchive
from service.tracking_evaluation import TrackingOptions, evaluate_patients

RESULT = Path(__file__).parent / "results" / "dls_matching.json"
SECTION = "location given"
NO_VECTOR = np.array([1.0, 0.0], np.float32)
"""Every lesion has the same, so the embedding tells nothing."""

NEEDS_VECTORS = ("matcher", "embedding only, fitted in folds")


def lesion_of(pair: Mapping[str, Any], side: str, lesions: Mapping[str, list[Lesion]]) -> Lesion:
    """The table's lesion that one side of a pair means: of its slice, the nearest in diameter."""
    slice_name = str(pair[f"{side} recist slice"])
    long_px = max(pair[f"{side} recist diameter"])
    spacing = pair[f"{side} spacing"][0]
    return min(lesions[slice_name], key=lambda x: abs((x.long_mm or 0.0) - long_px * spacing))


def labelled(dls: Path, table: Path) -> LabelledArchive:
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
    own = {
        patient: LabelledPatient(
            nodes, {n.lesion.lesion_id: track_of[n.lesion.lesion_id] for n in nodes}
        )
        for patient, nodes in patients.items()
    }
    return LabelledArchive(own, {})


def answers(archive: LabelledArchive, terms: tuple[str, ...]) -> dict[str, float]:
    """What a query with each lesion answers for each study in which its track is known to be.

    Unlike pairs of tracks this does not count against a method what the benchmark never linked:
    most of the pairs it calls wrong join tracks that have no study in common and lie as near each
    other as its true pairs do. Fitted on other patients, in four folds.
    """
    names = sorted(archive.patients)
    counts: Counter[str] = Counter()
    for part in range(4):
        held_out = names[part::4]
        others = [archive.patients[name] for name in names if name not in held_out]
        model = fit_matcher(others, terms=terms, only=LocationSource.GIVEN)
        for patient in (archive.patients[name] for name in held_out):
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
    archive = labelled(dls, table)
    options = TrackingOptions(folds=4, resamples=1000)
    report = evaluate_patients(archive, archive_name=dls.stem, encoder_name="none", options=options)
    doubled = sum(
        most > 1
        for patient in archive.patients.values()
        for most in Counter(
            (patient.track_of[n.lesion.lesion_id], n.lesion.study_id) for n in patient.nodes
        ).values()
    )
    scores = report.sections[SECTION]
    methods = {
        name.replace("matcher, fitted", "location, size and type, fitted"): {
            score: estimate.to_json() for score, estimate in found.estimates.items()
        }
        for name, found in scores.items()
        if name not in NEEDS_VECTORS
    }
    document = {
        "patients": report.patients,
        "lesions": report.lesions,
        "pairs_in_different_studies": report.pairs,
        "tracks": len({t for one in archive.patients.values() for t in one.track_of.values()}),
        "tracks_with_two_lesions_in_a_study": doubled,
        "registration": "none",
        "methods": methods,
        "follow_ups_of_every_lesion": {
            " and ".join(terms): answers(archive, terms)
            for terms in (
                ("size",),
                ("in_plane", "height"),
                ("in_plane", "height", "size"),
                ("in_plane", "height", "size", "type"),
            )
        },
    }
    RESULT.parent.mkdir(exist_ok=True)
    RESULT.write_text(json.dumps(document, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(document["follow_ups_of_every_lesion"], indent=2))
    for name, found in methods.items():
        print(name, {k: round(v["value"], 3) for k, v in found.items() if v["value"] is not None})


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
