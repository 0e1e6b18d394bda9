"""How often the judgement of HU is right: real CT, and the same CT made into other things.

    python benchmarks/intensity.py --data /path/to/real --out benchmarks/results/intensity.json

Every real image must be taken for HU, or at least not refused; every changed one should be
refused. Crops are judged by the size they have: a crop of one tissue may be too little to tell.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.image import Slab
from retrieval.sources.deeplesion.png import read_deeplesion_png
from retrieval.sources.dicom.series import read_dicom_grid, slab_of
from retrieval.sources.intensity.histogram import judge_values
from retrieval.sources.volumes.reading import read_volume

Values = NDArray[np.float32]
Change = Callable[[Values, np.random.Generator], Values]

GAMMA_DOWN, GAMMA_UP = (0.4, 0.8), (1.25, 2.5)


def _unit(hu: Values) -> Values:
    span = max(float(hu.max() - hu.min()), 1e-6)
    return np.asarray((hu - hu.min()) / span, np.float32)


def _gamma(hu: Values, exponent: float) -> Values:
    return np.asarray(_unit(hu) ** exponent * (hu.max() - hu.min()) + hu.min(), np.float32)


def _window(hu: Values, low: float, high: float) -> Values:
    return np.asarray(np.rint(255 * np.clip((hu - low) / (high - low), 0, 1)), np.float32)


CHANGES: dict[str, Change] = {
    "as it is": lambda hu, _: hu,
    "0..1": lambda hu, _: _unit(hu),
    "standardised": lambda hu, _: np.asarray((hu - hu.mean()) / max(hu.std(), 1e-6), np.float32),
    "+1024": lambda hu, _: hu + 1024,
    "-1024": lambda hu, _: hu - 1024,
    "x 0.1": lambda hu, _: hu * np.float32(0.1),
    "x 10": lambda hu, _: hu * 10,
    "0..255, soft tissue": lambda hu, _: _window(hu, -160, 240),
    "0..255, lung": lambda hu, _: _window(hu, -1350, 150),
    "gamma 0.4 to 0.8": lambda hu, rng: _gamma(hu, rng.uniform(*GAMMA_DOWN)),
    "gamma 1.25 to 2.5": lambda hu, rng: _gamma(hu, rng.uniform(*GAMMA_UP)),
    "cut to -160..240": lambda hu, _: np.clip(hu, -160, 240),
}


def images(data: Path) -> Iterator[tuple[str, Slab]]:
    """Every real image, by the collection it is from; unjudged."""
    for group, pattern in (
        ("lung_nodules", "lung_nodules/image/*.nii.gz"),
        ("lung_pet_ct_dx", "lung_pet_ct_dx/image/*.nii.gz"),
        ("sarcoma_ct", "sarcoma_ct/nifti/*/CT_image.nii.gz"),
    ):
        for path in sorted(data.glob(pattern)):
            stored = read_volume(path)
            yield group, stored.display().slab(path.name)
    yield "sarcoma_ct", slab_of(read_dicom_grid(data / "sarcoma_ct/dicom/STS_007/CT/image"))
    for name in ("rtstruct_4dlung", "seg_dcmqi_liver", "sr_tid1500"):
        for path in sorted((data / "samples" / name).glob("*.dcm")):
            if path.name.startswith(("CT_", "0", "highdicom_ct")):
                yield "samples, CT", slab_of(read_dicom_grid(path), assume_hu=True)
    for group in ("real_ct_1mm", "real_ct_extra", "deeplesion_sample", "deeplesion_windowed"):
        for path in sorted((data / group).rglob("*.png")):
            yield group, Slab(read_deeplesion_png(path)[None], (0.8, 0.8), 5.0)
    for path in sorted((data / "samples/mr_pyradiomics").glob("*_image.nrrd")):
        yield "samples, MR", read_volume(path).display().slab(path.name)


def crops(slab: Slab, rng: np.random.Generator) -> Iterator[Slab]:
    """Pieces of 48 x 48 px and five slices, from anywhere in a volume."""
    for _ in range(10):
        z, y, x = (
            int(rng.integers(0, n - m)) for n, m in zip(slab.hu.shape, (5, 48, 48), strict=True)
        )
        yield Slab(slab.hu[z : z + 5, y : y + 48, x : x + 48], slab.spacing_mm_px, 3.0)


def judged(data: Path) -> dict[str, dict[str, Counter[str]]]:
    """Group -> change -> verdict -> how many."""
    counts: dict[str, dict[str, Counter[str]]] = {}
    rng = np.random.default_rng(0)
    for group, slab in images(data):
        pieces = [(group, slab)]
        if group == "sarcoma_ct":
            pieces += [("sarcoma_ct, crops", crop) for crop in crops(slab, rng)]
        for name, piece in pieces:
            x_mm, y_mm = piece.spacing_mm_px
            extent = (piece.columns * x_mm, piece.rows * y_mm)
            for change, make in CHANGES.items():
                verdict = judge_values(make(piece.hu, rng), extent_mm=extent)
                row = counts.setdefault(name, {}).setdefault(change, Counter())
                row[verdict.kind.value] += 1
    return counts


def table(counts: dict[str, dict[str, Counter[str]]]) -> str:
    """Markdown: per cent taken for HU / unsure / refused."""
    lines = ["| | " + " | ".join(f"{g} ({sum(r['as it is'].values())})" for g, r in counts.items())]
    lines[0] += " |"
    lines.append("| --- |" + " --- |" * len(counts))
    for change in CHANGES:
        cells = []
        for rows in counts.values():
            row = rows[change]
            total = sum(row.values())
            cells.append(
                " / ".join(
                    f"{100 * row[k] / total:.1f}".removesuffix(".0")
                    for k in ("HU", "unsure", "not HU")
                )
            )
        lines.append(f"| {change} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def main() -> None:
    """Judges everything, prints the table and writes the counts."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    counts = judged(arguments.data)
    print(table(counts))
    arguments.out.write_text(json.dumps(counts, indent=1) + "\n")


if __name__ == "__main__":
    main()
