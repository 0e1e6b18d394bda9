"""Lesions painted into real CT of livers, muscles, fat and lungs: real edges, known masks."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.image import Slab
from retrieval.segmentation.learning.example import LEAST_PIXELS, MaskedLesion, cropped
from retrieval.sources.deeplesion.png import read_deeplesion_png
from retrieval.sources.importers.source import read_index, source_file
from retrieval.synthesis.painting import inside_body, paint_covered

COLUMNS = ("path", "slice", "spacing_mm_px", "slice_interval_mm")
RUN = 3
"""Neighbouring slices painted at once: what the collections hold."""


def painted_lesions(
    folders: Sequence[Path], *, each: int, seed: int, left_out: Sequence[str] = ()
) -> list[MaskedLesion]:
    """About ``each`` lesions on every run of three neighbouring slices.

    Args:
        folders: each with ``index.csv`` and 16-bit PNGs holding HU + 32768.
        each: attempts on a run.
        seed: of what is painted and where.
        left_out: beginnings of paths that are not used.

    Raises:
        ImporterError, ArchiveError: an index or a PNG cannot be read.
    """
    rng = np.random.default_rng(seed)
    lesions: list[MaskedLesion] = []
    for folder in folders:
        for name, slab in _runs(folder, tuple(left_out)):
            body = inside_body(slab.hu[1])
            for number in range(each):
                painted = paint_covered(
                    slab.hu,
                    body,
                    rng,
                    mm_px=slab.spacing_mm_px[0],
                    slice_interval_mm=slab.slice_interval_mm,
                )
                if painted is None or (painted.coverage[1] > 0.5).sum() < LEAST_PIXELS:
                    continue
                full = Slab(painted.hu, slab.spacing_mm_px, slab.slice_interval_mm, 1)
                part, share = cropped(full, (painted.coverage > 0.5).astype(np.float32))
                lesions.append(
                    MaskedLesion(f"painted-{name}-{number}", name, "painted", part, share)
                )
    return lesions


def _runs(folder: Path, left_out: tuple[str, ...]) -> Iterator[tuple[str, Slab]]:
    """Every run of three neighbouring slices of a series."""
    index = read_index(folder, "index.csv", COLUMNS)
    index = index.assign(series=[str(path).rpartition("/")[0] for path in index["path"]])
    for name, rows in index.groupby("series", sort=True):
        if left_out and str(name).startswith(left_out):
            continue
        ordered: list[Any] = list(rows.sort_values("slice").itertuples())
        at = 0
        while at + RUN <= len(ordered):
            run = ordered[at : at + RUN]
            if int(run[-1].slice) - int(run[0].slice) != RUN - 1:
                at += 1
                continue
            at += RUN
            planes = [read_deeplesion_png(source_file(folder / str(row.path))) for row in run]
            if len({plane.shape for plane in planes}) > 1:
                continue
            mm_px = float(run[0].spacing_mm_px)
            interval = float(run[0].slice_interval_mm)
            yield str(name), Slab(np.stack(planes), (mm_px, mm_px), interval, 1)
