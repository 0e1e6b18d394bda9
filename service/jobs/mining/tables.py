"""Small tables of a mining run: dates of studies, points, and the names of what was refused."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from retrieval.sources.mining.verdict_line import MarkSketch

STUDIES_NAME, POINTS_NAME, NAMES_NAME = "studies.csv", "points.csv", "names.csv"
STUDY_COLUMNS = ("study_id", "study_date")
POINT_COLUMNS = (
    "mark_id",
    "series_id",
    "key_slice_index",
    "x",
    "y",
    "kind",
    "carrier",
    "study_uid",
    "series_uid",
    "sop_uid",
)
NAME_COLUMNS = ("name", "verdict", "marks")


def write_studies(out: Path, told: Iterable[Mapping[str, Any]]) -> None:
    """The (moved) date of each study that a kept lesion is of: ``studies.csv``."""
    dates = {
        "_".join(one["lesion_id"].split("_")[:2]): one["study_date"]
        for one in told
        if one["lesion_id"] and one["study_date"]
    }
    _write(out / STUDIES_NAME, STUDY_COLUMNS, sorted(dates.items()))


def write_points(out: Path, told: Iterable[Mapping[str, Any]]) -> None:
    """Every arrow and point that was kept: ``points.csv``.

    x and y count as the archive's pixels do, from 0; the series is empty where the archive holds
    none of its slices.
    """
    rows = [
        [
            one["mark_id"],
            one["series_id"] or "",
            one["key_slice_index"],
            *(round(value, 4) for value in one["point"]),
            *(one[name] for name in POINT_COLUMNS[5:]),
        ]
        for one in told
        if "point" in one
    ]
    _write(out / POINTS_NAME, POINT_COLUMNS, rows)


def write_names(work: Path, sketches: Iterator[MarkSketch]) -> None:
    """Each name of a region, segment or annotation, and what became of its marks: ``names.csv``.

    In the work folder, because a name may be a patient's.
    """
    counts = Counter((one.label, one.verdict) for one in sketches if one.label)
    rows = [[name, verdict, count] for (name, verdict), count in sorted(counts.items())]
    _write(work / NAMES_NAME, NAME_COLUMNS, rows)


def _write(path: Path, columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    """All rows or none; no file where there are none, and an unchanged one is left as it is."""
    if not rows:
        path.unlink(missing_ok=True)
        return
    text = io.StringIO()
    table = csv.writer(text, lineterminator="\n")
    table.writerows([columns, *rows])
    if path.exists() and path.read_text(encoding="utf-8") == text.getvalue():
        return
    unfinished = path.with_name(path.name + ".part")
    unfinished.write_text(text.getvalue(), encoding="utf-8")
    unfinished.replace(path)
