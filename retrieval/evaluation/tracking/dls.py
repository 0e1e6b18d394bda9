"""The Deep Longitudinal Study benchmark (Cai et al., CVPR 2021), scored in its own JSON format.

Every entry is a pair: a lesion in a source volume, and where its centre is in a target volume.
Two protocols are in use under the same names, and their numbers must not be compared:

* strict, of the benchmark's own evaluator (DLT): CPM@Radius counts an offset below the radius,
  CPM@10mm one of at most min(10 mm, radius); the radius is half the long RECIST diameter.
* loose, of later papers (TLT, UAE): CPM@Radius counts a centre inside the true 3D box, CPM@10mm
  one of at most 10 mm.

The trap: the files' diameters are pixels, although the benchmark's readme says millimetres. They
are multiplied by the in-plane spacing here, as the benchmark's evaluator does.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from retrieval.evaluation.stats.intervals import Estimate, mean_estimate
from retrieval.lesion import LesionSearchError

FloatArray = NDArray[np.float64]

CPM_MM = 10.0
PREDICTION = "predict target center"


class DlsError(LesionSearchError):
    """A file that is not in the DLS benchmark's format, or does not fit the truth."""


@dataclass(frozen=True, slots=True)
class DlsPairs:
    """n pairs of the truth, in the file's order.

    ``centers`` (n, 3) and ``boxes`` (n, 6: x, y, z of the low corner, width, height, depth) are in
    voxels of the target volume, ``spacing_mm`` (n, 3) its spacing, ``radius_mm`` (n,) half the
    long diameter; ``patients`` (n,) numbers the patients.
    """

    keys: tuple[str, ...]
    centers: FloatArray
    boxes: FloatArray
    spacing_mm: FloatArray
    radius_mm: FloatArray
    patients: NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class DlsScores:
    """Mean offset and the four rates, with intervals that resample patients.

    ``not_predicted`` pairs had a null prediction: misses in every rate, left out of the offset.
    """

    pairs: int
    not_predicted: int
    offset_mm: Estimate
    strict_radius: Estimate
    strict_10mm: Estimate
    loose_radius: Estimate
    loose_10mm: Estimate

    def to_json(self) -> dict[str, Any]:
        """Both protocols by name."""
        return {
            "benchmark": "Deep Longitudinal Study",
            "pairs": self.pairs,
            "not_predicted": self.not_predicted,
            "mean_offset_mm": self.offset_mm.to_json(),
            "strict": {
                "protocol": "DLT: offset < radius; offset <= min(10 mm, radius)",
                "cpm_at_radius": self.strict_radius.to_json(),
                "cpm_at_10mm": self.strict_10mm.to_json(),
            },
            "loose": {
                "protocol": "TLT, UAE: centre inside the true 3D box; offset <= 10 mm",
                "cpm_at_radius": self.loose_radius.to_json(),
                "cpm_at_10mm": self.loose_10mm.to_json(),
            },
        }


def load_pairs(path: Path) -> DlsPairs:
    """The pairs of a truth file; raises DlsError naming the pair and field that is wrong."""
    records = pair_records(path)
    diameters = pair_numbers(records, "target recist diameter", 2)
    spacing = pair_numbers(records, "target spacing", 3)
    names = np.array([str(record.get("target", "")) for record in records.values()])
    _, patients = np.unique([name.split("_")[0] for name in names], return_inverse=True)
    return DlsPairs(
        keys=tuple(records),
        centers=pair_numbers(records, "target center", 3),
        boxes=pair_numbers(records, "target box", 6),
        spacing_mm=spacing,
        radius_mm=diameters.max(axis=1) / 2 * spacing[:, 0],
        patients=patients.astype(np.int64),
    )


def load_predictions(path: Path, pairs: DlsPairs) -> FloatArray:
    """(n, 3) predicted target centres in the order of the pairs; NaN where the prediction is null.

    The file has the truth's layout (a mapping from the pair's key, or a list or ``results`` in the
    truth's order); of each entry only ``predict target center`` is read, in voxels of the target.
    Raises DlsError unless exactly the truth's pairs are there.
    """
    records = pair_records(path)
    missing = [key for key in pairs.keys if key not in records]
    surplus = [key for key in records if key not in set(pairs.keys)]
    if missing or surplus:
        raise DlsError(
            f"predictions {path.name} lack {len(missing)} of {len(pairs.keys)} pairs and hold "
            f"{len(surplus)} others (first: {(missing or surplus)[0]}): write one entry a pair, "
            "null where nothing was found"
        )
    ordered = {key: records[key] for key in pairs.keys}
    return pair_numbers(ordered, PREDICTION, 3, null_allowed=True)


def score_predictions(
    pairs: DlsPairs, centers: FloatArray, generator: Generator, *, resamples: int = 1000
) -> DlsScores:
    """Scores predicted centres (n, 3), in voxels of the target volumes, under both protocols."""
    offset: FloatArray = np.linalg.norm((centers - pairs.centers) * pairs.spacing_mm, axis=1)
    low, high = pairs.boxes[:, :3], pairs.boxes[:, :3] + pairs.boxes[:, 3:]
    inside = ((centers >= low) & (centers <= high)).all(axis=1)

    def estimate(values: NDArray[Any]) -> Estimate:
        return mean_estimate(
            values.astype(np.float64), pairs.patients, generator, resamples=resamples
        )

    return DlsScores(
        pairs=len(offset),
        not_predicted=int(np.isnan(offset).sum()),
        offset_mm=estimate(offset),
        strict_radius=estimate(np.less(offset, pairs.radius_mm)),
        strict_10mm=estimate(np.less_equal(offset, np.minimum(CPM_MM, pairs.radius_mm))),
        loose_radius=estimate(np.asarray(inside)),
        loose_10mm=estimate(np.less_equal(offset, CPM_MM)),
    )


def pair_records(path: Path) -> dict[str, Mapping[str, Any]]:
    """The pairs of a file as they stand there; raises DlsError where there are none."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, json.JSONDecodeError) as wrong:
        raise DlsError(f"{path.name} cannot be read as JSON: {wrong}") from None
    if isinstance(content, dict) and isinstance(content.get("results"), list):
        content = content["results"]
    if isinstance(content, list):
        content = {f"{place + 1:04d}": record for place, record in enumerate(content)}
    if not isinstance(content, dict) or not content:
        raise DlsError(f"{path.name} holds no pairs: a JSON object or list of pairs is needed")
    for key, record in content.items():
        if not isinstance(record, dict):
            raise DlsError(f"pair {key} of {path.name} is not an object with the pair's fields")
    return content


def pair_numbers(
    records: Mapping[str, Mapping[str, Any]], name: str, count: int, *, null_allowed: bool = False
) -> FloatArray:
    """(n, count) of one field; raises DlsError naming the pair where it is something else."""
    rows: list[Sequence[float]] = []
    for key, record in records.items():
        values = record.get(name)
        if values is None and null_allowed and name in record:
            rows.append([math.nan] * count)
            continue
        if not (
            isinstance(values, list)
            and len(values) == count
            and all(isinstance(value, int | float) and math.isfinite(value) for value in values)
        ):
            raise DlsError(f"pair {key}: {name!r} is {values!r}, {count} numbers are needed")
        rows.append(values)
    return np.array(rows, dtype=np.float64)
