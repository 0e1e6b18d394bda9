"""A service over phantom patients and a real browser that opens its page."""

from __future__ import annotations

import os
from collections import defaultdict

import pytest
from playwright.sync_api import expect

from index.lesion_index import LesionIndex
from index.tags import add_tags
from retrieval.detection.proposals import Proposal
from retrieval.labels.categories.rounds import LoopOptions
from retrieval.lesion import Box
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.synthesis.phantom.archive import generate_archive
from retrieval.tag import Tag, TagSource
from service.engine.search_engine import SearchEngine, binding_of
from service.http.app import create_app
from service.http.settings import Settings
from service.jobs.categories import categorise, keep
from service.jobs.indexing import index_archive
from service.jobs.measuring import measure_index
from tests.service.browser import opened_browser, reading, screenshot_folder, serving
from tests.service.detectors import FixedDetector
from tests.service.page.patients import TAGGED, KnownSample, Meeting, key_slice_file, real_stranger
from tests.service.samples import ToyEncoder

expect.set_options(timeout=40_000)


@pytest.fixture(scope="session")
def phantoms(tmp_path_factory):
    root = tmp_path_factory.mktemp("phantoms") / "archive"
    generate_archive(root, patients=3, seed=7, first_patient=2)
    return DeepLesionArchive.open(root)


@pytest.fixture(scope="session")
def engine(phantoms, tmp_path_factory):
    encoder = ToyEncoder()
    folder = tmp_path_factory.mktemp("phantom_index") / "index"
    with LesionIndex.create(folder, binding_of(encoder)) as index:
        index_archive(phantoms, index, encoder)
        marked = phantoms.lesions[0].box
        detector = FixedDetector(Proposal(marked, 0.91), Proposal(Box(20, 20, 44, 40), 0.42))
        yield SearchEngine(encoder, index, detector)


@pytest.fixture(scope="session")
def address(engine):
    with serving(create_app(Settings(index=engine.index.path), engine=engine)) as running:
        yield running


@pytest.fixture(scope="session")
def screenshots(tmp_path_factory):
    return screenshot_folder(tmp_path_factory)


@pytest.fixture(scope="module")
def browser():
    """For one module; LESION_SEARCH_BROWSER=firefox drives the whole of them in Firefox."""
    with opened_browser(os.environ.get("LESION_SEARCH_BROWSER", "chromium")) as opened:
        yield opened


@pytest.fixture
def reader(browser, address, screenshots):
    with reading(browser, address, screenshots) as opened:
        yield opened


@pytest.fixture(scope="session")
def course(phantoms):
    """A patient with at least three studies, and one of the lesions."""
    studies = defaultdict(set)
    for lesion in phantoms.lesions:
        studies[lesion.patient_id].add(lesion.study_id)
    patient = max(studies, key=lambda name: len(studies[name]))
    return patient, next(x for x in phantoms.lesions if x.patient_id == patient)


@pytest.fixture(scope="session")
def known_sample(real_data, tmp_path_factory):
    """The DeepLesion sample, its lesions measured and in three categories, and who serves it."""
    archive = DeepLesionArchive.open(real_data / "deeplesion_sample")
    encoder = ToyEncoder()
    folder = tmp_path_factory.mktemp("known_sample") / "index"
    with LesionIndex.create(folder, binding_of(encoder)) as index:
        index_archive(archive, index, encoder)
        measure_index(index, archive)
        keep(index, categorise(index, LoopOptions(3, 3)))
        predicted = Tag("calcified", 0.62, TagSource.PREDICTED, "a network")
        add_tags(index, {TAGGED: (Tag("mediastinum"), predicted)})
        with serving(create_app(Settings(index=folder), engine=SearchEngine(encoder, index))) as at:
            yield KnownSample(at, index, tuple(index.page(limit=100)))


@pytest.fixture(scope="session")
def real_meeting(real_data, tmp_path_factory):
    archive = DeepLesionArchive.open(real_data / "deeplesion_sample")
    encoder = ToyEncoder()
    folder = tmp_path_factory.mktemp("sample_index") / "index"
    lesion = next(one for one in archive.lesions if one.study_id == "000053_04")
    source = archive.source(lesion)
    with LesionIndex.create(folder, binding_of(encoder)) as index:
        index_archive(archive, index, encoder)
        engine = SearchEngine(encoder, index)
        with serving(create_app(Settings(index=folder), engine=engine)) as running:
            yield Meeting(
                running,
                lesion,
                key_slice_file(archive, lesion),
                (*source.spacing_mm_px, source.slice_interval_mm),
                real_stranger(real_data / "sarcoma_ct" / "dicom" / "STS_007"),
                "STS_007",
                "2004-05-29",
            )
