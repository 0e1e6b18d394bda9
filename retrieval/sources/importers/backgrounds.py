"""Whole axial CT slices as runs of real neighbours: what positions and pasted lesions stand on.

The source (``index.csv`` and 16-bit PNGs holding HU + 32768, 1 mm pixels) cropped every slice to
the body on its own, so neighbours are shifted against each other. They are put back on one grid
by the shift at which they correlate best; neighbours that do not correlate are not a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy import fft

from retrieval.image import CT_HU, apply_window
from retrieval.lesion import Split
from retrieval.sources.deeplesion.coding import to_hu
from retrieval.sources.importers.source import ImporterError, read_index, source_file
from retrieval.sources.importers.splits import split_patients

COLUMNS = ("path", "patient", "study", "slice", "spacing_mm_px", "slice_interval_mm")
MIN_CORRELATION = 0.9
"""Of neighbours put back on one grid; below it their true shift is in doubt."""

LONG_SERIES = 10
"""From this many slices on a patient counts as a long series when splits are drawn."""


@dataclass(frozen=True)
class RunRecord:
    """Rows of the index that are neighbours by number, in their order."""

    patient: str
    series: int
    first_slice: int
    paths: tuple[str, ...]
    spacing_mm_px: float
    slice_interval_mm: float


@dataclass(frozen=True)
class Run:
    """Neighbouring slices on one grid.

    Attributes:
        hu: (slices, rows, columns), float32, from the feet to the head as the source numbers
            them; air where a slice was cropped tighter.
        first_slice: the source's number of ``hu[0]``.
    """

    hu: NDArray[np.float32]
    series: int
    first_slice: int
    spacing_mm_px: float
    slice_interval_mm: float

    @property
    def last_slice(self) -> int:
        """The source's number of the slice nearest to the head."""
        return self.first_slice + len(self.hu) - 1


@dataclass(frozen=True)
class BackgroundSource:
    """The source's index, read once; runs are read patient by patient."""

    folder: Path
    records_of: Mapping[str, tuple[RunRecord, ...]]
    splits: Mapping[str, Split]

    @classmethod
    def open(cls, folder: Path) -> BackgroundSource:
        """Reads the index; raises ImporterError."""
        index = read_index(folder, "index.csv", COLUMNS)
        records_of = {
            str(patient): tuple(_records(str(patient), rows))
            for patient, rows in index.groupby("patient", sort=True)
        }
        counts = index["patient"].value_counts()
        splits: dict[str, Split] = {}
        # Drawn apart: one long series in the wrong place would take half of all slices along.
        for source, is_long in (("real_ct_1mm/long", True), ("real_ct_1mm/single", False)):
            names = [str(name) for name in counts.index[(counts >= LONG_SERIES) == is_long]]
            splits |= split_patients(names, source=source)
        return cls(folder, records_of, splits)

    def runs(self, patient: str) -> list[Run]:
        """Every run of a patient on its own grid, broken where neighbours do not correlate."""
        runs: list[Run] = []
        for record in self.records_of[patient]:
            runs.extend(_aligned(record, [self._read(path) for path in record.paths]))
        return runs

    def _read(self, path: str) -> NDArray[np.float32]:
        pixels = cv2.imread(str(source_file(self.folder / path)), cv2.IMREAD_UNCHANGED)
        if pixels is None or pixels.dtype != np.uint16 or pixels.ndim != 2:
            raise ImporterError(f"{self.folder / path} is not a 16-bit grey PNG")
        return to_hu(np.asarray(pixels, np.uint16))


