"""One lesion under two reconstruction kernels of the same scan: the only real pairs at hand.

    python benchmarks/kernel_pairs.py LUNG_PET_CT_DX NODULES [--encoder FILE ...]

Two lung cancers, each reconstructed with a sharp and with a soft kernel, boxed slice by slice and
separately in both. Each slice is sought under the other kernel among that slice, the other cancer
and all nodules; beside recall@1 stands the cosine of the pairs. Two patients have no interval worth
the name: the numbers say whether degradations made by formula resemble the real thing, no more.
Writes benchmarks/results/kernel_pairs.json.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import nibabel
import numpy as np
import pandas as pd
from numpy.typing import NDArray

from retrieval.embedding.external.opening import open_encoder
from retrieval.evaluation.retrieval.frozen import FrozenFeatures
from retrieval.evaluation.retrieval.pixels import EncoderMethod, PixelMethod, cut_patches
from retrieval.image import Slab
from retrieval.lesion import Box
from retrieval.patch import Patch, PatchSpec, extract_patch
from retrieval.sources.archive import open_archive

RESULT = Path(__file__).parent / "results" / "kernel_pairs.json"
PAIR = ["patient", "slice"]


def main() -> None:
    """Measures, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("pairs", type=Path)
    parser.add_argument("nodules", type=Path)
    parser.add_argument("--encoder", action="append", default=[])
    parser.add_argument("--out", type=Path, default=RESULT)
    options = parser.parse_args()
    rows = pd.read_csv(options.pairs / "index.csv")
    rows = rows[rows.groupby(PAIR)["kernel"].transform("nunique") == 2].reset_index(drop=True)
    methods: list[PixelMethod] = [FrozenFeatures.imagenet()]
    for name in options.encoder or [None]:
        methods.append(_method(name))
    nodules = open_archive(options.nodules)
    found: dict[str, dict[str, float]] = {}
    patches = _patches(options.pairs, rows, methods[0].spec)
    patches += cut_patches(nodules, nodules.lesions, methods[0].spec)
    for method in methods:
        described = [method.describe(patches[k : k + 32]) for k in range(0, len(patches), 32)]
        for name, vectors in method.vectors(np.concatenate(described)).items():
            found[name] = _scores(vectors, rows)
            print(name, found[name])
    document = {"pairs": len(rows) // 2, "strangers": len(nodules.lesions), "methods": found}
    options.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def _method(name: str | None) -> EncoderMethod:
    encoder = open_encoder(name)
    title = f"{encoder.name} {encoder.fingerprint}"
    return EncoderMethod(title, lambda patches: encoder.embed(patches).vectors, encoder.spec)


def _patches(folder: Path, rows: pd.DataFrame, spec: PatchSpec) -> list[Patch]:
    """One a row; the file's axes x, y, z turned to slices, rows, columns."""
    slabs = {}
    for series, own in rows.groupby("series"):
        hu = nibabel.load(folder / "image" / f"{series}.nii.gz").get_fdata(dtype=np.float32)
        xy, z = float(own["spacing_xy_mm"].iloc[0]), float(own["spacing_z_mm"].iloc[0])
        slabs[series] = np.ascontiguousarray(hu.transpose(2, 1, 0)), (xy, xy), z
    cut = []
    for row in rows.itertuples():
        hu, spacing, interval = slabs[row.series]
        slab = Slab(hu, spacing, interval, key_slice=int(row.slice))
        cut.append(extract_patch(slab, Box(row.x1, row.y1, row.x2, row.y2), spec))
    return cut


def _scores(vectors: NDArray[np.float32], rows: pd.DataFrame) -> dict[str, float]:
    vectors = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    own, strangers = vectors[: len(rows)], vectors[len(rows) :]
    hits, cosines = [], []
    for place, row in rows.iterrows():
        same = (rows["patient"] == row["patient"]) & (rows["slice"] == row["slice"])
        other = np.flatnonzero(same & (rows["kernel"] != row["kernel"]))
        rivals = np.concatenate([own[rows["patient"] != row["patient"]], strangers])
        cosine = float(own[place] @ own[other[0]])
        cosines.append(cosine)
        hits.append(cosine > float((rivals @ own[place]).max()))
    return {
        "recall@1": round(float(np.mean(hits)), 3),
        "cosine, median": round(float(np.median(cosines)), 3),
        "cosine, lowest": round(min(cosines), 3),
    }


if __name__ == "__main__":
    main()
