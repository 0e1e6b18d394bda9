"""Lesions followed into the unmarked series of unseen phantom patients, beside baselines.

    python benchmarks/follow.py --archive DIR --out benchmarks/results/follow.json [--pairs N]
    python benchmarks/follow.py --draw DIR     # the archive: 12 patients, seed 90514, 50 mm

The series of a study is its run of stored slices that holds the first key slice. Positive: the
lesion is marked in that run. Negative: its track is not marked in that study at all, so it has
gone (or not yet come). Baselines: the point that body position, or where it succeeds registration,
predicts; the detector's best proposal in the whole search area.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retrieval.detection.detector import LesionDetector
from retrieval.embedding.encoder import LesionEncoder
from retrieval.image import Slab
from retrieval.lesion import Box, Lesion
from retrieval.patch import extract_patch
from retrieval.position.locator import BodyLocator
from retrieval.sources.archive import Archive, open_archive
from retrieval.sources.query_image import open_query_image
from retrieval.synthesis.phantom.archive import write_archive
from retrieval.synthesis.phantom.config import PhantomConfig
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.following.findings import FollowState
from retrieval.tracking.following.proposals import proposed
from retrieval.tracking.following.registration import Registration
from retrieval.tracking.following.search import (
    FollowTools,
    IndexedLesion,
    expected_place,
    find_again,
)
from retrieval.tracking.following.search_area import SearchArea
from retrieval.tracking.matcher import bundled_matcher

DRAWN = PhantomConfig(patients=12, seed=90514, half_depth_mm=50.0)
NEAR_MM = 10.0
OWN_MM = 60.0


@dataclass(frozen=True)
class Case:
    """A lesion, the marks of another study, and its own mark among them (None: it has gone)."""

    lesion: Lesion
    others: list[Lesion]
    there: list[Lesion]
    truth: Lesion | None


def cases(archive: Archive, pairs: int, seed: int = 0) -> list[Case]:
    """As many positives as negatives, drawn at random, at most ``pairs`` of each."""
    by_study: dict[tuple[str, str], list[Lesion]] = {}
    for lesion in archive.lesions:
        by_study.setdefault((lesion.patient_id, lesion.study_id), []).append(lesion)
    found: dict[bool, list[Case]] = {True: [], False: []}
    for (patient, study), lesions in by_study.items():
        for (other, later), there in by_study.items():
            if other != patient or later == study:
                continue
            for lesion in lesions:
                track = archive.track_ids[lesion.lesion_id]
                same = [x for x in there if archive.track_ids[x.lesion_id] == track]
                rest = [x for x in lesions if x is not lesion]
                case = Case(lesion, rest, there, same[0] if same else None)
                found[bool(same)].append(case)
    generator = np.random.default_rng(seed)
    drawn = []
    for kind in found.values():
        order = generator.permutation(len(kind))[:pairs]
        drawn.append([kind[int(at)] for at in order])
    return [case for both in zip(*drawn, strict=False) for case in both]


def offset_mm(slab: Slab, box: Box, number: int, truth: Lesion) -> float:
    """Between the middles of a box and of the true mark."""
    dx, dy = (a - b for a, b in zip(box.center, truth.box.center, strict=True))
    x_mm, y_mm = slab.spacing_mm_px
    dz = (number - truth.key_slice_index) * slab.slice_interval_mm
    return float(np.linalg.norm([dx * x_mm, dy * y_mm, dz]))


class Bench:
    """The models, and an archive whose lesions are followed."""

    def __init__(self, archive: Archive) -> None:
        self.archive = archive
        self.tools = FollowTools(
            LesionEncoder.load(), bundled_matcher(), BodyLocator.load(), LesionDetector.load()
        )

    def node(self, lesion: Lesion) -> TrackNode:
        """The lesion with its vector, as an index holds it."""
        encoder = self.tools.encoder
        slab = self.archive.slab(lesion, half_depth_mm=encoder.spec.half_depth_mm)
        return TrackNode(
            lesion, encoder.embed([extract_patch(slab, lesion.box, encoder.spec)]).vectors[0]
        )

    def run(self, case: Case) -> dict[str, Any] | None:
        """One case; None where the true mark lies outside the run of slices."""
        mark = case.truth or case.there[0]
        folder = self.archive.root / self.archive.source(mark).image
        slab = open_query_image(
            folder.parent, key_slice_index=mark.key_slice_index, half_depth_mm=1e6
        )
        own = self.archive.slab(case.lesion, half_depth_mm=OWN_MM)
        sought = IndexedLesion(
            self.node(case.lesion), own.spacing_mm_px, [self.node(x) for x in case.others], own
        )
        placing = Registration(case.lesion, own, slab)
        wall, cpu = time.perf_counter(), time.process_time()
        found = find_again(sought, slab, self.tools, placing=placing)
        row: dict[str, Any] = {
            "lesion": case.lesion.lesion_id,
            "type": case.lesion.lesion_type.value,
            "long_mm": case.lesion.long_mm,
            "present": case.truth is not None,
            "state": found.state.value,
            "score": found.candidates[0].score if found.candidates else 0.0,
            "share": found.covered.share,
            "source": found.expected.source.value,
            "slices": len(slab.hu),
            "boxes": found.covered.boxes,
            "wall_s": round(time.perf_counter() - wall, 2),
            "cpu_s": round(time.process_time() - cpu, 2),
        }
        if case.truth is not None and found.candidates:
            best = found.candidates[0]
            row["offset_mm"] = offset_mm(slab, best.box, best.key_slice_index, case.truth)
            row |= self._baselines(sought, slab, found.expected, case.truth)
        return row

    def _baselines(
        self, sought: IndexedLesion, slab: Slab, expected: Any, truth: Lesion
    ) -> dict[str, float | None]:
        series = self.tools.locator.locate(slab)
        by_position = expected_place(sought, series, self.tools.locator)
        answers: dict[str, float | None] = {}
        for name, place in (("position_mm", by_position), ("registration_mm", expected)):
            area = SearchArea.of(slab, series, place)
            answers[name] = None
            if area.positions:
                at = min(area.positions, key=lambda one: abs(area.heights[one] - place.location[2]))
                x, y = area.frames[at].point_at(*place.location[:2])
                number = slab.grid.to_file_slice(at)
                box = Box(x - 1, y - 1, x + 1, y + 1)
                answers[name] = offset_mm(slab, box, number, truth)
        assert self.tools.detector is not None
        area = SearchArea.of(slab, series, by_position)
        best = proposed(self.tools.detector, area)[:1]
        answers["detector_mm"] = (
            offset_mm(slab, best[0].box, slab.grid.to_file_slice(best[0].key_slice_index), truth)
            if best
            else None
        )
        return answers


def summary(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Shares and medians; a method without an answer is a miss."""
    present = [row for row in rows if row["present"]]
    gone = [row for row in rows if not row["present"]]
    named = [row for row in present if row["state"] == FollowState.FOUND]
    told: dict[str, Any] = {"present": len(present), "gone": len(gone)}
    for name in ("offset_mm", "position_mm", "registration_mm", "detector_mm"):
        values = np.array([_or_infinite(row.get(name)) for row in present])
        told[name] = {
            "within_10_mm": _share(values <= NEAR_MM),
            "median_mm": round(float(np.median(values)), 2) if values.size else None,
        }
    told["states_present"] = _states(present)
    told["states_gone"] = _states(gone)
    told["found_and_within_10_mm"] = _share(
        np.array([_or_infinite(row.get("offset_mm")) <= NEAR_MM for row in named])
    )
    told["median_cpu_s"] = float(np.median([row["cpu_s"] for row in rows]))
    told["cpu_ms_a_slice"] = round(
        1000 * sum(row["cpu_s"] for row in rows) / sum(row["slices"] for row in rows), 1
    )
    return told


