"""Whether categories follow the scanner: two collections that share their types.

    python benchmarks/category_sources.py --archive phantom

Every second train patient of an archive is seen by another scanner: smoother (a Gaussian of 0.8
pixels in the plane) and noisier (30 HU). The first clusters of ``categorize`` are then compared
with the types and with the scanner, beside those of one scanner for all and of vectors from which
each collection's mean was taken. Real collections here are nearly one type each, and cannot tell.
Writes OUT.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from scipy import ndimage
from sklearn.metrics import normalized_mutual_info_score

from retrieval.embedding.encoder import LesionEncoder
from retrieval.labels.categories.clustering import graph_clusters
from retrieval.labels.categories.features import by_track
from retrieval.lesion import Lesion, Split
from retrieval.patch import extract_patch
from retrieval.sources.archive import Archive, open_archive

RESULT = Path(__file__).parent / "results" / "category_sources.json"
SMOOTHED_PX, NOISE_HU = 0.8, 30.0
BATCH, STARTS = 32, 4

Floats = NDArray[np.float64]


def main() -> None:
    """Embeds, clusters and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--count", type=int, default=8, help="categories")
    parser.add_argument("--out", type=Path, default=RESULT)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    archive = open_archive(chosen.archive)
    lesions = [one for one in archive.lesions if one.split is Split.TRAIN]
    patients = sorted({one.patient_id for one in lesions})
    second = np.isin([one.patient_id for one in lesions], patients[1::2])
    one = vectors(archive, lesions, np.zeros(len(lesions), bool))
    two = vectors(archive, lesions, second)
    centred = two.copy()
    for is_second in (False, True):
        centred[second == is_second] -= two[second == is_second].mean(axis=0)
    document: dict[str, object] = {"patients": len(patients), "lesions": len(lesions)}
    for name, values in (("one", one), ("two", two), ("two, means taken away", centred)):
        rows = by_track(lesions, values, archive.track_ids)
        types = [lesions[place].lesion_type.code for place in rows.first]
        found = [
            graph_clusters(rows.features, chosen.count, np.random.default_rng(start))
            for start in range(STARTS)
        ]
        document["tracks"] = len(types)
        document[name] = {
            "NMI with type": agreement(types, found),
            "NMI with scanner": agreement(second[rows.first].tolist(), found),
        }
    chosen.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


def vectors(archive: Archive, lesions: Sequence[Lesion], changed: NDArray[np.bool_]) -> Floats:
    """(n, d) of the bundled encoder; where ``changed``, as the other scanner sees them."""
    encoder, noise = LesionEncoder.load(), np.random.default_rng(0)
    parts = []
    for start in range(0, len(lesions), BATCH):
        patches = []
        for place in range(start, min(start + BATCH, len(lesions))):
            slab = archive.slab(lesions[place], half_depth_mm=encoder.spec.half_depth_mm)
            if changed[place]:
                smooth = ndimage.gaussian_filter(slab.hu.astype(float), (0, *[SMOOTHED_PX] * 2))
                grainy = smooth + noise.normal(0, NOISE_HU, smooth.shape)
                slab = replace(slab, hu=grainy.astype(np.float32))
            patches.append(extract_patch(slab, lesions[place].box, encoder.spec))
        parts.append(encoder.embed(patches).vectors)
    return np.concatenate(parts).astype(np.float64)


def agreement(classes: Sequence[int], found: Sequence[NDArray[np.int64]]) -> float:
    """Mean NMI over the starts."""
    scores = [normalized_mutual_info_score(classes, clusters) for clusters in found]
    return round(float(np.mean(scores)), 3)


if __name__ == "__main__":
    main()
