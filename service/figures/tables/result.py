"""What a search or a detection found, as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.table import Table

from retrieval.detection.volumes import Candidate3D
from retrieval.labels.words.parsing import WordQuery
from retrieval.lesion import Box, Lesion
from retrieval.tracking.states import FOLLOW_UP_WORDS, ROLE_WORDS
from retrieval.tracking.track_types import FollowUp
from service.console import answer
from service.engine.results import Candidate, Hit, SearchResult

SHOWN_PROPOSALS = 5
"""How many proposals a query lists; ``detect`` and ``--json`` have them all."""


def show_result(result: SearchResult) -> None:
    """The proposals if any, the hits, the follow-ups in time order, and the time it took."""
    if result.candidates and result.box is not None:
        chosen = [candidate.box for candidate in result.candidates].index(result.box) + 1
        answer(candidate_table(result.candidates[: max(chosen, SHOWN_PROPOSALS)]))
        answer(
            f"searched with proposal {chosen} of {len(result.candidates)}; "
            "--candidate N takes another"
        )
    if result.recognised is not None:
        answer(
            f"the image is indexed already: lesion {result.recognised.lesion_id}, box overlap "
            f"{result.recognised.iou:.2f}"
        )
    if result.words is not None:
        answer(*_understood(result.words))
    with_words = ("match", "why") if result.words is not None else ()
    hits = Table(title=_title(result), title_justify="left")
    for name in ("rank", "similarity", "type", "long mm", "patient", "lesion", *with_words):
        right = name in {"rank", "similarity", "long mm"}
        hits.add_column(name, justify="right" if right else "left", overflow="fold")
    for hit in result.hits:
        found = hit.lesion
        hits.add_row(
            str(hit.rank),
            f"{hit.similarity:.3f}",
            found.lesion_type.value,
            _millimetres(found),
            found.patient_id,
            found.lesion_id,
            *_why(hit),
        )
    answer(hits)
    if result.follow_ups:
        answer(_follow_up_table(result.follow_ups))
    answer(_footer(result))


def _title(result: SearchResult) -> str:
    alone = result.words is not None and result.box is None
    return "Lesions that fit the words" if alone else "Similar lesions of other patients"


def _understood(words: WordQuery) -> list[str]:
    """What was understood of the words, a line each, and what was not."""
    lines = [f"{chip.role.value}: {chip.label}" for chip in words.chips]
    for unknown in words.unknown:
        near = f"; the nearest known are {', '.join(unknown.nearest)}" if unknown.nearest else ""
        lines.append(f"not understood: {unknown.word}{near}")
    return lines


def _why(hit: Hit) -> list[str]:
    """How well the words are met, and a line for each term."""
    if hit.match is None:
        return []
    lines = [f"{one.term} {one.probability:.2f}: {one.words}" for one in hit.words]
    return [f"{hit.match:.2f}", "\n".join(lines)]


def _follow_up_table(follow_ups: Sequence[FollowUp]) -> Table:
    """One row a study, with its role in the comparison and what to know of it below its state."""
    from service.figures.result_panels import change_text

    table = Table(title="The patient's other studies, in time order", title_justify="left")
    for name in ("study", "role", "state", "score", "similarity", "long mm", "change", "lesion"):
        right = name in {"score", "similarity", "long mm", "change"}
        table.add_column(name, justify="right" if right else "left", overflow="fold")
    for follow_up in follow_ups:
        partner, similarity = follow_up.lesion, follow_up.similarity
        table.add_row(
            follow_up.study_id,
            "" if follow_up.role is None else ROLE_WORDS[follow_up.role],
            "\n".join((FOLLOW_UP_WORDS[follow_up.state].label, *follow_up.notes)),
            f"{follow_up.score:.2f}",
            "" if similarity is None else f"{similarity:.3f}",
            "" if partner is None else _millimetres(partner),
            change_text(follow_up),
            "none" if partner is None else partner.lesion_id,
        )
    return table


def _footer(result: SearchResult) -> str:
    time_ms = result.timing_ms.to_json()
    steps = ", ".join(f"{step} {time_ms[step]:.1f}" for step in ("read", "patch", "encode"))
    searched = f"{result.index['lesions']} lesions searched by encoder {result.encoder['name']}"
    return f"{searched} in {time_ms['total']:.1f} ms ({steps}, search {time_ms['search']:.1f})"


def _millimetres(lesion: Lesion) -> str:
    return "unknown" if lesion.long_mm is None else f"{lesion.long_mm:.1f}"


def candidate_table(candidates: Sequence[Candidate]) -> Table:
    """Proposals on one slice: rank, score, box and estimated long diameter."""
    table = _table("rank", "score", "box x1,y1,x2,y2", "long mm", *_kind_column(candidates))
    for rank, one in enumerate(candidates, start=1):
        long_mm = "unknown" if one.long_mm is None else f"{one.long_mm:.1f}"
        kind = [one.category] if one.category else []
        table.add_row(str(rank), f"{one.score:.3f}", _corners(one.box), long_mm, *kind)
    return table


def volume_table(candidates: Sequence[Candidate3D]) -> Table:
    """Candidates of a series, with the slices they show on and their extent."""
    columns = ("rank", "score", "slice", "box x1,y1,x2,y2", "long mm", "slices", "extent mm")
    table = _table(*columns, *_kind_column(candidates))
    for rank, one in enumerate(candidates, start=1):
        table.add_row(
            str(rank),
            f"{one.score:.3f}",
            str(one.key_slice_index),
            _corners(one.box),
            f"{one.long_mm:.1f}",
            f"{one.first_slice_index} to {one.last_slice_index}",
            " x ".join(f"{side:.0f}" for side in one.extent_mm),
            *([one.category] if one.category else []),
        )
    return table


def _kind_column(candidates: Sequence[Candidate | Candidate3D]) -> list[str]:
    """A column for the categories where the detector has learnt some."""
    return ["category"] if any(one.category for one in candidates) else []


def _table(*columns: str) -> Table:
    table = Table(title="Proposals, best first", title_justify="left")
    for name in columns:
        table.add_column(name, justify="right", overflow="fold")
    return table


def _corners(box: Box) -> str:
    return ",".join(f"{edge:.0f}" for edge in box.to_list())
