"""extract_patch: golden pixels on real CT, an independent naive form, and its properties."""

from __future__ import annotations

import json
import math
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from retrieval.image import CT_HU, Slab
from retrieval.lesion import Box, LesionError
from retrieval.patch import PatchError, PatchSpec, extract_patch
from retrieval.sources.deeplesion.archive import DeepLesionArchive

SMALL = PatchSpec(size_px=16, mm_px=1.0, slices=3, slice_interval_mm=2.0)


def naive_pixel(slab: Slab, x: float, y: float, depth: float, scales: tuple[float, float]) -> float:
    """One patch pixel: a weighted mean of all pixels under a triangle in x, y and depth."""
    depth = min(max(depth, 0.0), slab.hu.shape[0] - 1.0)
    reach_x, reach_y = max(scales[0], 1.0), max(scales[1], 1.0)
    total = weight_sum = 0.0
    for row in range(math.ceil(y - reach_y), math.floor(y + reach_y) + 1):
        for column in range(math.ceil(x - reach_x), math.floor(x + reach_x) + 1):
            weight = (1 - abs(column - x) / reach_x) * (1 - abs(row - y) / reach_y)
            value = CT_HU.padding
            if 0 <= row < slab.rows and 0 <= column < slab.columns:
                below = min(int(depth), slab.hu.shape[0] - 1)
                above = min(below + 1, slab.hu.shape[0] - 1)
                part = depth - below
                low, high = (
                    min(max(float(slab.hu[k, row, column]), CT_HU.low), CT_HU.high)
                    for k in (below, above)
                )
                value = low * (1 - part) + high * part
            total += weight * value
            weight_sum += weight
    return total / weight_sum


def naive_patch(
    slab: Slab, box: Box, spec: PatchSpec, pixels: list[tuple[int, int, int]]
) -> list[float]:
    """The patch at some (plane, row, column), straight from its definition."""
    center_x, center_y = (box.x1 + box.x2) / 2, (box.y1 + box.y2) / 2
    scales = (spec.mm_px / slab.spacing_mm_px[0], spec.mm_px / slab.spacing_mm_px[1])
    values = []
    for plane, row, column in pixels:
        x = center_x + (column - (spec.size_px - 1) / 2) * scales[0]
        y = center_y + (row - (spec.size_px - 1) / 2) * scales[1]
        offset_mm = (plane - (spec.slices - 1) / 2) * spec.slice_interval_mm
        depth = slab.key_slice + offset_mm / slab.slice_interval_mm
        values.append(naive_pixel(slab, x, y, depth, scales))
    return values


def some_pixels(
    spec: PatchSpec, count: int, rng: np.random.Generator
) -> list[tuple[int, int, int]]:
    shape = (spec.slices, spec.size_px, spec.size_px)
    corners = [(k, r, c) for k in range(spec.slices) for r in (0, -1) for c in (0, -1)]
    drawn = [tuple(int(rng.integers(n)) for n in shape) for _ in range(count)]
    inside = [(k, r % spec.size_px, c % spec.size_px) for k, r, c in corners]
    return [*inside, *((k, r, c) for k, r, c in drawn)]


