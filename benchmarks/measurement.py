r"""Measures real lesions: how long it takes, a figure of them, and the sample against human masks.

    python benchmarks/measurement.py --data REAL --sample --figure lesions.png \
        --phantom-figure docs/images/measured_phantoms.png --out benchmarks/results/measurement.json

The figure shows twelve lesions of left-out patients, the worst of them last; it holds images of the
collections and is never committed; the same of phantoms is. The sample's lesions are evaluation
only: nothing was chosen by them. Human masks are those of ULS23. Times are of the processor, on two
threads: no less than what a lesion takes on two quiet cores.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
import tempfile
import time
import zipfile
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import torch

from retrieval.evaluation.segmentation.cohort import CohortFolders, SegmentationCase, read_cohort
from retrieval.evaluation.segmentation.scores import boundary_mm, dice
from retrieval.lesion import BOX_PADDING_PX, LesionSearchError
from retrieval.segmentation.diameters import diameters_of
from retrieval.segmentation.intervals import bundled_calibration
from retrieval.segmentation.learning.example import on_largest_slice
from retrieval.segmentation.learning.phantoms import phantom_lesions
from retrieval.segmentation.learning.prompting import extent_box, jittered
from retrieval.segmentation.measuring import GivenMark, LesionMeasurement, measure
from retrieval.segmentation.prompt import Prompt
from retrieval.segmentation.segmenter import LesionSegmenter
from retrieval.sources.archive import open_archive

SHOWN = 12
JITTER_MM = 0.6
TIMED = 30
PHANTOMS, PHANTOM_SEED = 5, 4242


def cases_of(data: Path) -> list[SegmentationCase]:
    """Left-out nodules and sarcomas, and DeepLesion lesions with masks."""
    folders = CohortFolders(
        data / "lung_nodules", data / "sarcoma_ct", data / "deeplesion_windowed"
    )
    return read_cohort(folders)


def marked(case: SegmentationCase, number: int) -> GivenMark:
    """Two lines with jittered ends."""
    rng = np.random.default_rng([1, number])
    spacing = case.lesion.slab.spacing_mm_px
    return GivenMark.of_recist(jittered(case.key_mark, JITTER_MM, spacing, rng), spacing)


def times(segmenter: LesionSegmenter, cases: list[SegmentationCase]) -> dict[str, Any]:
    """Milliseconds a lesion from a box, in 2D and in 3D."""
    spent: dict[str, list[float]] = {"2D": [], "3D": []}
    for case in cases[:: max(len(cases) // TIMED, 1)]:
        spacing = case.lesion.slab.spacing_mm_px
        box = extent_box(case.key_mark, BOX_PADDING_PX)
        for name, in_3d in (("2D", False), ("3D", True)):
            start = time.process_time()
            mark = GivenMark(Prompt.from_box(box, spacing))
            measure(segmenter, bundled_calibration(), case.lesion.slab, mark, in_3d=in_3d)
            spent[name].append((time.process_time() - start) * 1000)
    return {
        f"{name} ms": {
            "p50": round(float(np.median(one)), 1),
            "p95": round(float(np.percentile(one, 95)), 1),
            "longest": round(max(one), 1),
            "lesions": len(one),
        }
        for name, one in spent.items()
    }


def sample(segmenter: LesionSegmenter, data: Path) -> list[dict[str, Any]]:
    """The key slices of the sample against human masks (3D) or GrabCut's (2D)."""
    archive = open_archive(data / "deeplesion_sample")
    masks = data / "samples" / "uls23_deeplesion_masks"
    rows = []
    for lesion in archive.lesions:
        name = archive.image_name(lesion).removesuffix(".png")
        for kind in ("human_3d", "grabcut_2d_sample_and_dls_valid"):
            for file in sorted((masks / kind).glob(f"{name}*.zip")):
                try:
                    rows.append(against(segmenter, archive, lesion, file, kind))
                except LesionSearchError as problem:
                    sys.stderr.write(f"{name}: {problem}\n")
    return [row for row in rows if row]


def mask_of(file: Path) -> np.ndarray:
    """The one NIfTI in an archive."""
    with zipfile.ZipFile(file) as held:
        packed = held.read(held.namelist()[0])
    content = gzip.decompress(packed) if packed[:2] == b"\x1f\x8b" else packed
    return np.squeeze(np.asarray(nibabel.Nifti1Image.from_bytes(content).dataobj)) > 0


