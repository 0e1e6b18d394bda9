r"""What marks without masks teach: nodules of the train split with their masks hidden.

    python benchmarks/weak_masks.py --data REAL --out-folder RUN \
        --out benchmarks/results/weak_masks.json

Training nodules give their two lines alone, jittered by 0.6 mm. Pseudo masks of the first round
(GrabCut) and of the last network are scored against the hidden masks, and the networks that they
leave on the validation split, beside the ellipse and GrabCut. The test split is not opened.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from retrieval.evaluation.segmentation.baselines import ellipse, grabcut
from retrieval.evaluation.segmentation.scores import dice
from retrieval.evaluation.stats.intervals import mean_estimate
from retrieval.lesion import Split
from retrieval.segmentation.learning.example import MaskedLesion, on_largest_slice
from retrieval.segmentation.learning.prompting import jittered
from retrieval.segmentation.learning.real import read_nodules
from retrieval.segmentation.learning.recipe import MaskRecipe, load_mask_recipe
from retrieval.segmentation.learning.train import train_in_rounds
from retrieval.segmentation.learning.weak import WeakLesion, pseudo_masks
from retrieval.segmentation.masks import about_prompt
from retrieval.segmentation.prompt import Prompt
from retrieval.segmentation.segmenter import LesionSegmenter
from retrieval.training.loop import Reports

JITTER_MM = 0.6
RESAMPLES = 1000


def marked_prompt(lesion: MaskedLesion, number: int) -> Prompt:
    """Two lines with jittered ends on the key slice."""
    spacing = lesion.slab.spacing_mm_px
    rng = np.random.default_rng([11, number])
    mark = jittered(lesion.mark_on(lesion.slab.key_slice), JITTER_MM, spacing, rng)
    return Prompt.from_recist(mark, spacing)


def hidden(lesions: Sequence[MaskedLesion]) -> list[WeakLesion]:
    """The lesions without their masks."""
    return [
        WeakLesion(one.name, one.patient, one.slab, marked_prompt(one, number))
        for number, one in enumerate(lesions)
    ]


def round_scores(
    lesions: Sequence[MaskedLesion], recipe: MaskRecipe, network: Path | None, number: int
) -> dict[str, Any]:
    """Pseudo masks of a round against the masks that were hidden."""
    segmenter = LesionSegmenter.load(network) if network else None
    made = pseudo_masks(hidden(lesions), segmenter, recipe.weak, number=number)
    truth = {one.name: one for one in lesions}
    keys, volumes, patients = [], [], []
    for one in made.lesions:
        known = truth[one.name]
        key = known.slab.key_slice
        keys.append(dice(one.mask[key], known.mask[key]))
        volumes.append(dice(one.mask, known.mask))
        patients.append(one.patient)
    return {
        "made by": "GrabCut" if network is None else f"the network of round {number - 1}",
        "accepted": len(made.lesions),
        "refused": len(made.refused),
        "key slice dice": estimate(keys, patients),
        "volume dice": estimate(volumes, patients),
    }


def estimate(values: Sequence[float], patients: Sequence[str]) -> dict[str, Any]:
    """A mean with its interval over patients."""
    numbers = {name: k for k, name in enumerate(sorted(set(patients)))}
    groups = np.array([numbers[name] for name in patients])
    rng = np.random.default_rng(0)
    return mean_estimate(np.array(values), groups, rng, resamples=RESAMPLES).to_json()


def on_validation(network: Path, lesions: Sequence[MaskedLesion]) -> dict[str, Any]:
    """Key slices of left-out nodules: the network, the ellipse and GrabCut from the same lines."""
    segmenter = LesionSegmenter.load(network)
    scores: dict[str, list[float]] = {"network": [], "ellipse": [], "GrabCut": []}
    for number, lesion in enumerate(lesions):
        slab, prompt = lesion.slab, marked_prompt(lesion, number)
        truth = lesion.mask[slab.key_slice]
        plane, _ = segmenter.key_slice(slab, prompt)
        values = about_prompt(plane.on_image(truth.shape), prompt, slab.spacing_mm_px)
        scores["network"].append(dice(values > 0.5, truth))
        scores["ellipse"].append(dice(ellipse(slab, prompt), truth))
        scores["GrabCut"].append(dice(grabcut(slab, prompt), truth))
    patients = [lesion.patient for lesion in lesions]
    return {name: estimate(values, patients) for name, values in scores.items()}


def main() -> None:
    """Trains in rounds on hidden masks and scores them."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--out-folder", type=Path, required=True, help="the run: resumable")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--lesions", type=int, default=10_000, help="at most so many nodules")
    parser.add_argument("--steps", type=int, default=100, help="of each of the two rounds")
    parser.add_argument("--last-steps", type=int, default=150, help="of the last run")
    given = parser.parse_args()
    torch.set_num_threads(1)
    changes = {
        "weak.steps": str(given.steps),
        "optimiser.steps": str(given.last_steps),
        "data.painted": "0",
    }
    recipe = load_mask_recipe("weak", changes)
    folder = given.data / "lung_nodules"
    learned = [on_largest_slice(one) for one in read_nodules(folder, Split.TRAIN)]
    learned = learned[:: max(len(learned) // given.lesions, 1)][: given.lesions]
    train_in_rounds([], hidden(learned), recipe, given.out_folder, reports=Reports())
    networks = [given.out_folder / f"round-{k}" for k in range(recipe.weak.rounds)]
    networks.append(given.out_folder)
    files = [one / "segmentation.safetensors" for one in networks]
    left_out = [on_largest_slice(one) for one in read_nodules(folder, Split.VALIDATION)]
    found = {
        "lesions": len(learned),
        "steps": [given.steps] * recipe.weak.rounds + [given.last_steps],
        "pseudo masks": [
            round_scores(learned, recipe, file, number)
            for number, file in ((0, None), (recipe.weak.rounds, files[-2]))
        ],
        "validation": {
            f"after run {number}": on_validation(file, left_out)
            for number, file in enumerate(files)
        },
    }
    text = json.dumps(found, indent=1)
    if given.out:
        given.out.write_text(text + "\n", encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
