"""Lesions of phantoms: every organ, every texture and margin, soft edges of tissue about them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np

from retrieval.image import Slab
from retrieval.progress import ReportProgress
from retrieval.segmentation.learning.example import LEAST_PIXELS, MaskedLesion, cropped
from retrieval.synthesis.phantom.config import PhantomConfig
from retrieval.synthesis.phantom.patient import lesion_stacks

FIRST_PATIENT = 700_001
"""Far from the patients of demo and test archives, whatever the seed."""

MOST_OF_PATIENT = 4


def phantom_lesions(
    count: int, seed: int, cache: Path, *, report: ReportProgress | None = None
) -> list[MaskedLesion]:
    """Lesions of ``count`` phantom patients, each made once and then read from ``cache``."""
    lesions = []
    for done in range(count):
        number = FIRST_PATIENT + done
        lesions.extend(_patient(number, seed, cache / f"phantom-{seed}-{number}.npz"))
        if report:
            report(done + 1, count)
    return lesions


def _patient(number: int, seed: int, path: Path) -> list[MaskedLesion]:
    if not path.is_file():
        _make(number, seed, path)
    with np.load(path, allow_pickle=False) as stored:
        facts = json.loads(str(stored["facts"]))
        return [
            MaskedLesion(
                name=f"phantom-{number}-{k}",
                patient=f"phantom-{number}",
                source="phantom",
                slab=Slab(
                    stored[f"hu{k}"].astype(np.float32),
                    (fact["mm_px"], fact["mm_px"]),
                    fact["interval_mm"],
                    int(fact["key_slice"]),
                ),
                share=(stored[f"share{k}"] > 0.5).astype(np.float32),
            )
            for k, fact in enumerate(facts)
        ]


def _make(number: int, seed: int, path: Path) -> None:
    config = PhantomConfig(1, seed, first_patient=number, image_size_px=384, half_depth_mm=14.0)
    arrays: dict[str, Any] = {}
    facts: list[dict[str, float]] = []
    for stack in lesion_stacks(config, number, most=MOST_OF_PATIENT):
        row = stack.row
        if (stack.coverage[stack.key_slice] > 0.5).sum() < LEAST_PIXELS:
            continue
        whole = Slab(stack.hu, row.spacing_mm_px, row.slice_interval_mm, stack.key_slice)
        slab, share = cropped(whole, (stack.coverage > 0.5).astype(np.float32))
        arrays[f"hu{len(facts)}"] = slab.hu.astype(np.int16)
        arrays[f"share{len(facts)}"] = share.astype(np.float16)
        facts.append(
            {
                "mm_px": row.spacing_mm_px[0],
                "interval_mm": row.slice_interval_mm,
                "key_slice": stack.key_slice,
            }
        )
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".partial.npz")
    np.savez_compressed(partial, allow_pickle=False, facts=json.dumps(facts), **arrays)
    partial.replace(path)