def _records(patient: str, rows: pd.DataFrame) -> list[RunRecord]:
    """Cuts a patient's rows wherever the study, the interval or the numbering changes."""
    ordered = rows.assign(study=[str(study) for study in rows["study"]]).sort_values(
        ["study", "slice_interval_mm", "slice", "path"]
    )
    groups: list[list[dict[str, Any]]] = []
    for fields in ordered.to_dict("records"):
        record = {str(key): value for key, value in fields.items()}
        last = groups[-1][-1] if groups else None
        if last is not None and _follows(last, record):
            groups[-1].append(record)
        else:
            groups.append([record])
    series = 0
    records: list[RunRecord] = []
    seen: dict[int, set[int]] = {}
    previous: tuple[Any, ...] = ()
    for group in groups:
        key = (group[0]["study"], group[0]["slice_interval_mm"])
        numbers = {int(record["slice"]) for record in group}
        # The same number twice means two series that the index does not tell apart.
        if key != previous or seen.get(series, set()) & numbers:
            series += 1
        seen.setdefault(series, set()).update(numbers)
        previous = key
        records.append(
            RunRecord(
                patient=patient,
                series=series,
                first_slice=int(group[0]["slice"]),
                paths=tuple(str(record["path"]) for record in group),
                spacing_mm_px=float(group[0]["spacing_mm_px"]),
                slice_interval_mm=float(group[0]["slice_interval_mm"]),
            )
        )
    return records


def _follows(last: Mapping[str, Any], record: Mapping[str, Any]) -> bool:
    same = all(last[key] == record[key] for key in ("study", "slice_interval_mm", "spacing_mm_px"))
    return bool(same and record["slice"] == last["slice"] + 1)


def _aligned(record: RunRecord, slices: Sequence[NDArray[np.float32]]) -> list[Run]:
    offsets = [(0, 0)]
    starts = [0]
    for position, (one, other) in enumerate(pairwise(slices), start=1):
        shift, correlation = best_shift(one, other)
        if correlation < MIN_CORRELATION:
            starts.append(position)
            offsets.append((0, 0))
        else:
            offsets.append((offsets[-1][0] + shift[0], offsets[-1][1] + shift[1]))
    ends = [*starts[1:], len(slices)]
    return [
        Run(
            _on_one_grid(slices[start:end], offsets[start:end]),
            record.series,
            record.first_slice + start,
            record.spacing_mm_px,
            record.slice_interval_mm,
        )
        for start, end in zip(starts, ends, strict=True)
    ]


def best_shift(
    one: NDArray[np.float32], other: NDArray[np.float32]
) -> tuple[tuple[int, int], float]:
    """Where ``other``'s top-left pixel lies on ``one``'s grid, (row, column), and how well.

    The second value is Pearson's correlation over the pixels both share.
    """
    shape = [
        fft.next_fast_len(a + b, real=True) for a, b in zip(one.shape, other.shape, strict=True)
    ]
    first, second = (apply_window(image, -1024.0, 600.0) for image in (one, other))
    spectrum = fft.rfft2(first, shape) * np.conj(fft.rfft2(second, shape))
    # The sum of squared differences over the whole canvas falls as this product rises, because
    # both images are zero (air) outside themselves.
    product = fft.irfft2(spectrum, shape)
    row, column = (int(v) for v in np.unravel_index(int(product.argmax()), product.shape))
    # Negative shifts stand at the far end of the transform.
    shift = (
        row - shape[0] if row >= one.shape[0] else row,
        column - shape[1] if column >= one.shape[1] else column,
    )
    shared_one, shared_other = _overlap(first, second, shift)
    return shift, float(np.corrcoef(shared_one.ravel(), shared_other.ravel())[0, 1])


def _overlap(
    first: NDArray[Any], second: NDArray[Any], shift: tuple[int, int]
) -> tuple[NDArray[Any], NDArray[Any]]:
    spans = []
    for axis, moved in enumerate(shift):
        start = max(moved, 0)
        stop = min(first.shape[axis], second.shape[axis] + moved)
        spans.append((slice(start, stop), slice(start - moved, stop - moved)))
    return first[spans[0][0], spans[1][0]], second[spans[0][1], spans[1][1]]


def _on_one_grid(
    slices: Sequence[NDArray[np.float32]], offsets: Sequence[tuple[int, int]]
) -> NDArray[np.float32]:
    top = min(row for row, _ in offsets)
    left = min(column for _, column in offsets)
    bottom = max(row + s.shape[0] for (row, _), s in zip(offsets, slices, strict=True))
    right = max(column + s.shape[1] for (_, column), s in zip(offsets, slices, strict=True))
    grid = np.full((len(slices), bottom - top, right - left), CT_HU.padding, np.float32)
    for plane, (row, column), pixels in zip(grid, offsets, slices, strict=True):
        plane[row - top :, column - left :][: pixels.shape[0], : pixels.shape[1]] = pixels
    return grid
