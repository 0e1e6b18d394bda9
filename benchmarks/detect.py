"""Speed of detection: one key slice and a whole series, over the bare forward pass.

    python benchmarks/detect.py --archive archive --slices 20
    python benchmarks/detect.py --archive archive --device cuda

A slice is decoded already. Timed are the product's own ``LesionDetector.detect`` (grid, crop,
network, merging) and, in turn with it on the same slices, the network alone on the prepared grid.
``--rows 512`` stretches every slice to that many pixels at the archive's field of view, as clinical
CT has them. The series is one lesion's slab scanned slice by slice with ``scan_volume``. Writes
benchmarks/results/detect.json.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import resource
import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import torch

from retrieval.detection.detector import LesionDetector
from retrieval.detection.network import scaled
from retrieval.detection.volumes import scan_volume
from retrieval.detection.whole_slice import whole_slice
from retrieval.image import Slab
from retrieval.sources.deeplesion.archive import DeepLesionArchive

RESULT = Path(__file__).parent / "results" / "detect.json"
LIMIT_MS = 600.0


def main() -> None:
    """Measures and writes the result."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--detector", type=Path, help="default: the bundled detector")
    parser.add_argument("--slices", type=int, default=20)
    parser.add_argument("--rows", type=int, default=512)
    parser.add_argument("--threads", type=int, default=2, help="torch threads")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--out", type=Path, default=RESULT)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    before_mb = _peak_mb()
    detector = LesionDetector.load(arguments.detector, device=arguments.device)
    slabs = _slabs(arguments.archive, arguments.slices, arguments.rows, detector.half_depth_mm)
    measured = {
        **_slice_times(detector, slabs, arguments.device),
        **_series_rate(detector, slabs[0]),
        "limit_ms": LIMIT_MS,
        "detector": detector.name,
        "fingerprint": detector.fingerprint,
        "context_slices": detector.spec.slices,
        "image_rows": arguments.rows,
        "device": arguments.device,
        "torch_threads": arguments.threads,
        "processors": os.cpu_count(),
        "machine": platform.machine(),
        "load_average": round(os.getloadavg()[0], 2),
        "peak_memory_mb_over_start": round(_peak_mb() - before_mb),
    }
    arguments.out.parent.mkdir(parents=True, exist_ok=True)
    arguments.out.write_text(json.dumps(measured, indent=2) + "\n", encoding="utf-8")
    print(json.dumps(measured, indent=2))


def _slabs(root: Path, count: int, rows: int, half_depth_mm: float) -> list[Slab]:
    archive = DeepLesionArchive.open(root)
    chosen = archive.lesions[:: max(1, len(archive.lesions) // count)][:count]
    return [_stretched(archive.slab(x, half_depth_mm=half_depth_mm), rows) for x in chosen]


def _stretched(slab: Slab, rows: int) -> Slab:
    """The slab with ``rows`` rows over the same field of view."""
    columns = round(slab.columns * rows / slab.rows)
    hu = np.stack([cv2.resize(plane, (columns, rows)) for plane in slab.hu])
    x, y = slab.spacing_mm_px
    spacing = (x * slab.columns / columns, y * slab.rows / rows)
    return Slab(hu, spacing, slab.slice_interval_mm, slab.key_slice, slab.grid)


def _slice_times(detector: LesionDetector, slabs: Sequence[Slab], device: str) -> dict[str, object]:
    """Milliseconds of the whole path and of the network alone, measured in turn."""
    network = detector.network
    grids = [whole_slice(slab, detector.spec) for slab in slabs]
    pictures = [scaled(torch.from_numpy(grid.hu)).to(device) for grid in grids]
    whole, bare = [], []
    with torch.inference_mode():
        for round_ in ("warm", "timed"):
            for slab, picture in zip(slabs, pictures, strict=True):
                took = (
                    _timed(partial(detector.detect, slab), device),
                    _timed(partial(network, [picture]), device),
                )
                if round_ == "timed":
                    whole.append(took[0])
                    bare.append(took[1])
    return {
        "slices": len(slabs),
        "ms_a_slice_p50": round(statistics.median(whole), 1),
        "bare_forward_ms_p50": round(statistics.median(bare), 1),
        "whole_over_bare": round(statistics.median(whole) / statistics.median(bare), 3),
    }


def _series_rate(detector: LesionDetector, slab: Slab) -> dict[str, object]:
    start = time.perf_counter()
    candidates = scan_volume(detector, slab)
    seconds = time.perf_counter() - start
    return {
        "series_slices": len(slab.hu),
        "series_slices_a_second": round(len(slab.hu) / seconds, 2),
        "series_candidates": len(candidates),
    }


def _timed(work: Callable[[], object], device: str) -> float:
    if device != "cpu":
        torch.cuda.synchronize()
    start = time.perf_counter()
    work()
    if device != "cpu":
        torch.cuda.synchronize()
    return (time.perf_counter() - start) * 1000


def _peak_mb() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


if __name__ == "__main__":
    main()
