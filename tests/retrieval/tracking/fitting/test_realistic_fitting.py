"""A matcher fitted on patients with noise, and tracking scored with the noise of real locations."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.embedding.encoder import LesionEncoder
from retrieval.evaluation.tracking.archive_tracks import TrackingOptions, evaluate_patients
from retrieval.lesion import Split
from retrieval.synthesis.views import RetestPerturbation
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.fitting.location_noise import DLS_NOISE
from retrieval.tracking.fitting.on_archive import LabelledArchive, embedded_lesions
from retrieval.tracking.fitting.realistic import (
    FittingRecipe,
    fit_by_recipe,
    nodule_patients,
    pair_cosines,
)
from retrieval.tracking.fitting.simulated_patients import SimulationSettings, simulate_patients
from retrieval.tracking.matcher import bundled_matcher
from service.cli import main
from tests.retrieval.evaluation.tracking.test_archive_tracks import BrightnessEncoder, FlatArchive


@pytest.fixture(scope="module")
def archive() -> FlatArchive:
    settings = SimulationSettings(studies=(2, 2), lesions=(4, 4))
    patients = simulate_patients(8, np.random.default_rng(9), settings)
    lesions = [node.lesion for one in patients for node in one.nodes]
    tracks = {lesion_id: track for one in patients for lesion_id, track in one.track_of.items()}
    return FlatArchive(lesions, tracks)


@pytest.fixture(scope="module")
def nodules(archive: FlatArchive) -> FlatArchive:
    """Four rated nodules, each with its next slice; those of P1 are training patients."""
    lesions = [
        lesion.with_changes(
            lesion_id=f"{lesion.lesion_id} {place}",
            key_slice_index=place,
            split=Split.TRAIN if lesion.patient_id == "P1" else Split.VALIDATION,
        )
        for lesion in archive.lesions[:12]
        if lesion.study_id == "1"
        for place in (0, 1)
    ]
    attributes = {
        lesion.lesion_id: {
            "malignancy": 3.0,
            "texture": 3.0,
            "spiculation": 1.0,
            "next_slice": float(lesion.key_slice_index),
        }
        for lesion in lesions
    }
    tracks = {
        lesion.lesion_id: archive.track_ids[lesion.lesion_id.rsplit(" ", 1)[0]]
        for lesion in lesions
    }
    return FlatArchive(lesions, tracks, attributes=attributes)


def test_a_careless_rescan_changes_a_vector_a_little(archive: FlatArchive) -> None:
    encoder, some = BrightnessEncoder(), archive.lesions[:6]
    marked = list(embedded_lesions(archive, some, encoder))
    view = RetestPerturbation(np.random.default_rng(0))
    seen = list(embedded_lesions(archive, some, encoder, view=view))
    assert [node.lesion for node in seen] == list(some)
    cosines = [float(a.vector @ b.vector) for a, b in zip(marked, seen, strict=True)]
    assert min(cosines) > 0.9
    assert any((a.vector != b.vector).any() for a, b in zip(marked, seen, strict=True))


def test_the_spread_of_next_slices_is_that_of_validation_nodules(nodules: FlatArchive) -> None:
    generator = np.random.default_rng(1)
    patients = nodule_patients(nodules, BrightnessEncoder(), (Split.VALIDATION,), generator)
    spread = pair_cosines(patients)
    for patient in patients.values():
        assert {node.lesion.study_id for node in patient.nodes} == {"1", "2"}
        assert len(set(patient.track_of.values())) == len(patient.nodes) // 2
    assert "P1" not in patients
    of_p1 = sum(lesion.patient_id == "P1" for lesion in nodules.lesions) // 2
    assert of_p1 > 0
    assert len(spread) == len(nodules.lesions) // 2 - of_p1
    assert all(0.9 < cosine <= 1.0 + 1e-6 for cosine in spread)
    with pytest.raises(TrackingError, match="rated nodule with its next slice"):
        nodule_patients(nodules, BrightnessEncoder(), (Split.TEST,), generator)


def test_a_realistic_matcher_names_what_was_done_and_repeats(
    archive: FlatArchive, nodules: FlatArchive
) -> None:
    recipe = FittingRecipe(realistic=True, spread=nodules, seed=3)
    fitted = fit_by_recipe(archive, BrightnessEncoder(), recipe, source="archive flat")
    assert fitted.model.encoder == BrightnessEncoder.fingerprint
    assert fitted.model.fitted_on.startswith("archive flat: 8 patients")
    assert "noisy copies: locations with dls noise" in fitted.model.fitted_on
    assert "real pairs" in fitted.model.fitted_on
    assert {name.removesuffix(" copy 1") for name in fitted.patients.patients} <= {
        f"P{number}" for number in range(1, 9)
    }
    plain = fit_by_recipe(archive, BrightnessEncoder(), FittingRecipe(), source="archive flat")
    assert "noisy" not in plain.model.fitted_on
    assert plain.model.weights != fitted.model.weights
    again = fit_by_recipe(archive, BrightnessEncoder(), recipe, source="archive flat")
    assert again.model == fitted.model


def test_noise_moves_given_locations_alone() -> None:
    settings = SimulationSettings(studies=(2, 2), lesions=(5, 5))
    simulated = simulate_patients(12, np.random.default_rng(4), settings)
    labelled = LabelledArchive({one.nodes[0].lesion.patient_id: one for one in simulated}, {})
    plain, noisy = (
        evaluate_patients(
            labelled,
            archive_name="simulated",
            encoder_name="none",
            options=TrackingOptions(folds=2, resamples=5, location_noise=noise),
        )
        for noise in (None, DLS_NOISE)
    )
    assert next(iter(noisy.sections)) == "location given with dls noise"
    assert list(noisy.sections)[1:] == list(plain.sections)[1:]
    assert noisy.settings["location_noise"] == "dls"
    assert plain.settings["location_noise"] is None
    method = "location only, fitted in folds"
    assert (
        noisy.sections["location given with dls noise"][method].f1.value
        < plain.sections["location given"][method].f1.value
    )
    absent = "location absent"
    assert noisy.sections[absent]["matcher"].f1.value == plain.sections[absent]["matcher"].f1.value


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["fit-matcher", "--archive", "a", "--out", "m.json", "--spread", "b"], "--realistic"),
        (["evaluate", "tracking", "--archive", "a", "--location-noise", "moon"], "unknown: dls"),
        (
            ["evaluate", "tracking", "--dls", "a", "--predictions", "b", "--location-noise", "dls"],
            "belong to --archive",
        ),
    ],
)
def test_misused_options_are_one_line(
    arguments: list[str], words: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("error: ")
    assert words in captured.err


def test_the_bundled_matcher_is_calibrated_for_the_bundled_encoder() -> None:
    fingerprint = LesionEncoder.load(None).fingerprint
    assert bundled_matcher().warning_for(fingerprint) is None