def test_golden_pixels_on_real_slices(real_data: Path) -> None:
    rng = np.random.default_rng(5)
    archive = DeepLesionArchive.open(real_data / "deeplesion_sample")
    for lesion in archive.lesions[::4]:
        slab = archive.slab(lesion, half_depth_mm=4.0)
        for spec in (PatchSpec(), PatchSpec(size_px=48, mm_px=2.5, slices=5), SMALL):
            patch = extract_patch(slab, lesion.box, spec)
            pixels = some_pixels(spec, 60, rng)
            expected = naive_patch(slab, lesion.box, spec, pixels)
            measured = [float(patch.hu[pixel]) for pixel in pixels]
            np.testing.assert_allclose(measured, expected, atol=0.02)


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    center=st.tuples(st.floats(-0.4, 20), st.floats(-0.4, 14)),
    spacing=st.tuples(st.floats(0.3, 2.5), st.floats(0.3, 2.5)),
    interval=st.floats(0.6, 6),
    slices=st.integers(1, 5),
)
def test_patch_matches_its_definition(
    seed: int,
    center: tuple[float, float],
    spacing: tuple[float, float],
    interval: float,
    slices: int,
) -> None:
    rng = np.random.default_rng(seed)
    hu = rng.uniform(-1500, 4000, (slices, 15, 21)).astype(np.float32)
    slab = Slab(hu, spacing, interval, key_slice=int(rng.integers(slices)))
    box = Box.around(center, 6.0)
    patch = extract_patch(slab, box, SMALL)
    pixels = some_pixels(SMALL, 20, rng)
    measured = [float(patch.hu[pixel]) for pixel in pixels]
    np.testing.assert_allclose(measured, naive_patch(slab, box, SMALL, pixels), atol=0.05)


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**31),
    shift=st.tuples(st.integers(0, 25), st.integers(0, 25)),
    center=st.tuples(st.floats(5, 25), st.floats(5, 25)),
    spacing=st.floats(0.4, 2.0),
)
def test_shifting_slab_and_box_together_changes_nothing(
    seed: int, shift: tuple[int, int], center: tuple[float, float], spacing: float
) -> None:
    rng = np.random.default_rng(seed)
    hu = rng.uniform(-1000, 2000, (3, 30, 30)).astype(np.float32)
    canvas = np.full((3, 56, 58), CT_HU.padding, np.float32)
    dx, dy = shift
    canvas[:, dy : dy + 30, dx : dx + 30] = hu
    box = Box.around(center, 7.5)
    one = extract_patch(Slab(hu, (spacing, spacing), 2.0, 1), box, SMALL)
    slab = Slab(canvas, (spacing, spacing), 2.0, 1)
    two = extract_patch(slab, box.shifted(dx, dy), SMALL)
    np.testing.assert_allclose(one.hu, two.hu, atol=0.01)
    assert one.box.to_list() == pytest.approx(two.box.to_list(), abs=1e-6)


def smooth_ct(spacing: tuple[float, float], extent_mm: float) -> Slab:
    """A smooth body whose HU are known at every point in mm, sampled at a spacing."""
    columns, rows = (round(extent_mm / step) for step in spacing)
    x = np.arange(columns) * spacing[0]
    y = np.arange(rows)[:, None] * spacing[1]
    hu = 60 * np.sin(x / 9.0) * np.cos(y / 11.0) + 25 * np.cos((x + y) / 7.0) + 40
    return Slab(hu[None].astype(np.float32), spacing, 1.0)


@settings(max_examples=25, deadline=None)
@given(
    spacing=st.tuples(st.floats(0.4, 1.6), st.floats(0.4, 1.6)),
    center_mm=st.tuples(st.floats(60, 80), st.floats(60, 80)),
)
def test_another_spacing_gives_the_same_patch(
    spacing: tuple[float, float], center_mm: tuple[float, float]
) -> None:
    spec = PatchSpec(size_px=48, slices=1)
    patches = []
    for step in (spacing, (0.8, 0.8)):
        slab = smooth_ct(step, extent_mm=140)
        box = Box.around(center_mm, 20).scaled(1 / step[0], 1 / step[1])
        patches.append(extract_patch(slab, box, spec))
    # The error of linear interpolation: h^2/8 of the second derivative per axis, here with
    # h = 1.6 mm, and the averaging over a triangle of 1 mm: under 2 HU of a range of 170.
    difference = np.abs(patches[0].hu - patches[1].hu)
    assert difference.max() < 2.0
    assert patches[0].box.to_list() == pytest.approx(patches[1].box.to_list(), abs=1e-6)


def test_a_real_slice_resampled_gives_nearly_the_same_patch(real_data: Path) -> None:
    archive = DeepLesionArchive.open(real_data / "deeplesion_sample")
    spec = PatchSpec(slices=1)
    for lesion in archive.lesions[3::5]:
        slab = archive.slab(lesion, half_depth_mm=0)
        factor = 1.25
        size = round(slab.columns * factor)
        finer = cv2.resize(np.clip(slab.hu[0], CT_HU.low, CT_HU.high), (size, size))
        x_mm, y_mm = slab.spacing_mm_px
        resampled = Slab(finer[None], (x_mm / factor, y_mm / factor), slab.slice_interval_mm)
        # cv2 aligns the corners of pixels, boxes count from pixel centres.
        edges = [(edge + 0.5) * factor - 0.5 for edge in lesion.box.to_list()]
        one = extract_patch(slab, lesion.box, spec).hu
        two = extract_patch(resampled, Box(*edges), spec).hu
        body = (one > -200) & (one < 300)
        # The slices carry noise of about 15 HU: interpolating twice smooths a part of it.
        assert np.abs(one - two)[body].mean() < 6.0
        assert np.corrcoef(one.ravel(), two.ravel())[0, 1] > 0.998


