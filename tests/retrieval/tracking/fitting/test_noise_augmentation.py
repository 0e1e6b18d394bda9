"""Noise augmentation: how many marks stay, how far vectors turn, what stays true."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.tracking.fitting.fit import LabelledPatient, fit_matcher
from retrieval.tracking.fitting.location_noise import LocationNoise
from retrieval.tracking.fitting.noise_augmentation import (
    NoiseAugmentation,
    augmented_patients,
    turned,
)
from retrieval.tracking.fitting.simulated_patients import SimulationSettings, simulate_patients

STILL = LocationNoise("still", (0.0, 0.0, 0.0), (0.0, 0.0, 0.0), 3.0)
NOTHING = NoiseAugmentation(STILL, kept_share=1.0, unlike_share=0.0, wrong_type_share=0.0, copies=1)


@pytest.fixture(scope="module")
def patients() -> dict[str, LabelledPatient]:
    settings = SimulationSettings(studies=(3, 3), lesions=(4, 8), noise=0.2)
    simulated = simulate_patients(30, np.random.default_rng(0), settings)
    return {one.nodes[0].lesion.patient_id: one for one in simulated}


def cosines(
    patients: Mapping[str, LabelledPatient], noisy: Mapping[str, LabelledPatient]
) -> np.ndarray:
    """Of every mark with itself before the augmentation."""
    before = {n.lesion.lesion_id: n.vector for one in patients.values() for n in one.nodes}
    return np.array(
        [n.vector @ before[n.lesion.lesion_id] for one in noisy.values() for n in one.nodes]
    )


def test_no_noise_leaves_patients_as_they_are(patients: dict[str, LabelledPatient]) -> None:
    same = augmented_patients(patients, NOTHING, np.random.default_rng(1))
    assert len(same) == len(patients)
    for name, one in same.items():
        original = patients[name.removesuffix(" copy 1")]
        assert [n.lesion for n in one.nodes] == [n.lesion for n in original.nodes]
    assert cosines(patients, same) == pytest.approx(1.0, abs=1e-6)


def test_marks_are_left_out_and_copies_differ(patients: dict[str, LabelledPatient]) -> None:
    chosen = replace(NOTHING, kept_share=0.8, copies=3)
    copies = augmented_patients(patients, chosen, np.random.default_rng(2))
    marks = sum(len(one.nodes) for one in patients.values())
    left = sum(len(one.nodes) for one in copies.values())
    assert left == pytest.approx(0.8 * 3 * marks, rel=0.05)
    first = {n.lesion.lesion_id for n in copies["P1 copy 1"].nodes}
    assert first != {n.lesion.lesion_id for n in copies["P1 copy 2"].nodes}
    for one in copies.values():
        assert len({n.lesion.study_id for n in one.nodes}) > 1
        assert {n.lesion.lesion_id for n in one.nodes} <= set(one.track_of)


def test_vectors_turn_as_far_as_measured(patients: dict[str, LabelledPatient]) -> None:
    chosen = replace(NOTHING, cosines=(0.64, 0.81))
    noisy = augmented_patients(patients, chosen, np.random.default_rng(3))
    found = cosines(patients, noisy)
    assert {round(float(cosine), 3) for cosine in found} == {0.8, 0.9}


def test_a_share_of_marks_looks_like_another_patients_lesion(
    patients: dict[str, LabelledPatient],
) -> None:
    chosen = replace(NOTHING, unlike_share=0.25, wrong_type_share=0.1)
    noisy = augmented_patients(patients, chosen, np.random.default_rng(4))
    assert (cosines(patients, noisy) < 0.999).mean() == pytest.approx(0.25, abs=0.05)
    kinds = {n.lesion.lesion_id: n.lesion.lesion_type for p in patients.values() for n in p.nodes}
    changed = [
        n.lesion.lesion_type != kinds[n.lesion.lesion_id] for p in noisy.values() for n in p.nodes
    ]
    assert np.mean(changed) == pytest.approx(0.1 * 7 / 8, abs=0.03)


def test_a_matcher_fitted_on_noisy_patients_trusts_looks_less(
    patients: dict[str, LabelledPatient],
) -> None:
    some = {name: patients[name] for name in sorted(patients)[:10]}
    hard = NoiseAugmentation(cosines=(0.6, 0.7, 0.8), unlike_share=0.1, copies=1)
    noisy = augmented_patients(some, hard, np.random.default_rng(5))
    plain, sober = (
        fit_matcher(list(which.values()), terms=("similarity",)) for which in (some, noisy)
    )
    assert 0 < sober.weights[0] < plain.weights[0]


@given(st.integers(0, 2**32 - 1), st.floats(0.0, 1.0))
def test_a_turned_vector_stands_at_the_cosine_asked_for(seed: int, cosine: float) -> None:
    generator = np.random.default_rng(seed)
    vector, towards = generator.normal(size=(2, 8)).astype(np.float32)
    unit = vector / np.linalg.norm(vector)
    result = turned(vector, towards, cosine)
    assert np.linalg.norm(result) == pytest.approx(1.0, abs=1e-5)
    assert float(result @ unit) == pytest.approx(cosine, abs=1e-5)
    assert float(result @ towards) >= cosine * float(unit @ towards) - 1e-4


def test_a_parallel_vector_turns_nowhere() -> None:
    vector = np.array([3.0, 4.0], np.float32)
    assert turned(vector, 2 * vector, 0.5) == pytest.approx([0.6, 0.8])


def test_the_card_can_tell_what_was_done() -> None:
    words = NoiseAugmentation(cosines=(0.5,) * 3).described()
    assert "4 noisy copies" in words
    assert "dls noise" in words
    assert "52% of marks kept" in words
    assert "3 real pairs" in words
