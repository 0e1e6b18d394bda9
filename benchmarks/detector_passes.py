"""Milliseconds of a slice with one pass and with a close look, on real slices of several sizes.

    OMP_NUM_THREADS=1 python benchmarks/detector_passes.py --data DATA --slices 6

Each slice is detected in turn by every variant, several times, on one thread; the processor time of
the fastest round counts, so that other work on the machine weighs little. "One pass of before" is
the network without ``with_pixelwise_products`` and without a close look, as it was when the limit
of 1.3 times its time was set. Writes benchmarks/results/detector_passes.json.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from real_slices import Image, images, opened

from retrieval.detection.close_look import CloseLook
from retrieval.detection.detector import BUNDLED_DETECTOR, LesionDetector, ProposalCut
from retrieval.detection.detector import load_detection_network as load_network
from retrieval.image import Slab
from retrieval.nn.folding import folded
from retrieval.nn.slice_statistics import with_slice_statistics

RESULT = Path(__file__).parent / "results" / "detector_passes.json"
COLLECTIONS = (
    "deeplesion_windowed",
    "real_ct_1mm",
    "real_ct_extra",
    "sarcoma_ct",
    "lung_pet_ct_dx",
)
BEFORE, ONE_PASS, CLOSE_LOOK = "one pass of before", "one pass", "close look"


def main() -> None:
    """Measures and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--slices", type=int, default=6, help="images of a collection")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    torch.set_num_threads(1)
    detectors = variants()
    result: dict[str, object] = {
        "detector": detectors[ONE_PASS].fingerprint,
        "torch_threads": 1,
        "rounds": options.rounds,
        "collections": {},
    }
    every: dict[str, list[float]] = {}
    for name in COLLECTIONS:
        slabs = _slabs(options.data, name, options.slices)
        spent = _times(detectors, slabs, options.rounds)
        for variant, each in spent.items():
            every.setdefault(variant, []).extend(each)
        sizes = [
            f"{slab.columns} x {slab.rows} at {slab.spacing_mm_px[0]:.2f} mm" for slab in slabs
        ]
        result["collections"][name] = {"sizes": sorted(set(sizes)), **_told(spent)}
    result |= {"all": _told(every), "load_average": round(os.getloadavg()[0], 1)}
    options.out.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(result, indent=1))


def variants() -> dict[str, LesionDetector]:
    """A detector for each variant, all of the same weights."""
    network, *_ = load_network(BUNDLED_DETECTOR)
    before = LesionDetector.load(cut=ProposalCut(close_look=None))
    before.network = with_slice_statistics(folded(network))
    return {
        BEFORE: before,
        ONE_PASS: LesionDetector.load(cut=ProposalCut(close_look=None)),
        CLOSE_LOOK: LesionDetector.load(cut=ProposalCut(close_look=CloseLook())),
    }


def _slabs(data: Path, collection: str, count: int) -> list[Slab]:
    """The middle slices of ``count`` images spread over the collection."""
    found: Sequence[Image] = [one for one in images(data) if one.collection == collection]
    slabs = [opened(one) for one in found[:: max(1, len(found) // count)][:count]]
    return [slab.with_key_slice(len(slab.hu) // 2) for slab in slabs]


def _times(
    detectors: Mapping[str, LesionDetector], slabs: Sequence[Slab], rounds: int
) -> dict[str, list[float]]:
    """Milliseconds of each slab: the fastest of its rounds, variants in turn."""
    spent = {name: [float("inf")] * len(slabs) for name in detectors}
    for _ in range(rounds):
        for place, slab in enumerate(slabs):
            for name, detector in detectors.items():
                start = time.process_time()
                detector.detect(slab)
                taken = (time.process_time() - start) * 1000
                spent[name][place] = min(spent[name][place], taken)
    return spent


def _told(spent: Mapping[str, Sequence[float]]) -> dict[str, object]:
    before, one = statistics.fmean(spent[BEFORE]), statistics.fmean(spent[ONE_PASS])
    look = statistics.fmean(spent[CLOSE_LOOK])
    return {
        "slices": len(spent[BEFORE]),
        "processor_ms": {name: round(statistics.fmean(each), 1) for name, each in spent.items()},
        "close_look_over_one_pass": round(look / one, 2),
        "close_look_over_one_pass_of_before": round(look / before, 2),
    }


if __name__ == "__main__":
    main()
