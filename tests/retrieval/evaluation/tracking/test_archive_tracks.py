"""Simulated patients through matcher, baselines and report; a fit from an archive."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest

from retrieval.embedding.encoder import Embedding
from retrieval.evaluation.reporting.tables import markdown
from retrieval.evaluation.tracking.archive_tracks import (
    TrackingOptions,
    evaluate_patients,
    evaluate_tracking,
)
from retrieval.evaluation.tracking.report import TrackingReport
from retrieval.image import Slab
from retrieval.lesion import ImageSource, Lesion
from retrieval.patch import Patch, PatchSpec
from retrieval.sources.errors import ArchiveError
from retrieval.tracking.errors import TrackingError
from retrieval.tracking.fitting.on_archive import (
    LabelledArchive,
    fit_labelled,
    labelled_patients,
    save_matcher,
)
from retrieval.tracking.fitting.simulated_patients import SimulationSettings, simulate_patients
from retrieval.tracking.matcher import MatcherModel


@pytest.fixture(scope="module")
def report() -> TrackingReport:
    settings = SimulationSettings(lesions=(3, 6))
    simulated = simulate_patients(20, np.random.default_rng(3), settings)
    patients = {one.nodes[0].lesion.patient_id: one for one in simulated}
    return evaluate_patients(
        LabelledArchive(patients, {"no known track": 2}),
        archive_name="simulated",
        encoder_name="none",
        options=TrackingOptions(folds=2, resamples=20),
    )


def test_the_matcher_stands_beside_its_baselines_in_every_section(report: TrackingReport) -> None:
    assert list(report.sections) == [
        "location given",
        "location estimated",
        "last study a box alone, its location estimated",
        "location absent",
    ]
    for section, methods in report.sections.items():
        nearest = [name for name in methods if name.startswith("nearest location")]
        assert bool(nearest) == (section != "location absent")
        assert {"size only, fitted in folds", "embedding only, fitted in folds"} < set(methods)
        matcher = methods["matcher, fitted in folds"].f1.value
        assert matcher >= max(s.f1.value for name, s in methods.items() if "only" in name) - 0.02
        assert matcher > methods["size only, fitted in folds"].f1.value


def test_the_report_prints_and_names_its_use(report: TrackingReport) -> None:
    document = report.to_json()
    assert document["notice"].startswith("Research use only")
    assert document["left_out"] == {"no known track": 2}
    method = document["sections"]["location absent"]["matcher"]
    assert method["scores"]["pair F1"]["value"] > 0.5
    assert sum(one["pairs"] for one in method["calibration"]) > 100
    table = markdown(report.text())
    assert "### Location given" in table
    assert "| matcher |" in table


def test_more_folds_than_patients_are_refused() -> None:
    one = simulate_patients(1, np.random.default_rng(0))[0]
    labelled = LabelledArchive({"P1": one}, {})
    with pytest.raises(TrackingError, match="1 patients in 4 folds"):
        evaluate_patients(labelled, archive_name="a", encoder_name="e", options=TrackingOptions())


@dataclass(frozen=True)
class FlatArchive:
    """Simulated lesions whose image is one HU value that tells their track."""

    lesions: Sequence[Lesion]
    track_ids: Mapping[str, str]
    root: Path = Path("flat")
    attributes: Mapping[str, Mapping[str, float]] = field(default_factory=dict)

    def slab(self, lesion: Lesion, *, half_depth_mm: float) -> Slab:
        if lesion.lesion_id.endswith("unreadable"):
            raise ArchiveError("image is missing")
        track = int(self.track_ids[lesion.lesion_id].rsplit("-", 1)[1])
        return Slab(
            hu=np.full((3, 512, 512), 20.0 * track, np.float32),
            spacing_mm_px=(1.0, 1.0),
            slice_interval_mm=2.0,
            key_slice=1,
        )

    def source(self, lesion: Lesion) -> ImageSource:
        return ImageSource("flat", lesion.lesion_id, (1.0, 1.0), 2.0)


class BrightnessEncoder:
    """A unit vector that turns with the mean brightness of a patch."""

    name = "brightness"
    fingerprint = "b" * 8
    dimension = 2
    spec = PatchSpec()

    def embed(self, patches: Sequence[Patch], *, batch_size: int = 32) -> Embedding:
        angle = np.array([0.02 * float(np.median(patch.hu)) for patch in patches])
        vectors = np.stack([np.cos(angle), np.sin(angle)], axis=1).astype(np.float32)
        count = len(patches)
        return Embedding(vectors, np.full((count, 3), 0.5, np.float32))


@pytest.fixture(scope="module")
def archive() -> FlatArchive:
    settings = SimulationSettings(studies=(2, 2), lesions=(3, 3))
    patients = simulate_patients(5, np.random.default_rng(9), settings)
    lesions = [node.lesion for one in patients for node in one.nodes]
    tracks = {lesion_id: track for one in patients for lesion_id, track in one.track_of.items()}
    lone = lesions[0].with_changes(lesion_id="lone", patient_id="P99")
    broken = lesions[0].with_changes(lesion_id="unreadable")
    unknown = lesions[0].with_changes(lesion_id="unknown")
    tracks |= {"lone": "P99-0", "unreadable": "P1-0"}
    return FlatArchive([*lesions, lone, broken, unknown], tracks)


def test_lesions_left_out_are_counted_by_reason(archive: FlatArchive) -> None:
    seen: list[tuple[int, int]] = []
    labelled = labelled_patients(
        archive, BrightnessEncoder(), progress=lambda done, total: seen.append((done, total))
    )
    assert labelled.left_out == {
        "no known track": 1,
        "patient with one study": 1,
        "pixels cannot be read": 1,
    }
    assert set(labelled.patients) == {f"P{n}" for n in range(1, 6)}
    assert len(seen) == sum(len(one.nodes) for one in labelled.patients.values())
    with pytest.raises(TrackingError, match=r"tracks\.csv"):
        labelled_patients(FlatArchive(archive.lesions, {}), BrightnessEncoder())


def test_a_matcher_fitted_on_an_archive_is_bound_to_the_encoder(
    archive: FlatArchive, tmp_path: Path
) -> None:
    encoder = BrightnessEncoder()
    model = fit_labelled(labelled_patients(archive, encoder), encoder, source="archive flat")
    assert model.encoder == "b" * 8
    assert "archive flat: 5 patients" in model.fitted_on
    save_matcher(model, tmp_path / "matcher.json")
    assert MatcherModel.load(tmp_path / "matcher.json") == model


def test_an_archive_is_evaluated_from_its_pixels(archive: FlatArchive) -> None:
    options = TrackingOptions(folds=2, resamples=10)
    report = evaluate_tracking(archive, BrightnessEncoder(), options)
    assert (report.archive, report.encoder, report.patients) == ("flat", "brightness", 5)
    assert report.pairs > 5
