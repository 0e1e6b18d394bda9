"""What a PACS refuses, what our limits refuse, and what a pattern must not find."""

from __future__ import annotations

from datetime import date

import numpy as np
import pytest

from retrieval.lesion import Box
from service.engine.query import LesionQuery
from service.pacs.errors import PacsError, PacsLimitError, UnknownReferenceError
from service.pacs.search import PacsQuery, search_pacs
from service.pacs.series import PacsImageError, PacsReference, find_series
from tests.service.dicom_samples import SeriesLabels, ct_series
from tests.service.pacs.orthanc.phantom_study import (
    PATIENT,
)


def test_what_the_pacs_refuses_or_the_limits_do(pacs, phantom, engine):
    mark = phantom[2]["000004_t01"]
    with pytest.raises(PacsError, match="credentials"):
        search_pacs(engine, pacs.client(password="wrong"), mark.query)
    with pytest.raises(PacsLimitError, match="MAX_INSTANCES"):
        search_pacs(engine, pacs.client(max_instances=3), mark.query)
    with pytest.raises(UnknownReferenceError):
        find_series(pacs.client(), PacsReference(mark.labels.series_uid, "1.2.3"))


def test_only_ct_is_read_and_burned_in_text_is_refused(pacs, engine):
    labels = SeriesLabels("MRN-9", "mr", date(2020, 1, 1))
    other = SeriesLabels("MRN-9", "burned", date(2020, 1, 1))
    plane = np.zeros((3, 32, 32), np.float32)
    mr, burned = (
        ct_series(plane, one, spacing_mm_px=(1.0, 1.0), interval_mm=2.0) for one in (labels, other)
    )
    for image in mr:
        image.Modality = "MR"
    for image in burned:
        image.BurnedInAnnotation = "YES"
    pacs.store([*mr, *burned])
    box = Box(5, 5, 20, 20)
    with pytest.raises(PacsImageError, match="modality 'MR'"):
        search_pacs(
            engine, pacs.client(), PacsQuery(PacsReference(labels.series_uid), LesionQuery(box=box))
        )
    with pytest.raises(PacsImageError, match="burned-in text"):
        search_pacs(
            engine, pacs.client(), PacsQuery(PacsReference(other.series_uid), LesionQuery(box=box))
        )


def test_a_pattern_in_a_patient_id_finds_nobody_else(pacs, phantom, engine):
    """To QIDO-RS the id is a pattern that fits the phantom patient as well."""
    labels = SeriesLabels("MRN-*", "star", date(2020, 1, 1))
    texture = np.random.default_rng(0).normal(40, 50, (3, 64, 64)).astype(np.float32)
    pacs.store(ct_series(texture, labels, spacing_mm_px=(1.0, 1.0), interval_mm=2.0))
    query = PacsQuery(PacsReference(labels.series_uid), LesionQuery(box=Box(20, 20, 40, 40)))
    answer = search_pacs(engine, pacs.client(), query)
    assert answer.lesion.patient_id == "MRN-*"
    assert answer.studies == ()
    assert len(pacs.client().studies_of(PATIENT)) == 2
