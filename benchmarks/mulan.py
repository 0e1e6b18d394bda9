"""One network for all tasks beside one network a task, on the same left-out patients.

    python benchmarks/mulan.py --heads runs/heads/multitask.safetensors \
        --nodules lung_nodules --sarcomas sarcoma_ct --archive pasted_validation --archive sarcoma

* masks: Dice on the key slice from a box of 0.6 mm jitter, the heads beside the single mask
  network, with the difference over the same draws of the patients, and the ceiling of the heads'
  grid: the true mask sampled on it and brought back;
* tags: AUC of every term beside the single head of tags (``--tags`` and the encoder), likewise;
* detection: mean sensitivity with and without the refinement layer, on validation slices of the
  archives; without it boxes and scores are the detector's own;
* time: processor milliseconds of one thread, a slice with the boxes read that an answer shows (at
  most five), over the detector alone on the same slices.

``--split val`` (default) is for choosing; ``test`` opens the left-out patients. Writes OUT.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from retrieval.detection.detector import LesionDetector
from retrieval.embedding.encoder import LesionEncoder
from retrieval.evaluation.detection.froc import resampled_means
from retrieval.evaluation.detection.key_slices import (
    IOU_THRESHOLD,
    RATES,
    SMALL_MM,
    KeySlice,
    key_slices,
    scored_boxes,
)
from retrieval.evaluation.detection.matching import iou, match
from retrieval.evaluation.segmentation.scores import dice
from retrieval.labels.appearance.learning.fitting import auc
from retrieval.labels.appearance.learning.ratings import rated_terms
from retrieval.labels.appearance.prediction import features_of_patches
from retrieval.labels.appearance.weights_file import TagHead
from retrieval.lesion import BOX_PADDING_PX, Lesion, Split
from retrieval.multitask.heads import load_heads
from retrieval.multitask.learning.train import boxed_mask
from retrieval.multitask.network import MultitaskNetwork, prompt_of
from retrieval.multitask.tag_vector import as_array
from retrieval.patch import extract_patch
from retrieval.segmentation.learning.example import MaskedLesion, on_largest_slice
from retrieval.segmentation.learning.level import JITTER_MM
from retrieval.segmentation.learning.prompting import extent_box, jittered
from retrieval.segmentation.learning.real import read_nodules, read_sarcomas
from retrieval.segmentation.prompt import Prompt
from retrieval.segmentation.segmenter import LesionSegmenter, SlicePrompt
from retrieval.segmentation.view import ViewGrid, ViewSpec
from retrieval.sources.archive import Archive, open_archive
from retrieval.sources.importers.lung_nodules import NoduleSource
from retrieval.sources.importers.mask_marks import recist_of_mask

RESULT = Path(__file__).parent / "results" / "mulan.json"
DRAWS = 1000
SEED = 0

Floats = NDArray[np.float64]


def main() -> None:
    """Measures what is asked for and writes it."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--heads", type=Path, required=True)
    parser.add_argument("--nodules", type=Path)
    parser.add_argument("--sarcomas", type=Path)
    parser.add_argument("--archive", type=Path, action="append", default=[])
    parser.add_argument("--split", type=Split, default=Split.VALIDATION)
    parser.add_argument("--most", type=int, default=40, help="key slices of an archive")
    parser.add_argument("--timed", type=int, default=8, help="slices of the last archive, timed")
    parser.add_argument("--out", type=Path, default=RESULT)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    detector = LesionDetector.load()
    network = MultitaskNetwork(detector, load_heads(chosen.heads, detector))
    document = json.loads(chosen.out.read_text()) if chosen.out.is_file() else {}
    part: dict[str, Any] = {}
    document[chosen.split.value] = part
    for name, folder, read in (
        ("nodules", chosen.nodules, read_nodules),
        ("sarcomas", chosen.sarcomas, read_sarcomas),
    ):
        if folder is not None:
            lesions = [on_largest_slice(x) for x in read(folder, chosen.split)]
            part.setdefault("masks", {})[name] = masks(network, lesions)
            _write(document, chosen.out)
    if chosen.nodules is not None and network.heads.terms:
        part["tags"] = tags(network, chosen.nodules, chosen.split)
        _write(document, chosen.out)
    for folder in chosen.archive:
        archive = open_archive(folder)
        found = key_slices(archive, (chosen.split,))
        slices = found[:: max(1, len(found) // chosen.most)][: chosen.most]
        part.setdefault("detection", {})[folder.name] = detection(network, archive, slices)
        part["time"] = timing(network, archive, slices[: chosen.timed])
        _write(document, chosen.out)
    print(json.dumps(part, indent=1))


def _write(document: dict[str, Any], out: Path) -> None:
    out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def masks(network: MultitaskNetwork, lesions: Sequence[MaskedLesion]) -> dict[str, Any]:
    """Dice of each method, and the heads' less the single network's."""
    segmenter = LesionSegmenter.load()
    size = network.heads.config.size_px
    rows = []
    for number, lesion in enumerate(lesions):
        slab = lesion.slab
        truth = lesion.mask[slab.key_slice]
        own = boxed_mask(network, lesion, np.random.default_rng([SEED, number])) > 0.5
        rng = np.random.default_rng([SEED, number])
        mark = jittered(lesion.mark_on(slab.key_slice), JITTER_MM, slab.spacing_mm_px, rng)
        box = extent_box(mark, BOX_PADDING_PX)
        prompt = Prompt.from_box(box, slab.spacing_mm_px)
        single = segmenter.predict(slab, [SlicePrompt(slab.key_slice, prompt)])[0]
        single_mask = single.on_image(truth.shape) > 0.5
        grid = ViewGrid.of(prompt_of(slab, box), ViewSpec(size_px=size))
        share = grid.cut(lesion.share_slab, slab.key_slice, slices=1)[0]
        back = grid.back(share, truth.shape, slab.spacing_mm_px).on_image(truth.shape) > 0.5
        inside = prompt.mask(truth.shape, slab.spacing_mm_px)
        rows.append([dice(x, truth) for x in (own, single_mask, back, inside)])
    values = np.array(rows)
    owners = _numbers([lesion.patient for lesion in lesions])
    names = ("heads", "single network", "ceiling of the grid", "ellipse")
    result: dict[str, Any] = {
        name: _mean(values[:, column], owners) for column, name in enumerate(names)
    }
    result["heads less the single network"] = _mean(values[:, 0] - values[:, 1], owners)
    longs = [x.mark_on(x.slab.key_slice).diameters_mm(x.slab.spacing_mm_px)[0] for x in lesions]
    small = np.array(longs) < SMALL_MM
    if small.any() and not small.all():
        lead = values[:, 0] - values[:, 1]
        result["under 10 mm"] = _mean(lead[small], owners[small])
        result["10 mm and more"] = _mean(lead[~small], owners[~small])
    return {"lesions": len(lesions), "patients": len(set(owners.tolist())), **result}


def tags(network: MultitaskNetwork, folder: Path, split: Split) -> dict[str, Any]:
    """AUC of each term by the heads and by the single head, on key slices."""
    source = NoduleSource.open(folder)
    encoder, single = LesionEncoder.load(), TagHead.load()
    head = network.heads.tag_head
    assert head is not None
    own, other, ratings, owners = [], [], [], []
    for patient, names in source.nodules_of.items():
        for name in names if source.splits[patient] is split else ():
            nodule = source.nodule(patient, name)
            slab = nodule.slab
            box = recist_of_mask(nodule.mask[slab.key_slice], slab.spacing_mm_px).box()
            inputs, found = network.about(slab, box)
            vector = as_array(network.heads.vector(inputs, found))
            own.append(features_of_patches(vector, [network.patch_of(slab, box)])[0])
            patch = extract_patch(slab, box, encoder.spec)
            other.append(features_of_patches(encoder.embed([patch]).vectors, [patch])[0])
            ratings.append(dict(nodule.ratings))
            owners.append(patient)
    truth = rated_terms({key: np.array([row[key] for row in ratings]) for key in ratings[0]})
    told = (head.probabilities(np.stack(own)), single.probabilities(np.stack(other)))
    places = {term.name: k for k, term in enumerate(single.terms)}
    numbers = _numbers(owners)
    result: dict[str, Any] = {"lesions": len(owners), "patients": len(set(owners))}
    for column, term in enumerate(head.terms):
        known = ~np.isnan(truth[term.name])
        positive = truth[term.name][known] == 1
        if not positive.any() or positive.all():
            continue
        pair = (
            told[0][known, column].astype(np.float64),
            told[1][known, places[term.name]].astype(np.float64),
        )
        result[term.name] = {
            "positives": int(positive.sum()),
            "worth a tag": single.terms[places[term.name]].is_predicted,
            "heads": round(auc(pair[0], positive), 3),
            "single head": round(auc(pair[1], positive), 3),
            "heads less the single head": _auc_lead(pair, positive, numbers[known]),
        }
    return result


def detection(
    network: MultitaskNetwork, archive: Archive, slices: Sequence[KeySlice]
) -> dict[str, Any]:
    """Protocol A of the detector, and of its boxes under refined scores."""
    plain, refined = [], []
    for image in slices:
        slab = archive.slab(image.lesions[0], half_depth_mm=network.detector.half_depth_mm)
        proposals, look = network.seen(slab)
        plain.append(scored_boxes(proposals))
        refined.append(scored_boxes([x.proposal for x in network.of_boxes(look, proposals)]))
    truth = [_boxes(image.lesions) for image in slices]
    owners = _numbers([image.lesions[0].patient_id for image in slices])
    means = [
        resampled_means(match(truth, boxes, iou, threshold=IOU_THRESHOLD), owners, RATES)
        for boxes in (plain, refined)
    ]
    return {
        "slices": len(slices),
        "detector": _interval(means[0]),
        "refined": _interval(means[1]),
        "refined less the detector": _interval(means[1] - means[0]),
        "refinement is the identity": network.heads.refinement.is_identity,
    }


def timing(
    network: MultitaskNetwork, archive: Archive, slices: Sequence[KeySlice]
) -> dict[str, Any]:
    """Median processor time of a slice, and the ratio; both in turn on each slice."""
    spent: dict[str, list[float]] = {"detector": [], "with heads": []}
    boxes = []
    for image in slices:
        slab = archive.slab(image.lesions[0], half_depth_mm=network.detector.half_depth_mm)
        start = time.process_time()
        network.detector.detect(slab)
        between = time.process_time()
        boxes.append(len(network.find(slab)))
        spent["detector"].append((between - start) * 1000)
        spent["with heads"].append((time.process_time() - between) * 1000)
    medians = {name: round(float(np.median(each)), 1) for name, each in spent.items()}
    ratios = np.array(spent["with heads"]) / np.array(spent["detector"])
    return {
        **medians,
        "ratio": round(float(np.median(ratios)), 2),
        "boxes": round(float(np.mean(boxes)), 1),
        "slices": len(slices),
    }


def _boxes(lesions: Sequence[Lesion]) -> Floats:
    return np.array([lesion.box.to_list() for lesion in lesions], np.float64)


def _numbers(owners: Sequence[str]) -> NDArray[np.int64]:
    return np.unique(owners, return_inverse=True)[1].astype(np.int64)


def _drawn(owners: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.int64]:
    """Rows of patients drawn with replacement."""
    rows = [np.flatnonzero(owners == one) for one in np.unique(owners)]
    return np.concatenate([rows[k] for k in rng.integers(0, len(rows), len(rows))])


def _mean(values: Floats, owners: NDArray[np.int64]) -> list[float]:
    """Mean with its 95 % interval over patients."""
    rng = np.random.default_rng(SEED)
    drawn = [values[_drawn(owners, rng)].mean() for _ in range(DRAWS)]
    return _interval(np.array([values.mean(), *drawn]))


def _auc_lead(
    pair: tuple[Floats, Floats], positive: NDArray[np.bool_], owners: NDArray[np.int64]
) -> list[float]:
    rng = np.random.default_rng(SEED)
    drawn = [auc(pair[0], positive) - auc(pair[1], positive)]
    for _ in range(DRAWS):
        rows = _drawn(owners, rng)
        drawn.append(auc(pair[0][rows], positive[rows]) - auc(pair[1][rows], positive[rows]))
    return _interval(np.array(drawn))


def _interval(values: Floats) -> list[float]:
    """Value, low and high of 95 % of the draws."""
    low, high = np.nanquantile(values[1:], (0.025, 0.975))
    return [round(float(x), 3) for x in (values[0], low, high)]


if __name__ == "__main__":
    main()
