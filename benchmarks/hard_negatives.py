"""Mines hard negatives on the slices of an archive whose marks are no lesions, for a second round.

    python benchmarks/hard_negatives.py --archive real_positions --out negatives.json \
        --sheet look.png
    lesion-search train detector --recipe uldor --set data.negatives=negatives.json ...

Every ``--every``-th train slice is detected. A proposal above ``--least-score`` counts only where
its HU show what it is instead of a lesion (``retrieval.detection.parts.hard_negatives``). Look at
the sheet before training: what could be a lesion must not be on it.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from pathlib import Path

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from retrieval.detection.detector import LesionDetector
from retrieval.detection.parts.hard_negatives import hard_negatives
from retrieval.lesion import Box, Split
from retrieval.sources.archive import open_archive

TILE, MARGIN, COLUMNS = 128, 40, 8
WINDOW_HU = (-160.0, 240.0)


def main() -> None:
    """Mines, writes and draws."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, required=True)
    parser.add_argument("--detector", type=Path, help="default: the bundled detector")
    parser.add_argument("--least-score", type=float, default=0.05)
    parser.add_argument("--every", type=int, default=1)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--sheet", type=Path, help="a picture of those found, surest first")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    archive = open_archive(arguments.archive)
    detector = LesionDetector.load(arguments.detector)
    by_image = {archive.image_name(x): x for x in archive.lesions if x.split is Split.TRAIN}
    found: dict[str, list[dict[str, object]]] = {}
    tiles: list[tuple[float, NDArray[np.uint8]]] = []
    seen = Counter[str]()
    for name, lesion in list(by_image.items())[:: arguments.every]:
        slab = archive.slab(lesion, half_depth_mm=detector.half_depth_mm)
        hu = slab.hu[slab.key_slice]
        proposals = detector.detect(slab)
        seen["slices"] += 1
        seen["confident"] += sum(x.score >= arguments.least_score for x in proposals)
        for one in hard_negatives(
            proposals, hu, [], least_score=arguments.least_score, apart_px=0.0
        ):
            seen[one.what.value] += 1
            row = {"box": one.box.to_list(), "score": one.score, "what": one.what.value}
            found.setdefault(f"{archive.root.name}/{name}", []).append(row)
            tiles.append((one.score, _tile(hu, one.box, one.what.value)))
    document = {"detector": detector.fingerprint, "counts": dict(seen), "negatives": found}
    arguments.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document["counts"]))
    if arguments.sheet is not None and tiles:
        _draw([tile for _, tile in sorted(tiles, key=lambda x: -x[0])], arguments.sheet)


def _tile(hu: NDArray[np.float32], box: Box, what: str) -> NDArray[np.uint8]:
    low, high = WINDOW_HU
    grey = (np.clip((hu - low) / (high - low), 0, 1) * 255).astype(np.uint8)
    padded = cv2.copyMakeBorder(grey, *[MARGIN * 2] * 4, cv2.BORDER_CONSTANT, value=0)
    x, y = (round(edge) + MARGIN * 2 for edge in box.center)
    half = round(max(box.width, box.height) / 2) + MARGIN // 2
    part = padded[max(0, y - half) : y + half, max(0, x - half) : x + half]
    tile = cv2.resize(part, (TILE, TILE), interpolation=cv2.INTER_LINEAR)
    cv2.putText(tile, what, (4, TILE - 6), cv2.FONT_HERSHEY_SIMPLEX, 0.4, 255, 1)
    return np.asarray(tile, np.uint8)


def _draw(tiles: list[NDArray[np.uint8]], path: Path) -> None:
    tiles = tiles[: COLUMNS * COLUMNS]
    tiles += [np.zeros((TILE, TILE), np.uint8)] * (-len(tiles) % COLUMNS)
    rows = [np.hstack(tiles[n : n + COLUMNS]) for n in range(0, len(tiles), COLUMNS)]
    cv2.imwrite(str(path), np.vstack(rows))


if __name__ == "__main__":
    main()
