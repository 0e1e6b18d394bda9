"""Fits the matcher on an archive with known tracks, with the encoder it shall be used with."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import numpy as np

from retrieval.embedding.patch_encoder import PatchEncoder
from retrieval.lesion import Lesion, LesionSearchError, Split
from retrieval.patch import Patch, extract_patch
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive
from retrieval.synthesis.views import RetestPerturbation
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.fitting.fit import LabelledPatient, fit_matcher
from retrieval.tracking.fitting.views import seen_in_all_views
from retrieval.tracking.matcher import MatcherModel

BATCH = 64


@dataclass(frozen=True, slots=True)
class LabelledArchive:
    """Patients with known tracks, and lesions left out, counted by reason."""

    patients: Mapping[str, LabelledPatient]
    left_out: Mapping[str, int]


def labelled_patients(
    archive: Archive,
    encoder: PatchEncoder,
    *,
    splits: Collection[Split] = (),
    view: RetestPerturbation | None = None,
    progress: ReportProgress | None = None,
) -> LabelledArchive:
    """Every patient with known tracks in at least two studies, embedded; of some splits or of all.

    ``view`` makes every mark a careless one on another scan. Raises TrackingError where the
    archive knows no tracks.
    """
    if not archive.track_ids:
        raise TrackingError(
            f"archive {archive.root.name} knows no lesion tracks: a tracks.csv beside its table "
            "is needed"
        )
    studies: dict[str, set[str]] = {}
    for lesion in archive.lesions:
        studies.setdefault(lesion.patient_id, set()).add(lesion.study_id)
    left_out: Counter[str] = Counter()
    wanted: list[Lesion] = []
    for lesion in archive.lesions:
        if splits and lesion.split not in splits:
            left_out["of another split"] += 1
        elif lesion.lesion_id not in archive.track_ids:
            left_out["no known track"] += 1
        elif len(studies[lesion.patient_id]) < 2:
            left_out["patient with one study"] += 1
        else:
            wanted.append(lesion)
    nodes: dict[str, list[TrackNode]] = {}
    for done, node in enumerate(
        embedded_lesions(archive, wanted, encoder, view=view, left_out=left_out), start=1
    ):
        nodes.setdefault(node.lesion.patient_id, []).append(node)
        if progress is not None:
            progress(done, len(wanted))
    patients = {
        patient: LabelledPatient(
            own, {n.lesion.lesion_id: archive.track_ids[n.lesion.lesion_id] for n in own}
        )
        for patient, own in nodes.items()
    }
    return LabelledArchive(patients, dict(left_out))


def fit_labelled(labelled: LabelledArchive, encoder: PatchEncoder, *, source: str) -> MatcherModel:
    """The matcher calibrated on patients that are embedded already; ``source`` says whose.

    Use patients that are not evaluated afterwards. Raises TrackingError where there are too few.
    """
    lesions = sum(len(patient.nodes) for patient in labelled.patients.values())
    generator = np.random.default_rng(0)
    return fit_matcher(
        seen_in_all_views(list(labelled.patients.values()), generator),
        encoder=encoder.fingerprint,
        fitted_on=f"{source}: {len(labelled.patients)} patients, {lesions} lesions",
    )


def save_matcher(model: MatcherModel, path: Path) -> None:
    """Writes a weights file that ``MatcherModel.load`` reads; raises TrackingError if it cannot."""
    try:
        path.write_text(json.dumps(model.to_json(), indent=2) + "\n", encoding="utf-8")
    except OSError as problem:
        reason = problem.strerror
        raise TrackingError(f"matcher weights {path} cannot be written: {reason}") from None


def embedded_lesions(
    archive: Archive,
    lesions: Sequence[Lesion],
    encoder: PatchEncoder,
    *,
    view: RetestPerturbation | None = None,
    left_out: Counter[str] | None = None,
) -> Iterator[TrackNode]:
    """The lesions as nodes, as marked or as ``view`` shows them.

    One whose pixels cannot be read is skipped, and counted in ``left_out``.
    """
    half_depth_mm = encoder.spec.half_depth_mm + (view.depth_mm if view else 0.0)
    waiting = iter(lesions)
    while group := list(islice(waiting, BATCH)):
        sound: list[Lesion] = []
        patches: list[Patch] = []
        for lesion in group:
            try:
                slab = archive.slab(lesion, half_depth_mm=half_depth_mm)
                slab, box = (slab, lesion.box) if view is None else view(slab, lesion.box)
                patches.append(extract_patch(slab, box, encoder.spec))
                sound.append(lesion)
            except LesionSearchError:
                if left_out is not None:
                    left_out["pixels cannot be read"] += 1
        if not patches:
            continue
        embedding = encoder.embed(patches)
        for lesion, vector in zip(sound, embedding.vectors, strict=True):
            yield TrackNode(lesion, vector)
