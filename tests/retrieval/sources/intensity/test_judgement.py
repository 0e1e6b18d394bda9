"""Hounsfield units or not: by what a file declares and by its histogram; the user's own word."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.image import Slab
from retrieval.sources.intensity.declared import DeclaredIntensity, judge_declared
from retrieval.sources.intensity.histogram import IntensityKind, judge_values, sampled
from retrieval.sources.intensity.judgement import NotHounsfieldError, require_hu

WIDE = (330.0, 300.0)


def chest(seed: int = 0) -> np.ndarray:
    """(5, 128, 128): air, fat, soft tissue, lungs and a spine with noise, in HU."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[-1:1:128j, -1:1:128j]
    hu = np.where(np.hypot(x, 1.3 * y) < 0.95, -105.0, -1000.0)
    hu = np.where(np.hypot(x, 1.3 * y) < 0.85, 45.0, hu)
    for side in (-0.4, 0.4):
        hu = np.where(np.hypot(x - side, y) < 0.3, -850.0, hu)
    hu = np.where(np.hypot(x, y - 0.45) < 0.1, 350.0, hu)
    return np.clip(hu + rng.normal(0, 12, (5, 128, 128)), -1024, 3071).astype(np.float32)


CHANGES = {
    "normalised to 0..1": lambda hu: (hu - hu.min()) / (hu.max() - hu.min()),
    "normalised to -1..1": lambda hu: 2 * (hu - hu.min()) / (hu.max() - hu.min()) - 1,
    "standardised": lambda hu: (hu - hu.mean()) / hu.std(),
    "a lost intercept": lambda hu: hu + 1024,
    "an intercept subtracted twice": lambda hu: hu - 1024,
    "a tenth": lambda hu: hu * 0.1,
    "ten times": lambda hu: hu * 10,
    "an 8-bit window": lambda hu: np.rint(np.clip((hu + 160) / 400, 0, 1) * 255),
    "an 8-bit lung window": lambda hu: np.rint(np.clip((hu + 1350) / 1500, 0, 1) * 255),
    "a gamma": lambda hu: ((hu + 1024) / 2048) ** 1.6 * 2048 - 1024,
    "the other gamma": lambda hu: ((hu + 1024) / 2048) ** 0.6 * 2048 - 1024,
    "infinite": lambda hu: hu * 1e38,
}


def test_a_chest_is_hu() -> None:
    assert judge_values(chest(), extent_mm=WIDE).kind is IntensityKind.HOUNSFIELD


@pytest.mark.filterwarnings("ignore:overflow")
@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_changed_chest_is_not(change) -> None:
    verdict = judge_values(change(chest()).astype(np.float32), extent_mm=WIDE)
    assert verdict.kind is IntensityKind.OTHER
    assert verdict.seen


def test_a_window_that_cut_the_values_off_is_doubtful() -> None:
    verdict = judge_values(np.clip(chest(), -160, 240), extent_mm=WIDE)
    assert verdict.kind is IntensityKind.UNSURE
    assert "cut off at -160 and 240" in verdict.seen


def test_padding_far_below_air_does_not_hide_what_the_values_are() -> None:
    padded = chest()
    padded[:, :20] = -3024
    assert judge_values(padded, extent_mm=WIDE).kind is IntensityKind.HOUNSFIELD
    lost = chest() + 1024
    lost[:, :20] = -2000
    assert judge_values(lost, extent_mm=WIDE).kind is IntensityKind.OTHER


@pytest.mark.parametrize(
    ("crop", "kind"),
    [
        (np.random.default_rng(1).normal(50, 10, (5, 40, 40)), IntensityKind.UNSURE),
        (np.random.default_rng(1).normal(-850, 40, (5, 40, 40)), IntensityKind.HOUNSFIELD),
        (np.full((5, 40, 40), 40.0), IntensityKind.UNSURE),
    ],
    ids=["soft tissue alone", "lung alone", "one value"],
)
def test_a_crop_of_one_tissue_is_never_refused(crop, kind) -> None:
    assert judge_values(crop.astype(np.float32), extent_mm=(30, 30)).kind is kind


@pytest.mark.parametrize("shape", [(300, 512, 512), (7, 655, 655), (1, 40, 39), (3, 1000, 512)])
def test_the_sample_reaches_every_part_of_the_image(shape) -> None:
    for axis in range(3):
        values = np.broadcast_to(
            np.arange(shape[axis], dtype=np.float32).reshape(
                [-1 if a == axis else 1 for a in range(3)]
            ),
            shape,
        )
        seen = np.unique(sampled(values))
        assert len(seen) >= 0.9 * min(shape[axis], 16_000 / 8)


@pytest.mark.parametrize(
    ("declared", "kind", "words"),
    [
        (DeclaredIntensity("CT", "Z_EFF"), IntensityKind.OTHER, "Z_EFF"),
        (DeclaredIntensity("CT", "HU"), IntensityKind.HOUNSFIELD, ""),
        (DeclaredIntensity("CT", ""), IntensityKind.HOUNSFIELD, ""),
        (DeclaredIntensity("CT", "US"), IntensityKind.UNSURE, "US"),
        (DeclaredIntensity("MR"), IntensityKind.OTHER, "MR"),
        (DeclaredIntensity("PT"), IntensityKind.OTHER, "PT"),
        (
            DeclaredIntensity("CT", "", ("DERIVED", "SECONDARY", "AXIAL", "PERFUSION")),
            IntensityKind.OTHER,
            "perfusion",
        ),
        (
            DeclaredIntensity("CT", "", ("DERIVED", "PRIMARY", "AXIAL", "EFF_ATOMIC_NUM")),
            IntensityKind.OTHER,
            "atomic",
        ),
        (
            DeclaredIntensity("CT", "HU", ("DERIVED", "PRIMARY", "AXIAL", "VMI")),
            IntensityKind.UNSURE,
            "one energy",
        ),
        (
            DeclaredIntensity(stored_bits=8, is_scaled=True),
            IntensityKind.OTHER,
            "8 bits with a slope",
        ),
        (
            DeclaredIntensity("CT", "", ("ORIGINAL", "PRIMARY", "AXIAL"), 12),
            IntensityKind.HOUNSFIELD,
            "",
        ),
    ],
)
def test_what_a_header_declares(declared, kind, words) -> None:
    verdict = judge_declared(declared)
    assert verdict.kind is kind
    assert words in verdict.seen


def test_the_users_word_is_followed_and_said() -> None:
    slab = Slab((chest() + 1024).astype(np.float32), (2.5, 2.4), 5.0)
    with pytest.raises(NotHounsfieldError, match=r"case\.nii does not hold HU: .*--assume-hu"):
        require_hu(slab, "case.nii")
    (note,) = require_hu(slab, "case.nii", assume_hu=True).notes
    assert note.startswith("case.nii is taken for HU because assume_hu says so")


def test_what_is_hu_gets_no_note() -> None:
    slab = Slab(chest(), (2.5, 2.4), 5.0)
    assert require_hu(slab, "case.nii", assume_hu=True) is slab
