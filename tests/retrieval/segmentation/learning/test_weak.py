"""Marks without masks become pseudo masks, in rounds, and only where everything agrees."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest

from retrieval.lesion import Split
from retrieval.segmentation.learning.batches import BatchMaker
from retrieval.segmentation.learning.grabcut import grabcut_from_probability, grabcut_from_prompt
from retrieval.segmentation.learning.recipe import load_mask_recipe
from retrieval.segmentation.learning.train import (
    MaskSources,
    SegmentationDataError,
    train_in_rounds,
    train_segmentation,
)
from retrieval.segmentation.learning.weak import (
    WeakConfig,
    WeakLesion,
    WeakRefusal,
    pseudo_masks,
    weak_lesions,
)
from retrieval.segmentation.prompt import Prompt
from retrieval.sources.archive import open_archive
from retrieval.training.loop import Reports
from tests.retrieval.segmentation.scenes import (
    CENTER,
    KEY,
    SPACING,
    Everything,
    Nothing,
    ball,
    mark,
    segmenter,
    truth,
)

CONFIG = WeakConfig(rounds=2, steps=2)
TINY = {
    "data.views": "4",
    "data.phantoms": "0",
    "data.painted": "0",
    "optimiser.steps": "2",
    "weak.rounds": "2",
    "weak.steps": "2",
    "network.widths": "[4, 8]",
    "view.size_px": "16",
}


def dice(a: np.ndarray, b: np.ndarray) -> float:
    return 2 * (a & b).sum() / (a.sum() + b.sum())


def weak(name: str = "a", stretched: float = 1.0) -> WeakLesion:
    prompt = Prompt.from_recist(mark(), SPACING)
    halves = tuple(half * stretched for half in prompt.halves_mm)
    return WeakLesion(name, f"patient {name}", ball(), replace(prompt, halves_mm=halves))


def test_the_first_round_knows_the_key_slice_alone():
    made = pseudo_masks([weak()], None, CONFIG, number=0)
    (lesion,) = made.lesions
    assert not made.refused
    assert dice(lesion.mask[KEY], truth()[KEY]) > 0.9
    assert lesion.mask.any(axis=(1, 2)).sum() == 1
    assert lesion.known == (KEY, KEY)


def test_a_later_round_follows_the_lesion_and_knows_where_it_ends():
    made = pseudo_masks([weak()], segmenter(), CONFIG, number=1)
    (lesion,) = made.lesions
    assert dice(lesion.mask, truth()) > 0.9
    first, last = lesion.known
    shown = np.flatnonzero(lesion.mask.any(axis=(1, 2)))
    assert (first, last) == (shown[0] - 1, shown[-1] + 1)


@pytest.mark.parametrize(
    ("lesion", "network", "reason"),
    [
        (weak(stretched=1.6), None, WeakRefusal.AXES),
        (weak(stretched=0.7), segmenter(), WeakRefusal.AXES),
        (weak(), segmenter(Nothing()), WeakRefusal.EMPTY),
        (weak(), segmenter(Everything()), WeakRefusal.EMPTY),
    ],
)
def test_what_does_not_agree_is_not_learned_from(lesion, network, reason):
    made = pseudo_masks([lesion], network, CONFIG, number=0)
    assert not made.lesions
    assert made.refused == {"a": reason}


def test_later_rounds_are_more_lenient():
    doubtful = weak(stretched=1.45)
    strict = pseudo_masks([doubtful], segmenter(), CONFIG, number=0)
    lenient = pseudo_masks([doubtful], segmenter(), CONFIG, number=3)
    assert strict.refused == {"a": WeakRefusal.AXES}
    assert not lenient.refused


def test_slices_that_nobody_knows_are_never_learned_from():
    made = pseudo_masks([weak()], None, CONFIG, number=0)
    recipe = load_mask_recipe("small", {**TINY, "data.following": "1.0"})
    batches = [BatchMaker(made.lesions, recipe)(step) for step in range(6)]
    # Every view is of the key slice: the lesion is on each of them.
    assert all(batch.shares.max(axis=(1, 2)).min() > 0.5 for batch in batches)


def test_grabcut_keeps_what_a_network_is_sure_of():
    values = np.where(truth()[KEY], 0.9, 0.1).astype(np.float32)
    assert np.array_equal(grabcut_from_probability(ball().hu[KEY], values), truth()[KEY])
    unsure = np.full(values.shape, 0.1, np.float32)
    y, x = np.mgrid[: values.shape[0], : values.shape[1]]
    away = np.hypot(x - CENTER[0], y - CENTER[1])
    unsure[away < 14] = 0.45
    unsure[away < 5] = 0.9
    assert dice(grabcut_from_probability(ball().hu[KEY], unsure), truth()[KEY]) > 0.95
    prompt = Prompt.from_recist(mark(), SPACING)
    assert dice(grabcut_from_prompt(ball(), prompt), truth()[KEY]) > 0.9


def test_rounds_killed_anywhere_go_on_to_the_same_weights(tmp_path):
    recipe = load_mask_recipe("small", TINY)
    marked = [weak("a"), weak("b")]
    whole = train_in_rounds([], marked, recipe, tmp_path / "whole", reports=Reports())
    seen = 0

    def stop(done: int, total: int, loss: float) -> None:
        nonlocal seen
        seen += 1
        if seen == 4:  # in the second round
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        train_in_rounds([], marked, recipe, tmp_path / "killed", reports=Reports(step=stop))
    again = train_in_rounds([], marked, recipe, tmp_path / "killed", reports=Reports())
    assert again.fingerprint == whole.fingerprint
    said = json.loads((tmp_path / "whole" / "round-0" / "masks.json").read_text())
    assert said["accepted"] == ["a", "b"]
    # Two steps teach a network nothing: what it refuses keeps GrabCut's masks.
    assert whole.lesions == {"marked": 2}
    refused = json.loads((tmp_path / "whole" / "masks.json").read_text())["refused"]
    assert set(refused) == {"a", "b"}


def test_marks_of_an_archive(real_data, tmp_path):
    archive = open_archive(real_data / "deeplesion_windowed")
    found = list(weak_lesions(archive))
    marked = [one for one in archive.lesions if one.split is Split.TRAIN]
    assert [one.name for one in found] == [one.lesion_id for one in marked]
    for one in found:
        assert one.slab.hu[one.slab.key_slice][
            one.prompt.mask((one.slab.rows, one.slab.columns), one.slab.spacing_mm_px)
        ].mean() == pytest.approx(60, abs=80)


def test_marks_without_rounds_are_told(real_data, tmp_path):
    recipe = load_mask_recipe("small", {**TINY, "weak.rounds": "0"})
    sources = MaskSources(marked=(real_data / "deeplesion_windowed",))
    with pytest.raises(SegmentationDataError, match=r"weak\.rounds"):
        train_segmentation(sources, recipe, tmp_path)