def against(segmenter: Any, archive: Any, lesion: Any, file: Path, kind: str) -> dict[str, Any]:
    """One lesion of the sample on its key slice, against one mask."""
    slab = archive.slab(lesion, half_depth_mm=10.0)
    stored = mask_of(file)
    x, y = lesion.box.center
    truth = np.zeros((slab.rows, slab.columns), bool)
    # The VOI of 256 pixels lies about the middle of the box; one slice of it is the key slice.
    planes = [stored[:, :, k].T for k in (64, 65)] if stored.ndim == 3 else [stored.T]
    voi = max(planes, key=lambda plane: plane.sum())
    row, column = round(y - 127.5), round(x - 127.5)
    for r, c in zip(*np.nonzero(voi), strict=True):
        if 0 <= r + row < slab.rows and 0 <= c + column < slab.columns:
            truth[r + row, c + column] = True
    mark = GivenMark.of_recist(
        slab.grid.to_display_recist(archive.row(lesion).recist), slab.spacing_mm_px
    )
    ellipse = mark.prompt.mask(truth.shape, slab.spacing_mm_px)
    if dice(ellipse, truth) < 0.3:
        return {}  # the mask of another lesion of the slice
    found = measure(segmenter, bundled_calibration(), slab, mark, in_3d=False)
    mask = found.whole_mask[slab.key_slice]
    lines = diameters_of(truth.astype(float), slab.spacing_mm_px)
    return {
        "lesion": archive.image_name(lesion).removesuffix(".png"),
        "mask": kind,
        "method": found.method.value,
        "dice": round(dice(mask, truth), 3),
        "ellipse dice": round(dice(ellipse, truth), 3),
        "best dice of any ellipse so placed": round(best_of_size(mark.prompt, truth, slab), 3),
        "mask area over ellipse area": round(float(truth.sum() / ellipse.sum()), 2),
        "mask area over network area": round(float(truth.sum() / mask.sum()), 2),
        "boundary_mm": round(boundary_mm(mask, truth, slab.spacing_mm_px), 2),
        "long_mm": round(found.diameters.long_mm, 1),
        "mask long_mm": round(lines.long_mm, 1),
        "line long_mm": round(found.marked.long_mm, 1) if found.marked else None,
    }


def best_of_size(prompt: Prompt, truth: np.ndarray, slab: Any) -> float:
    """The best Dice of the mark's ellipse at any size: what is lost by its shape and place."""
    y, x = np.mgrid[: slab.rows, : slab.columns].astype(float)
    radius = prompt.radius_at(x, y, slab.spacing_mm_px)
    return max(dice(radius <= scale, truth) for scale in np.linspace(0.7, 1.6, 19))


def phantom_cases() -> list[SegmentationCase]:
    """Lesions of phantom patients that no network has seen."""
    with tempfile.TemporaryDirectory() as folder:
        lesions = phantom_lesions(PHANTOMS, PHANTOM_SEED, Path(folder))
    return [SegmentationCase(on_largest_slice(lesion)) for lesion in lesions]


def figure(
    segmenter: LesionSegmenter, cases: list[SegmentationCase], path: Path
) -> list[dict[str, Any]]:
    """Twelve lesions from the best to the worst Dice; the reader's outline in green.

    What the figure shows is returned, lesion by lesion.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    from service.figures.measurement.picture import draw_measurement

    measured: list[tuple[float, SegmentationCase, LesionMeasurement]] = []
    chosen = [case for case in cases if case.lesion.source != "nodule"]
    chosen += [case for case in cases if case.lesion.source == "nodule"][:24]
    for number, case in enumerate(chosen):
        mark = marked(case, number)
        lesion = case.lesion
        found = measure(segmenter, bundled_calibration(), lesion.slab, mark, in_3d=False)
        key = lesion.slab.key_slice
        measured.append((dice(found.whole_mask[key], lesion.mask[key]), case, found))
    measured.sort(key=lambda one: -one[0])
    shown = [measured[k] for k in np.linspace(0, len(measured) - 1, SHOWN).round().astype(int)]
    drawn = Figure(figsize=(15, 11.5), layout="constrained")
    FigureCanvasAgg(drawn)
    for axes, (score, case, found) in zip(drawn.subplots(3, 4).ravel(), shown, strict=True):
        lines = found.values
        title = f"{case.lesion.name}: Dice {score:.2f}\n{lines['long_mm'].value:.1f} x "
        draw_measurement(axes, found, title + f"{lines['short_mm'].value:.1f} mm")
        key = case.lesion.slab.key_slice
        axes.contour(case.lesion.mask[key], levels=[0.5], colors="#7bd389", linewidths=0.8)
    drawn.savefig(path, dpi=90, format="png")
    return [
        {
            "lesion": case.lesion.name,
            "source": case.lesion.source,
            "dice": round(score, 3),
            "long_mm": round(found.values["long_mm"].value, 1),
            "short_mm": round(found.values["short_mm"].value, 1),
            "of the mask": [
                round(one, 1) for one in case.key_mark.diameters_mm(case.lesion.slab.spacing_mm_px)
            ],
            "flags": [flag.value for flag in found.flags],
        }
        for score, case, found in shown
    ]


def main() -> None:
    """Runs what was asked for."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--figure", type=Path, help="of real lesions: never to be committed")
    parser.add_argument("--phantom-figure", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--sample", action="store_true", help="also the evaluation-only sample")
    given = parser.parse_args()
    torch.set_num_threads(2)
    segmenter = LesionSegmenter.load()
    cases = cases_of(given.data)
    found: dict[str, Any] = {"network": segmenter.fingerprint, "times": times(segmenter, cases)}
    if given.sample:
        found["sample"] = sample(segmenter, given.data)
    if given.figure:
        found["figure"] = figure(segmenter, cases, given.figure)
    if given.phantom_figure:
        found["phantom figure"] = figure(segmenter, phantom_cases(), given.phantom_figure)
    text = json.dumps(found, indent=1)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