def _states(rows: list[dict[str, Any]]) -> dict[str, int]:
    return {state.value: sum(row["state"] == state for row in rows) for state in FollowState}


def _share(hits: Any) -> float | None:
    return round(float(np.mean(hits)), 3) if len(hits) else None


def _or_infinite(value: float | None) -> float:
    return 1e9 if value is None else value


def rows_of(bench: Bench, chosen: list[Case]) -> Iterator[dict[str, Any]]:
    """The rows as they are done."""
    for case in chosen:
        row = bench.run(case)
        if row is not None:
            print(json.dumps(row), flush=True)
            yield row


def main() -> None:
    """Draws the archive, or follows its lesions and writes the report."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", type=Path)
    parser.add_argument("--archive", type=Path)
    parser.add_argument("--pairs", type=int, default=20)
    parser.add_argument("--shard", type=int, nargs=2, default=(0, 1), metavar=("N", "OF"))
    parser.add_argument("--merge", type=Path, nargs="*", help="reports of shards")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.draw is not None:
        write_archive(asked.draw, DRAWN)
        return
    if asked.merge:
        rows = [row for file in asked.merge for row in json.loads(file.read_text())["cases"]]
    else:
        archive = open_archive(asked.archive)
        first, step = asked.shard
        chosen = cases(archive, asked.pairs)[first::step]
        rows = []
        for row in rows_of(Bench(archive), chosen):
            rows.append(row)
            _write(asked.out, rows)
    _write(asked.out, rows)


def _write(out: Path, rows: list[dict[str, Any]]) -> None:
    report = {"seed": DRAWN.seed, "patients": DRAWN.patients, **summary(rows), "cases": rows}
    out.write_text(json.dumps(report, indent=1) + "\n")


if __name__ == "__main__":
    main()
