"""Which close look is worth its time: windows and thresholds compared on validation patients.

    OMP_NUM_THREADS=1 python benchmarks/close_look_choice.py --archive pasted_validation \
        --archive sarcoma --archive phantom --archive deeplesion_windowed

Of the validation split of each archive (of an archive without one: all) every key slice gets its
first pass once and every window that any variant asks for once. A variant then costs what its first
pass and its windows took, in processor time on one thread, and is scored from the same boxes, so
that hundreds of variants need one run. Differences of the mean sensitivity from the first variant
are drawn over whole patients. The same slices serve all variants. Never give it the archives
that the card's scores are from. Writes benchmarks/results/close_look_choice.json.

The rule: of the variants that lose at most ``MAY_LOSE`` of the first one's mean sensitivity and of
its best four, on all lesions of every archive and on those under 10 mm of the first archive, the
one that takes the least time over one pass, the mean of the archives. (Asked of every group by size
nothing else would pass: of phantoms under 10 mm one lesion is 0.1.)
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from itertools import product
from pathlib import Path

import numpy as np
import torch
from detector_validation import _slices as validation_slices

from retrieval.body import body_interior
from retrieval.detection.close_look import CloseLook, Window
from retrieval.detection.detector import EVERYTHING, LesionDetector
from retrieval.detection.merging import MergeMethod, merge_proposals
from retrieval.detection.on_patient import on_patient
from retrieval.detection.proposals import Proposal
from retrieval.detection.whole_slice import whole_slice
from retrieval.evaluation.detection.froc import resampled_means
from retrieval.evaluation.detection.key_slices import (
    IOU_THRESHOLD,
    RATES,
    DetectionOptions,
    KeySlice,
    score_key_slices,
    scored_boxes,
)
from retrieval.evaluation.detection.matching import iou, match
from retrieval.evaluation.stats.metrics import FloatArray
from retrieval.image import Slab
from retrieval.nn.slice_statistics import SliceStatistics
from retrieval.sources.archive import open_archive

RESULT = Path(__file__).parent / "results" / "close_look_choice.json"
MAY_LOSE = 0.01
LOOKS = ((1.4, 137.0), (1.4, 114.0), (1.4, 91.0), (1.7, 91.0))
"""Scale and side in mm of the windows that are computed."""

GROUPS = ("all", "under 10 mm", "10 to 30 mm")


@dataclass(frozen=True)
class Variant:
    """A close look, or none, and how its boxes and the first pass's become one list."""

    look: CloseLook | None
    iou: float = 0.4
    merge: MergeMethod = MergeMethod.NMS

    def to_json(self) -> dict[str, object]:
        """What distinguishes it."""
        look = None if self.look is None else asdict(self.look)
        return {"close_look": look, "merge": self.merge.value, "merge_iou": self.iou}


@dataclass
class Seen:
    """What was computed on one slice: boxes of the first pass, and of each window unjudged."""

    first: list[Proposal]
    ms: float
    windows: dict[tuple[float, Window], tuple[list[Proposal], float]] = field(default_factory=dict)


