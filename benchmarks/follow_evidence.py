"""The evidence of every case of following a lesion, kept on disk: what fit and benchmark read.

    python benchmarks/follow_evidence.py --draw DIR --seed N           # phantoms, 24 patients
    python benchmarks/follow_evidence.py --out DIR --part fit|test \\
        [--phantoms DIR --pairs N] [--data REAL_DATA --planted N]

One .npz a case; what is there already is not done again. Half of the phantoms' searches go
without the lesion's own slices, as where an archive is not at hand. Baselines beside: the points
that body position and registration predict, and the detector's best proposal.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.follow_cases import Case, phantom_cases, planted_cases
from retrieval.detection.detector import LesionDetector
from retrieval.embedding.encoder import LesionEncoder
from retrieval.image import Slab
from retrieval.lesion import Lesion
from retrieval.patch import extract_patch
from retrieval.position.locator import BodyLocator, SeriesPosition
from retrieval.synthesis.phantom.archive import write_archive
from retrieval.synthesis.phantom.config import PhantomConfig
from retrieval.tracking.edges import TrackNode
from retrieval.tracking.following.dense_search import points_mm
from retrieval.tracking.following.expected import ExpectedPlace
from retrieval.tracking.following.matching import Sought, evidence_of
from retrieval.tracking.following.model import EVIDENCE_NAMES
from retrieval.tracking.following.registration import Registration
from retrieval.tracking.following.search import (
    FollowOptions,
    FollowTools,
    IndexedLesion,
    expected_place,
    seen_about,
)
from retrieval.tracking.following.search_area import SearchArea
from retrieval.tracking.matcher import bundled_matcher

SEEDS = {"fit": 1, "test": 2}


class Bench:
    """The models, and what they see of a case."""

    def __init__(self) -> None:
        self.tools = FollowTools(
            LesionEncoder.load(), bundled_matcher(), BodyLocator.load(), LesionDetector.load()
        )

    def node(self, lesion: Lesion, slab: Slab) -> TrackNode:
        """The lesion with its vector, as an index holds it."""
        encoder = self.tools.encoder
        box = slab.display_box(lesion.box)
        vector = encoder.embed([extract_patch(slab, box, encoder.spec)]).vectors[0]
        if lesion.location is None:
            found = self.tools.locator.locate_box(slab, box)
            lesion = lesion.with_changes(
                location=found.location, location_error=found.location_error
            )
        return TrackNode(lesion, vector)

    def collect(self, case: Case, *, with_pixels: bool) -> dict[str, Any]:
        """The evidence, its points, the truth and the baselines of one case."""
        own = case.own if with_pixels else None
        # Without pixels the place is that of an estimate, as of an index without given locations.
        lesion = case.lesion if with_pixels else case.lesion.with_changes(location=None)
        sought = IndexedLesion(
            self.node(lesion, case.own),
            case.own.spacing_mm_px,
            [self.node(*one) for one in case.others],
            own,
        )
        wall, cpu = time.perf_counter(), time.process_time()
        series = self.tools.locator.locate(case.series)
        by_position = expected_place(sought, series, self.tools.locator)
        expected = by_position
        if own is not None:
            placed = Registration(case.lesion, own, case.series)(series, by_position)
            expected = placed or by_position
        area = SearchArea.of(case.series, series, expected)
        sightings, looked_at = seen_about(sought, area, self.tools, FollowOptions())
        nodes = Sought.at(sought.node, sought.others, area)
        if sightings:
            evidence = evidence_of(sightings, nodes, area, self.tools.matcher)
        else:
            evidence = np.zeros((len(nodes.rows), 0, len(EVIDENCE_NAMES)))
        seconds = (time.perf_counter() - wall, time.process_time() - cpu)
        points = points_mm(sightings, case.series)
        steps = np.array([*case.series.spacing_mm_px, case.series.slice_interval_mm])
        truth = np.full(3, np.nan) if case.truth is None else np.array(case.truth) * steps
        detected = [one.detector_score or -1.0 for one in sightings]
        return {
            "patient": case.patient,
            "kind": case.kind,
            "with_pixels": with_pixels,
            "extent_mm": case.extent_mm,
            "evidence": evidence,
            "points": points,
            "truth": truth,
            "source": expected.source.value,
            "share": area.share_covered(),
            "slices": len(case.series.hu),
            "boxes": looked_at,
            "seconds": seconds,
            "position": _point(by_position, case.series, series) * steps,
            "expected": _point(expected, case.series, series) * steps,
            "detector": points[int(np.argmax(detected))]
            if max(detected, default=-1) > 0
            else np.full(3, np.nan),
        }


def _point(place: ExpectedPlace, slab: Slab, series: SeriesPosition) -> np.ndarray:
    area = SearchArea.of(slab, series, place)
    if not area.positions:
        return np.full(3, np.nan)
    at = min(area.positions, key=lambda one: abs(area.heights[one] - place.location[2]))
    return np.array([*area.frames[at].point_at(*place.location[:2]), at])


def cases(asked: argparse.Namespace) -> Iterator[Case]:
    """Phantoms and planted ones in turn."""
    seed = SEEDS[asked.part]
    if asked.phantoms:
        yield from phantom_cases(asked.phantoms, asked.pairs, seed)
    if asked.data:
        yield from planted_cases(asked.data, asked.part, asked.planted, seed)


def main() -> None:
    """Draws phantoms, or collects the evidence of a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--draw", type=Path)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--part", choices=tuple(SEEDS))
    parser.add_argument("--phantoms", type=Path)
    parser.add_argument("--pairs", type=int, default=25)
    parser.add_argument("--data", type=Path)
    parser.add_argument("--planted", type=int, default=50)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    torch.set_num_threads(1)
    if asked.draw is not None:
        write_archive(asked.draw, PhantomConfig(patients=24, seed=asked.seed, half_depth_mm=50.0))
        return
    asked.out.mkdir(parents=True, exist_ok=True)
    bench = Bench()
    fingerprint = bench.tools.encoder.fingerprint
    for number, case in enumerate(cases(asked)):
        file = asked.out / f"{case.kind}_{number:03d}.npz"
        if file.exists():
            continue
        row = bench.collect(case, with_pixels=not (case.kind == "phantom" and number % 4 > 1))
        np.savez_compressed(file, encoder=fingerprint, name=case.name, **row)
        print(file.name, case.truth is not None, row["seconds"], flush=True)


if __name__ == "__main__":
    main()
