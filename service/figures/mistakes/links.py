"""Where matching fails: an index's lesion tracks held against the tracks its archives know."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum
from itertools import pairwise
from pathlib import Path

from index.lesion_index import LesionIndex
from retrieval.lesion import Lesion
from retrieval.sources.archive import open_archive
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.matcher import MatcherModel, bundled_matcher
from retrieval.tracking.study_order import order_studies
from retrieval.tracking.tracks import match_scores, track_patient
from service.engine.patient_tracks import PatientCase

Link = tuple[str, str]


class MistakeKind(StrEnum):
    """How a link is wrong: made between two lesions, or not made within one."""

    WRONG = "wrong link"
    MISSED = "missed link"


@dataclass(frozen=True, slots=True)
class LinkMistake:
    """Two lesions of neighbouring marks of a track, and the probability the matcher gave them."""

    kind: MistakeKind
    earlier: Lesion
    later: Lesion
    score: float


@dataclass(frozen=True, slots=True)
class LinkCheck:
    """How many links of known tracks were found, and every mistake.

    Wrong links come first, the surest first; then missed links, the least likely first.
    """

    patients: int
    true_links: int
    found_links: int
    mistakes: tuple[LinkMistake, ...]

    def __str__(self) -> str:
        wrong = sum(mistake.kind is MistakeKind.WRONG for mistake in self.mistakes)
        return (
            f"{self.patients} patients: {self.found_links} of {self.true_links} links found, "
            f"{wrong} wrong, {len(self.mistakes) - wrong} missed"
        )


def known_tracks(index: LesionIndex) -> dict[str, str]:
    """The true track of each lesion id, from the archives the index was built from.

    Empty where none of them knows its tracks (has no ``tracks.csv``): most real archives.
    Raises ArchiveError where an archive is no longer where it was.
    """
    records = index.records(index.vectors()[0])
    folders = sorted({record.source.archive for record in records})
    tracks: dict[str, str] = {}
    for folder in folders:
        tracks.update(open_archive(Path(folder)).track_ids)
    return tracks


def example_patient(index: LesionIndex) -> str:
    """A patient worth looking at: most lesions over most studies."""

    def worth(patient_id: str) -> tuple[int, str]:
        lesions = [record.lesion for record in index.patient(patient_id)]
        studies = len({lesion.study_id for lesion in lesions})
        return (len(lesions) * (studies - 1), patient_id)

    return max(index.patients(), key=worth)


def check_links(
    index: LesionIndex,
    true_tracks: Mapping[str, str],
    *,
    with_location: bool = True,
    model: MatcherModel | None = None,
) -> LinkCheck:
    """Tracks every patient without a reader's decisions and compares the links.

    A link joins two marks of one track with no mark of it in a study between. ``with_location``
    false takes the body position away, as for images of which it is not known. Lesions whose true
    track is unknown are left out.
    """
    found = true = patients = 0
    mistakes: list[LinkMistake] = []
    for patient_id in index.patients():
        case = PatientCase.of(index, patient_id)
        nodes = [node for node in case.nodes if node.lesion.lesion_id in true_tracks]
        if len({node.lesion.study_id for node in nodes}) < 2:
            continue
        if not with_location:
            nodes = [_unplaced(node) for node in nodes]
        own = _predicted_tracks(nodes, model or bundled_matcher())
        lesions = [node.lesion for node in nodes]
        true_links, own_links = _links(lesions, true_tracks), _links(lesions, own)
        patients, true = patients + 1, true + len(true_links)
        found += sum(own[a] == own[b] for a, b in true_links)
        scores = match_scores(nodes, model=model)
        by_id = {lesion.lesion_id: lesion for lesion in lesions}
        wrong = [(a, b) for a, b in own_links if true_tracks[a] != true_tracks[b]]
        missed = [(a, b) for a, b in true_links if own[a] != own[b]]
        for kind, links in ((MistakeKind.WRONG, wrong), (MistakeKind.MISSED, missed)):
            mistakes += [LinkMistake(kind, by_id[a], by_id[b], scores[a, b]) for a, b in links]
    return LinkCheck(patients, true, found, tuple(sorted(mistakes, key=_order)))


def _order(mistake: LinkMistake) -> tuple[bool, float, str, str]:
    missed = mistake.kind is MistakeKind.MISSED
    score = mistake.score if missed else -mistake.score
    return (missed, score, mistake.earlier.lesion_id, mistake.later.lesion_id)


def _unplaced(node: TrackNode) -> TrackNode:
    return replace(node, lesion=node.lesion.with_changes(location=None))


def _predicted_tracks(nodes: Sequence[TrackNode], model: MatcherModel) -> dict[str, str]:
    tracks = track_patient(nodes, model=model).tracks
    return {lesion.lesion_id: track.track_id for track in tracks for lesion in track.lesions}


def _links(lesions: Sequence[Lesion], track_of: Mapping[str, str]) -> list[Link]:
    """Pairs of neighbouring marks of each track, the earlier first."""
    order = order_studies(lesions).study_ids
    return sorted(
        {
            (a.lesion_id, b.lesion_id)
            for track in sorted({track_of[lesion.lesion_id] for lesion in lesions})
            for a, b in _neighbours([x for x in lesions if track_of[x.lesion_id] == track], order)
        }
    )


def _neighbours(lesions: list[Lesion], order: Sequence[str]) -> Iterator[tuple[Lesion, Lesion]]:
    """Marks of one track in studies next to each other among the track's own."""
    marked = [study for study in order if any(x.study_id == study for x in lesions)]
    for before, after in pairwise(marked):
        for a in lesions:
            for b in lesions:
                if (a.study_id, b.study_id) == (before, after):
                    yield a, b
