"""Other views of a lesion, and how much a vector moves under them."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.evaluation.retrieval.baselines import RawPixels
from retrieval.evaluation.retrieval.pixels import EncoderMethod, LesionImages
from retrieval.evaluation.retrieval.stability import (
    BACKGROUND,
    StabilityOptions,
    different_pairs,
    row_cosines,
    stability_scores,
)
from retrieval.image import Slab
from retrieval.lesion import Box
from retrieval.patch import PatchSpec, extract_patch
from retrieval.sources.lesion_table import LesionTable
from retrieval.synthesis.views import BoxJitter, Rescan, cropped
from tests.retrieval.evaluation.toy_archive import (
    SPEC,
    ToyArchive,
    brightness,
    contrast,
    toy_archive,
)


def slab_of(hu, interval=2.0, spacing=1.0, key=None):
    key = hu.shape[0] // 2 if key is None else key
    return Slab(np.asarray(hu, np.float32), (spacing, spacing), interval, key)


def test_box_jitter_moves_each_edge_within_its_fraction():
    box = Box(10, 20, 30, 60)
    jitter = BoxJitter(0.2, np.random.default_rng(0))
    edges = np.array([jitter(slab_of(np.zeros((1, 80, 80))), box)[1].to_list() for _ in range(400)])
    moves = np.abs(edges - box.to_list())
    assert (moves <= [4, 8, 4, 8]).all()
    assert (moves.max(axis=0) > [3.5, 7, 3.5, 7]).all()


def test_cropping_leaves_the_patch_unchanged():
    rng = np.random.default_rng(0)
    slab = slab_of(rng.normal(0, 50, (3, 400, 420)), spacing=0.5)
    box = Box(301.5, 190, 340, 220.25)
    smaller, moved = cropped(slab, box)
    assert smaller.hu.shape[1:] != slab.hu.shape[1:] or slab.rows <= 640
    spec = PatchSpec(size_px=64)
    whole, part = extract_patch(slab, box, spec), extract_patch(smaller, moved, spec)
    np.testing.assert_allclose(whole.hu, part.hu, atol=1e-3)
    np.testing.assert_allclose(whole.box.to_list(), part.box.to_list(), atol=1e-6)


def test_cropping_really_crops_a_large_slice():
    slab = slab_of(np.zeros((1, 512, 512)))
    smaller, box = cropped(slab, Box(400, 100, 420, 120))
    assert smaller.hu.shape == (1, 271, 262)
    assert box.center == (160, 110)


def test_rescan_adds_the_noise_it_says_and_keeps_the_mean():
    slab = slab_of(np.full((5, 60, 60), 40.0))
    rescan = Rescan(np.random.default_rng(0), noise_hu=20.0)
    again, _ = rescan(slab, Box(20, 20, 40, 40))
    assert again.hu.std() == pytest.approx(20, rel=0.05)
    assert again.hu.mean() == pytest.approx(40, abs=1)


def test_rescan_blurs_edges_and_shifts_slices():
    edge = np.zeros((1, 40, 40))
    edge[:, :, 20:] = 100
    blurred, _ = Rescan(np.random.default_rng(0), noise_hu=0.0, blur_mm=2.0)(
        slab_of(edge), Box(15, 15, 25, 25)
    )
    assert 55 < blurred.hu[0, 20, 20] < 65
    ramp = np.arange(5.0)[:, None, None] * np.full((1, 9, 9), 10.0)
    shifted, _ = Rescan(np.random.default_rng(3), noise_hu=0.0, blur_mm=0.0, offset_mm=2.0)(
        slab_of(ramp), Box(2, 2, 6, 6)
    )
    middle = shifted.hu[1:4].mean(axis=(1, 2)) - [10, 20, 30]
    assert np.ptp(middle) == pytest.approx(0, abs=1e-3)
    assert 0.1 < abs(middle[0]) <= 10


def test_row_cosines_by_hand():
    vectors = np.array([[2.0, 0.0], [0.0, 3.0], [1.0, 1.0]], np.float32)
    found = row_cosines(vectors, np.array([0, 0, 2]), np.array([1, 2, 2]))
    np.testing.assert_allclose(found, [0, np.sqrt(0.5), 1], atol=1e-6)


def test_pairs_differ_in_patient_and_share_their_type():
    table = LesionTable.of(toy_archive(12))
    pairs = different_pairs(table, np.random.default_rng(0))
    assert len(pairs) == 2000
    assert (table.patients[pairs[:, 0]] != table.patients[pairs[:, 1]]).all()
    assert (table.types[pairs[:, 0]] == table.types[pairs[:, 1]]).all()


def test_a_blind_encoder_is_stable_but_separates_nothing():
    archive = toy_archive(6)
    table = LesionTable.of(archive)
    images = LesionImages(archive)
    methods = [
        EncoderMethod("blind", lambda patches: np.ones((len(patches), 4), np.float32), SPEC),
        EncoderMethod("patient", contrast, SPEC),
    ]
    described = dict(zip(methods, images.describe(table.lesions, methods), strict=True))
    scores = stability_scores(
        table, images, described, np.random.default_rng(0), StabilityOptions(9, 20)
    )
    by_name = {(score.section, score.name): score.estimates for score in scores}
    for view in ("box jitter 10 %", "box jitter 20 %", "re-scan"):
        section = f"stability: {view}"
        assert by_name[section, "cosine, median"]["blind"].value == pytest.approx(1)
        assert by_name[section, f"AUC against {BACKGROUND}"]["blind"].value == pytest.approx(0.5)
        assert by_name[section, "cosine, median"]["patient"].queries == 9
        assert by_name[section, f"AUC against {BACKGROUND}"]["patient"].value > 0.9
    spread = by_name[f"stability: {BACKGROUND}", "cosine, 5th percentile"]["patient"].value
    assert spread < 0.9 < by_name["stability: box jitter 10 %", "cosine, median"]["patient"].value


def test_each_slab_is_read_once_for_all_methods_and_specs():
    archive: ToyArchive = toy_archive(3)
    other = PatchSpec(size_px=24, slices=1)
    methods = [EncoderMethod("a", brightness, SPEC), RawPixels(SPEC), RawPixels(other)]
    told = []
    images = LesionImages(archive, lambda done, total: told.append((done, total)))
    features = images.describe(archive.lesions, methods)
    assert len(archive.readings) == 9
    assert [part.shape for part in features] == [(9, 2), (9, 64), (9, 144)]
    assert told == [(9, 9)]
