from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from retrieval.embedding.augment import AugmentConfig, Augmenter
from retrieval.embedding.training_data import TrainingData
from retrieval.patch import PatchSpec, extract_patch
from retrieval.sources.deeplesion.archive import DeepLesionArchive

UNCHANGED = dict.fromkeys(AugmentConfig.__dataclass_fields__, 0.0)
GEOMETRY = {"spacing": 0.12, "rotation_deg": 8.0, "slice_offset_mm": 1.5, "box_jitter": 0.15}
SPEC = PatchSpec(size_px=48)
CACHED = 80


def view(
    hu: Tensor, boxes: Tensor, *, seed: int = 0, flip: bool = False, **changes: float
) -> tuple[Tensor, Tensor]:
    augmenter = Augmenter(SPEC, AugmentConfig(**{**UNCHANGED, **changes}))
    flips = torch.full((len(hu),), flip)
    return augmenter(hu, boxes, flips, torch.Generator().manual_seed(seed))


def squares(count: int) -> tuple[Tensor, Tensor]:
    """Cached patches of air with one bright rectangle each, and its box."""
    hu = torch.full((count, 5, CACHED, CACHED), -1000.0)
    hu[:, :, 34:46, 31:49] = 1000.0
    return hu, torch.tensor([[31.0, 34.0, 48.0, 45.0]]).repeat(count, 1)


def bright(plane: Tensor) -> tuple[np.ndarray, np.ndarray]:
    rows, columns = np.nonzero(plane.numpy() > 0)
    return rows, columns


def test_no_change_is_exactly_the_patch_of_an_indexed_lesion(
    phantom_archive: DeepLesionArchive, phantom_training: TrainingData
) -> None:
    rows = np.arange(len(phantom_archive.lesions))
    hu, boxes = phantom_training.gather(rows)
    views, view_boxes = view(hu.float(), boxes)
    for row, lesion in enumerate(phantom_archive.lesions):
        slab = phantom_archive.slab(lesion, half_depth_mm=SPEC.half_depth_mm)
        patch = extract_patch(slab, lesion.box, SPEC)
        # Whole HU in the cache, and a float32 grid whose points fall on pixels to within 1e-5.
        assert np.abs(views[row].numpy() - patch.hu).max() < 0.6
        np.testing.assert_allclose(view_boxes[row], patch.box.to_list(), atol=1e-3)


def test_a_rotation_turns_the_lesion_and_leaves_its_shape() -> None:
    """A wrong sign in the matrix makes a shear of it: the long side grows, the area shrinks."""
    hu, boxes = squares(16)
    plain = np.cov(np.stack(bright(view(hu, boxes)[0][0, 1])))
    views, _ = view(hu, boxes, rotation_deg=60.0)
    turned = 0
    for planes in views:
        moments = np.cov(np.stack(bright(planes[1])))
        np.testing.assert_allclose(
            np.linalg.eigvalsh(moments), np.linalg.eigvalsh(plain), rtol=0.12
        )
        turned += abs(moments[0, 1]) > 3
    assert turned > 4


def test_the_box_follows_the_lesion() -> None:
    hu, boxes = squares(64)
    views, found = view(hu, boxes, **GEOMETRY)
    for planes, box in zip(views, found.tolist(), strict=True):
        rows, columns = bright(planes[1])
        assert box[0] < columns.mean() < box[2]
        assert box[1] < rows.mean() < box[3]


def test_spacing_changes_box_and_lesion_alike() -> None:
    hu, boxes = squares(64)
    views, found = view(hu, boxes, spacing=0.12)
    widths = []
    for planes, box in zip(views, found.tolist(), strict=True):
        rows, columns = bright(planes[1])
        assert [columns.min(), rows.min(), columns.max(), rows.max()] == pytest.approx(box, abs=1.1)
        widths.append(box[2] - box[0])
    assert min(widths) < 17 * 0.95
    assert max(widths) > 17 * 1.05


def test_a_flip_mirrors_left_and_right_about_the_lesion() -> None:
    generator = torch.Generator().manual_seed(1)
    hu = torch.randn(3, 5, CACHED, CACHED, generator=generator) * 100
    boxes = torch.tensor([[31.0, 34.0, 48.0, 45.0]]).repeat(3, 1)
    plain, plain_boxes = view(hu, boxes)
    mirrored, mirrored_boxes = view(hu, boxes, flip=True)
    torch.testing.assert_close(mirrored, plain.flip(3), atol=0.1, rtol=0)
    torch.testing.assert_close(mirrored_boxes, plain_boxes)


def test_a_slice_offset_interpolates_between_cached_planes() -> None:
    ramp = torch.arange(5.0).view(1, 5, 1, 1) * 100
    hu = ramp.expand(200, 5, CACHED, CACHED).contiguous()
    boxes = squares(200)[1]
    views, _ = view(hu, boxes, slice_offset_mm=1.5)
    middle = views[:, :, 24, 24]
    offset = middle[:, 1] / 100 - 2
    expected = ramp.view(1, 5)[:, 1:4] + offset[:, None] * 100
    torch.testing.assert_close(middle, expected, atol=1e-3, rtol=0)
    # 1.5 mm of a 2 mm interval, to either side, evenly.
    assert float(offset.abs().max()) == pytest.approx(0.75, abs=0.03)
    assert float(offset.mean()) == pytest.approx(0, abs=0.1)


def test_noise_shift_and_kernel_change_values_within_their_limits() -> None:
    hu, boxes = squares(64)
    flat = torch.zeros_like(hu)
    shifted, _ = view(flat, boxes, hu_shift=15)
    assert float(shifted.std(dim=(1, 2, 3)).max()) < 1e-3
    assert 10 < float(shifted.abs().max()) <= 15
    noisy, _ = view(flat, boxes, noise_hu=25)
    assert 20 < float(noisy.std(dim=(1, 2, 3)).max()) < 26
    smooth, _ = view(hu, boxes, kernel=0.8)
    sharp = smooth.amax(dim=(1, 2, 3)) > 1000
    assert 0.3 < float(sharp.float().mean()) < 0.7


def test_the_generator_alone_decides() -> None:
    hu, boxes = squares(4)
    every = {**GEOMETRY, "noise_hu": 25.0, "hu_shift": 15.0, "kernel": 0.8}
    first, again, other = (view(hu, boxes, seed=seed, **every)[0] for seed in (3, 3, 4))
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert not torch.equal(first[0], first[1])


def test_views_stay_within_the_scanners_range() -> None:
    hu, boxes = squares(4)
    views, _ = view(hu * 4, boxes, noise_hu=400, kernel=0.8)
    assert float(views.min()) >= -1024
    assert float(views.max()) <= 3071