def main() -> None:
    """Computes, scores and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, action="append", required=True)
    parser.add_argument("--most", type=int, default=100, help="key slices of an archive")
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    detector = LesionDetector.load(cut=EVERYTHING)
    document: dict[str, object] = {"detector": detector.fingerprint, "archives": {}}
    told: list[dict[str, object]] = [one.to_json() for one in variants()]
    for folder in options.archive:
        archive = open_archive(folder)
        slices = validation_slices(archive, options.most)
        depth = detector.half_depth_mm
        every = [
            _Slice(detector, archive.slab(one.lesions[0], half_depth_mm=depth)) for one in slices
        ]
        scored = [_scores(slices, every, one) for one in variants()]
        for place, (scores, means) in enumerate(scored):
            gained = means - scored[0][1]
            low, high = np.percentile(gained[1:], (2.5, 97.5))
            interval = [round(float(x), 3) for x in (gained[0], low, high)]
            told[place][folder.name] = {**scores, "mean gained, low, high": interval}
        document["archives"][folder.name] = len(slices)
        document["chosen"] = chosen(told, list(document["archives"]))
        document["variants"] = told
        options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def variants() -> list[Variant]:
    """The close look of two windows without a threshold first, then none, then the others."""
    now = CloseLook(windows=2, least_score=0.0)
    looks = [
        replace(now, scale=scale, side_mm=side, windows=windows, least_score=least)
        for (scale, side), windows, least in product(
            LOOKS, (1, 2), (0.0, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3)
        )
    ]
    found = [Variant(now), Variant(None), *(Variant(one) for one in looks if one != now)]
    for up_to, worth in product((12.0, 15.0, 20.0), (0.85, 0.92, 1.0)):
        found.append(Variant(replace(now, up_to_mm=up_to, worth=worth)))
    found += [Variant(now, iou) for iou in (0.3, 0.5)]
    return [*found, Variant(now, 0.4, MergeMethod.WBF)]


def chosen(told: Sequence[dict[str, object]], archives: Sequence[str]) -> dict[str, object]:
    """By the rule; the first variant is the one that the others are held against."""

    def time_over_one_pass(one: dict[str, object]) -> float:
        return float(np.mean([one[name]["over_one_pass"] for name in archives]))

    def keeps(one: dict[str, object]) -> bool:
        return all(
            one[name][group][score] >= value - MAY_LOSE - 1e-9
            for name in archives
            for group in (GROUPS[:2] if name == archives[0] else GROUPS[:1])
            for score, value in told[0][name][group].items()
        )

    best = min(filter(keeps, told), key=time_over_one_pass)
    return {
        **{name: best[name] for name in ("close_look", "merge", "merge_iou")},
        "over_one_pass": round(time_over_one_pass(best), 2),
        "over_one_pass_before": round(time_over_one_pass(told[0]), 2),
    }


class _Slice:
    """One slice, of which windows are computed when they are first asked for."""

    def __init__(self, detector: LesionDetector, slab: Slab) -> None:
        self.detector, self.slab = detector, slab
        start = time.process_time()
        self.interior = body_interior(slab.hu[slab.key_slice], slab.spacing_mm_px)
        self.whole = whole_slice(slab, detector.spec, self.interior)
        self.statistics = SliceStatistics()
        with self.statistics.kept():
            first = on_patient(detector.propose(self.whole), slab, self.interior)
        self.merged = merge_proposals(first, method=MergeMethod.NMS, iou=0.4, limit=100)
        self.seen = Seen(first, (time.process_time() - start) * 1000)

    def boxes(self, variant: Variant) -> tuple[list[Proposal], float]:
        """The raw proposals of a variant and the milliseconds that they take."""
        found, spent = list(self.seen.first), self.seen.ms
        if (look := variant.look) is None:
            return found, spent
        for window in self.detector.windows(self.whole, self.merged, look):
            key = (look.scale, window)
            if key not in self.seen.windows:
                self.seen.windows[key] = self._computed(look, window)
            inside, ms = self.seen.windows[key]
            spent += ms
            found += [
                self.detector.calibration.applied(replace(x, score=x.score * look.worth))
                for x in inside
                if x.long_mm <= look.up_to_mm
            ]
        return found, spent

    def _computed(self, look: CloseLook, window: Window) -> tuple[list[Proposal], float]:
        """Raw scores, unweighted, of lesions up to 25 mm."""
        start = time.process_time()
        with self.statistics.used():
            found = self.detector.seen_in(
                self.whole, [window], replace(look, worth=1.0, up_to_mm=25.0)
            )
        kept = on_patient(found, self.slab, self.interior)
        return kept, (time.process_time() - start) * 1000


def _scores(
    slices: Sequence[KeySlice], every: Sequence[_Slice], variant: Variant
) -> tuple[dict[str, object], FloatArray]:
    """Scores by size with the time, and each slice's mean sensitivity for the resampling."""
    boxes, spent = [], []
    for one in every:
        found, ms = one.boxes(variant)
        merged = merge_proposals(found, method=variant.merge, iou=variant.iou, limit=100)
        boxes.append(scored_boxes(merged))
        spent.append(ms)
    truth = [np.array([x.box.to_list() for x in one.lesions], np.float64) for one in slices]
    _, patients = np.unique([x.lesions[0].patient_id for x in slices], return_inverse=True)
    matched = match(truth, boxes, iou, threshold=IOU_THRESHOLD)
    scored = score_key_slices(slices, boxes, DetectionOptions(resamples=2))
    names = ("mean of 0.5, 1, 2, 4", "best 4")
    groups = {
        group: {name: round(scored.groups[group][name].value, 3) for name in names}
        for group in GROUPS
        if group in scored.groups
    }
    first = np.mean([one.seen.ms for one in every])
    return {
        "slices": len(slices),
        "processor_ms": round(float(np.mean(spent)), 1),
        "over_one_pass": round(float(np.mean(spent) / first), 2),
        **groups,
    }, resampled_means(matched, np.asarray(patients, np.int64), RATES, resamples=500)


if __name__ == "__main__":
    main()