def test_outside_the_image_is_air() -> None:
    slab = Slab(np.full((1, 20, 20), 50.0, np.float32), (1.0, 1.0), 1.0)
    patch = extract_patch(slab, Box(-2.5, -2.5, 2.5, 2.5), SMALL).hu[1]
    # The box centre is pixel (0, 0); patch pixel 7.5 lies there, so 7 lies half a pixel outside.
    assert np.all(patch[:7] == CT_HU.padding)
    assert np.all(patch[:, :7] == CT_HU.padding)
    np.testing.assert_allclose(patch[8:, 8:], 50.0, atol=1e-3)
    np.testing.assert_allclose(patch[7, 8:], (50.0 + CT_HU.padding) / 2, atol=1e-3)


def test_a_constant_slab_gives_a_constant_patch() -> None:
    for spacing in (0.31, 0.9, 1.0, 2.7):
        slab = Slab(np.full((3, 200, 200), 37.0, np.float32), (spacing, spacing), 2.0, 1)
        patch = extract_patch(slab, Box.around((100, 100), 9), SMALL)
        np.testing.assert_allclose(patch.hu, 37.0, atol=1e-3)


def test_values_are_clipped_to_the_scanner_range() -> None:
    hu = np.full((1, 30, 30), -3024.0, np.float32)
    hu[:, 15:] = 9000.0
    patch = extract_patch(Slab(hu, (1.0, 1.0), 1.0), Box.around((14.5, 14.5), 9), SMALL)
    assert (patch.hu.min(), patch.hu.max()) == pytest.approx((CT_HU.low, CT_HU.high), abs=0.01)


def test_planes_past_the_slab_are_counted() -> None:
    hu = np.arange(3, dtype=np.float32)[:, None, None] * np.full((1, 40, 40), 100, np.float32)
    box = Box.around((20, 20), 8)
    spec = PatchSpec(size_px=16, slices=5, slice_interval_mm=2.0)
    middle = extract_patch(Slab(hu, (1.0, 1.0), 2.5, key_slice=1), box, spec)
    np.testing.assert_allclose(middle.hu[:, 8, 8], [0, 20, 100, 180, 200], atol=0.01)
    assert middle.repeated_slices == 2
    first = extract_patch(Slab(hu, (1.0, 1.0), 2.5, key_slice=0), box, spec)
    np.testing.assert_allclose(first.hu[:, 8, 8], [0, 0, 0, 80, 160], atol=0.01)
    assert first.repeated_slices == 2


@given(center=st.tuples(st.floats(0, 40), st.floats(0, 40)), spacing=st.floats(0.3, 3))
def test_the_box_keeps_its_size_in_mm(center: tuple[float, float], spacing: float) -> None:
    slab = Slab(np.zeros((1, 41, 41), np.float32), (spacing, spacing), 1.0)
    box = Box(center[0] - 3, center[1] - 2, center[0] + 3, center[1] + 2)
    patch = extract_patch(slab, box, SMALL)
    assert patch.box.center == pytest.approx((7.5, 7.5))
    assert patch.box.width * SMALL.mm_px == pytest.approx(6 * spacing)
    assert patch.box.height * SMALL.mm_px == pytest.approx(4 * spacing)


def test_a_box_off_the_image_and_values_that_are_not_numbers_are_refused() -> None:
    slab = Slab(np.zeros((1, 30, 30), np.float32), (1.0, 1.0), 1.0)
    with pytest.raises(LesionError, match="outside the image"):
        extract_patch(slab, Box(40, 10, 50, 20), SMALL)
    slab.hu[0, 14, 14] = np.nan
    with pytest.raises(PatchError, match="not finite"):
        extract_patch(slab, Box.around((15, 15), 4), SMALL)


def test_specs_survive_json_and_refuse_nonsense() -> None:
    spec = PatchSpec(size_px=64, windows=((-1000.0, 0.0), (0.0, 80.0)))
    assert PatchSpec.from_dict(json.loads(json.dumps(spec.to_dict()))) == spec
    assert (spec.half_depth_mm, PatchSpec(slices=5).half_depth_mm) == (2.0, 4.0)
    with pytest.raises(PatchError, match="unknown keys"):
        PatchSpec.from_dict({"sise_px": 64})
    for wrong in ({"slices": 2}, {"size_px": 4}, {"mm_px": 0.0}, {"windows": ((5.0, 5.0),)}):
        with pytest.raises(PatchError):
            PatchSpec.from_dict(wrong)
