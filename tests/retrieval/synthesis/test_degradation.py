"""Degradations against what physics keeps: mean HU, energy by frequency, variance by dose."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from retrieval.synthesis.degradation.dose import quantum_noise, sigma_at_dose, white_noise
from retrieval.synthesis.degradation.frequency import radial_frequencies
from retrieval.synthesis.degradation.kernel import DegradationError, sharpened, smoothed
from retrieval.synthesis.degradation.metal import (
    MetalPart,
    back_project,
    forward_project,
    metal_artefact,
    random_parts,
    with_streaks,
)
from retrieval.synthesis.degradation.random import DegradationConfig, degraded, imaged
from retrieval.synthesis.degradation.thickness import thicker


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(5)


@pytest.fixture
def tissue(rng) -> np.ndarray:
    """Three slices of structured tissue, smooth at the edges."""
    noise = rng.normal(0, 60, (3, 96, 128)).astype(np.float32)
    return np.stack([cv2.GaussianBlur(plane, (0, 0), 1.5) for plane in noise]) + np.float32(40)


def power(planes: np.ndarray, low: float, high: float, spacing=(1.0, 1.0)) -> float:
    """Mean power of the frequencies between two, in cycles per mm."""
    frequency = radial_frequencies(*planes.shape[1:], *spacing)
    held = (frequency >= low) & (frequency < high)
    window = np.hanning(planes.shape[1])[:, None] * np.hanning(planes.shape[2])
    about_zero = planes - planes.mean(axis=(1, 2), keepdims=True)
    spectrum = np.fft.rfft2(about_zero * window, axes=(1, 2))
    return float((np.abs(spectrum) ** 2)[:, held].mean())


@pytest.mark.parametrize("sigma_mm", [0.5, 1.0, 2.0])
def test_a_smooth_kernel_is_a_gaussian_in_millimetres(sigma_mm: float) -> None:
    point = np.zeros((1, 101, 141), np.float32)
    point[0, 50, 70] = 1000.0
    spread = smoothed(point, (0.5, 0.8), sigma_mm)[0]
    y, x = np.mgrid[:101, :141]
    assert spread.sum() == pytest.approx(1000.0, rel=1e-3)
    assert (spread * ((x - 70) * 0.5) ** 2).sum() / 1000 == pytest.approx(sigma_mm**2, rel=0.03)
    assert (spread * ((y - 50) * 0.8) ** 2).sum() / 1000 == pytest.approx(sigma_mm**2, rel=0.03)


def test_kernels_keep_the_mean_and_a_flat_slice(tissue) -> None:
    flat = np.full((2, 40, 50), -870.0, np.float32)
    for changed in (smoothed(flat, (0.7, 0.7), 2.0), sharpened(flat, (0.7, 0.7), 1.5)):
        assert changed == pytest.approx(flat, abs=1e-2)
    for changed in (smoothed(tissue, (1, 1), 1.0), sharpened(tissue, (1, 1), 1.0)):
        assert changed.mean() == pytest.approx(tissue.mean(), abs=1.0)


def test_a_smooth_kernel_takes_energy_and_a_sharp_one_gives_it_where_it_says(tissue) -> None:
    smooth, sharp = smoothed(tissue, (1, 1), 1.0), sharpened(tissue, (1, 1), 1.0)
    before = power(tissue, 0.3, 0.4)
    assert power(smooth, 0.3, 0.4) < 0.05 * before
    assert power(sharp, 0.3, 0.4) == pytest.approx(4 * before, rel=0.15)
    assert power(sharp, 0.0, 0.05) == pytest.approx(power(tissue, 0.0, 0.05), rel=0.1)


def test_quantum_noise_has_no_mean_its_deviation_and_the_ramps_colour(rng) -> None:
    empty = np.zeros((24, 128, 128), np.float32)
    noise = quantum_noise(empty, (1.0, 1.0), 50.0, rng, cutoff=0.25)
    assert noise.std(axis=(1, 2)) == pytest.approx([50.0] * 24, rel=1e-3)
    assert abs(noise.mean()) < 1e-3
    # N(f) ~ f exp(-(f / f1)^2): the ratio of two bands is told by the formula.
    bands = [(0.04, 0.06), (0.16, 0.18), (0.38, 0.42)]
    middles = np.array([sum(band) / 2 for band in bands])
    told = middles * np.exp(-((middles / 0.25) ** 2))
    seen = np.array([power(noise, *band) for band in bands])
    assert seen / seen.sum() == pytest.approx(told / told.sum(), rel=0.25)
    assert np.corrcoef(noise[0].ravel(), noise[1].ravel())[0, 1] == pytest.approx(0, abs=0.1)


def test_white_noise_is_white(rng) -> None:
    noise = white_noise(np.zeros((2, 128, 128), np.float32), 30.0, rng)
    assert power(noise, 0.05, 0.1) == pytest.approx(power(noise, 0.4, 0.5), rel=0.2)


def test_variances_add_up_to_that_of_the_lower_dose() -> None:
    for share in (1.0, 0.5, 0.1):
        added = sigma_at_dose(12.0, share)
        assert 12.0**2 + added**2 == pytest.approx(12.0**2 / share)
    with pytest.raises(DegradationError, match="dose of 0"):
        sigma_at_dose(12.0, 0.0)


def test_projections_conserve_mass_and_are_undone(rng) -> None:
    disc = np.zeros((97, 97), np.float32)
    cv2.circle(disc, (55, 40), 15, 1.0, -1)
    sinogram = forward_project(disc)
    assert sinogram.sum(axis=1) == pytest.approx(disc.sum(), rel=0.01)
    found = back_project(sinogram)
    inner = cv2.erode(disc, np.ones((5, 5))) > 0
    assert found[inner].mean() == pytest.approx(1.0, abs=0.03)
    assert np.abs(found[cv2.dilate(disc, np.ones((9, 9))) == 0]).mean() < 0.03


def test_metal_darkens_between_its_parts_and_nothing_happens_without(rng) -> None:
    parts = [MetalPart(30, 64, 6.0), MetalPart(98, 64, 6.0)]
    artefact = metal_artefact((128, 128), 1.0, parts, rng, starvation=0.0)
    between, beside = artefact[62:67, 50:78].mean(), artefact[20:30, 50:78].mean()
    assert between < beside
    assert between < 0
    assert not metal_artefact((128, 128), 1.0, [], rng).any()
    with pytest.raises(DegradationError, match="0 mm"):
        metal_artefact((128, 128), 1.0, [MetalPart(1, 1, 0.0)], rng)


def test_streaks_are_as_strong_as_asked(rng) -> None:
    planes = np.zeros((2, 64, 80), np.float32)
    artefact = metal_artefact((64, 80), 0.8, random_parts(80, rng), rng)
    streaked = with_streaks(planes, artefact, 150.0)
    held = artefact != 0
    assert np.sqrt((streaked[0][held] ** 2).mean()) == pytest.approx(150.0, rel=1e-3)
    assert (streaked[0][~held] == 0).all()
    assert with_streaks(planes, np.zeros((64, 80), np.float32), 150.0) is planes


def test_thick_slices_are_averages_of_the_slices_within_them(tissue) -> None:
    hu = np.arange(9, dtype=np.float32)[:, None, None] * np.ones((9, 4, 4), np.float32) * 10
    assert thicker(hu, 1.0, 1.0) == pytest.approx(hu)
    assert thicker(hu, 1.0, 3.0)[4] == pytest.approx((hu[3] + hu[4] + hu[5]) / 3)
    half = thicker(hu**2, 2.0, 4.0)[4]  # half of either neighbour lies within 4 mm
    assert half == pytest.approx((hu[4] ** 2 + 0.5 * (hu[3] ** 2 + hu[5] ** 2)) / 2)
    thick = thicker(tissue, 1.0, 10.0)
    assert thick.min() >= tissue.min()
    assert thick.max() <= tissue.max()
    assert thick.std() < tissue.std()


def test_a_draw_stays_in_range_and_comes_again_under_its_seed(tissue) -> None:
    patch = np.ascontiguousarray(tissue[:, :96, :96])
    one, same, other = (
        degraded(patch, (1.0, 2.0), DegradationConfig(), np.random.default_rng(seed))
        for seed in (1, 1, 2)
    )
    assert (one == same).all()
    assert np.abs(one - other).max() > 1
    assert one.shape == patch.shape
    assert one.dtype == np.float32
    assert one.min() >= -1024
    assert one.max() <= 3071
    thick = DegradationConfig(blur_mm=0, sharpening=0, noise_hu=0, streaks_hu=0, share=1.0)
    assert degraded(patch, (1.0, 2.0), thick, np.random.default_rng(1)).std() < patch.std()
    nothing = DegradationConfig(blur_mm=0, sharpening=0, noise_hu=0, streaks_hu=0, thickness_mm=0)
    for seed in range(4):
        unchanged = degraded(patch, (1.0, 2.0), nothing, np.random.default_rng(seed))
        assert unchanged == pytest.approx(patch, abs=0.05)


def test_beyond_the_image_a_patch_stays_padding(tissue) -> None:
    patch = np.full((5, 128, 128), -1024, np.float32)
    patch[:, 40:84, 50:90] = np.concatenate([tissue, tissue[:2]])[:, :44, :40] + 1
    assert imaged(patch) == (slice(40, 84), slice(50, 90))
    assert imaged(np.full_like(patch, -1024)) == (slice(None), slice(None))
    worst = DegradationConfig(share=1.0, noise_hu=300.0, streaks_hu=300.0)
    inside = np.zeros(patch.shape, bool)
    inside[:, 40:84, 50:90] = True
    for seed in range(6):
        worse = degraded(patch, (1.0, 2.0), worst, np.random.default_rng(seed))
        assert (worse[~inside] == -1024).all()
        assert np.abs(worse - patch)[inside].mean() > 5


def test_metal_stands_near_a_scan_that_was_cut_close(tissue) -> None:
    """Streaks are as strong within the image as asked, wherever the patch's metal stands."""
    patch = np.full((1, 160, 160), -1024, np.float32)
    patch[:, 62:98, 62:98] = 40
    streaks = DegradationConfig(
        blur_mm=0, sharpening=0, noise_hu=0, thickness_mm=0, streaks_hu=200, share=1.0
    )
    found = []
    for seed in range(60):
        worse = degraded(patch, (1.0, 2.0), streaks, np.random.default_rng(seed))
        found.append(float(np.sqrt(((worse - patch)[:, 62:98, 62:98] ** 2).mean())))
    assert 60 < np.mean(found) < 120
    assert max(found) > 150
