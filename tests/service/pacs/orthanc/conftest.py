"""A real Orthanc that holds a phantom patient, and an engine over other patients."""

from __future__ import annotations

import pytest

from index.lesion_index import LesionIndex
from retrieval.embedding.encoder import LesionEncoder
from service.deid.pseudonyms import PseudonymKey
from service.engine.search_engine import SearchEngine, binding_of
from service.jobs.indexing import index_archive
from tests.service.dicom_samples import SeriesLabels, ct_series
from tests.service.pacs.orthanc.phantom_study import (
    DAYS,
    PATIENT,
    Mark,
    make_phantom_patient,
    stacked,
)
from tests.service.pacs.orthanc.server import running_orthanc


@pytest.fixture(scope="session")
def pacs(tmp_path_factory):
    with running_orthanc(tmp_path_factory.mktemp("orthanc")) as running:
        yield running


@pytest.fixture(scope="session")
def patient():
    return make_phantom_patient()


@pytest.fixture(scope="session")
def phantom(pacs, patient) -> dict[int, dict[str, Mark]]:
    """The phantom patient stored in the PACS; study to track to its mark."""
    marks: dict[int, dict[str, Mark]] = {}
    for study, day in DAYS.items():
        rows = {m.track_id: m.row for m in patient.lesions if m.row.study == study}
        spacing, interval = next(
            (row.spacing_mm_px, row.slice_interval_mm) for row in rows.values()
        )
        labels = SeriesLabels(PATIENT, str(study), day, first_z_mm=-200.0 - 50 * study)
        numbers, images = stacked(patient, study)
        # The runs of slices have gaps between them, as the positions must say.
        datasets = ct_series(images, labels, spacing_mm_px=spacing, interval_mm=interval)
        for dataset, number in zip(datasets, numbers, strict=True):
            dataset.ImagePositionPatient[2] = labels.first_z_mm + interval * (number - numbers[0])
        pacs.store(datasets)
        marks[study] = {
            track: Mark(
                labels,
                numbers.index(row.key_slice),
                row.recist,
                track,
                row.lesion_type,
                row.recist.diameters_mm(spacing)[0],
            )
            for track, row in rows.items()
        }
    return marks


@pytest.fixture(scope="session")
def filled(archive, tmp_path_factory):
    """An index of other patients by the bundled encoder, which opens it for each test anew."""
    encoder = LesionEncoder.load(None)
    folder = tmp_path_factory.mktemp("pacs") / "index"
    with LesionIndex.create(folder, binding_of(encoder)) as index:
        index_archive(archive, index, encoder)
    return encoder, folder


@pytest.fixture
def engine(filled):
    encoder, folder = filled
    with LesionIndex.open(folder) as index:
        opened = SearchEngine(encoder, index)
        before = {lesion.lesion_id for lesion in index.page(limit=500)}
        yield opened
        index.remove({lesion.lesion_id for lesion in index.page(limit=500)} - before)


@pytest.fixture(autouse=True)
def no_reports(pacs):
    pacs.forget_reports()


@pytest.fixture
def key_file(tmp_path):
    PseudonymKey.create(tmp_path / "pseudonyms.key")
    return tmp_path / "pseudonyms.key"
