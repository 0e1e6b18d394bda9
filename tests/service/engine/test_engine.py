from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from index.filters.lesion_filter import LesionFilter
from retrieval.lesion import Box, LesionError, LesionType, Recist
from retrieval.patch import extract_patch
from retrieval.tracking.states import FollowUpState
from service.engine.lesion_location import LocationEstimate
from service.engine.patient_tracks import UnknownPatientError
from service.engine.query import LesionQuery, QueryError
from service.engine.results import BoxSource, HitTerms
from service.engine.search_engine import SearchEngine
from tests.service.samples import PATIENTS, STUDIES, ToyEncoder


@pytest.fixture
def query(archive):
    """The first lesion, and its slab as a reader would open it."""
    lesion = archive.lesions[0]
    return lesion, archive.slab(lesion, half_depth_mm=5)


def another_scan(slab):
    """A scan that is not indexed and looks as this one: its noise is another."""
    noise = np.random.default_rng(0).uniform(-3, 3, slab.hu.shape)
    return replace(slab, hu=slab.hu + noise.astype(np.float32))


def test_hits_are_those_of_a_naive_ranking(engine, archive, query):
    lesion, slab = query
    result = engine.search(LesionQuery(lesion.box, patient_id=lesion.patient_id, k=4), slab)
    encoder = ToyEncoder()

    def vector(one):
        patch = extract_patch(archive.slab(one, half_depth_mm=5), one.box, encoder.spec)
        return encoder.embed([patch]).vectors[0]

    mine = vector(lesion)
    others = [one for one in archive.lesions if one.patient_id != lesion.patient_id]
    ranked = sorted(others, key=lambda one: -float(mine @ vector(one)))[:4]
    assert [hit.lesion.lesion_id for hit in result.hits] == [one.lesion_id for one in ranked]
    expected = [float(mine @ vector(one)) for one in ranked]
    assert np.allclose([hit.similarity for hit in result.hits], expected, atol=1e-5)
    assert [hit.rank for hit in result.hits] == [1, 2, 3, 4]


def test_the_patient_is_never_among_its_own_hits(engine, archive):
    for lesion in archive.lesions:
        result = engine.search(LesionQuery(lesion_id=lesion.lesion_id, k=100))
        assert len(result.hits) == (PATIENTS - 1) * STUDIES
        assert lesion.patient_id not in {hit.lesion.patient_id for hit in result.hits}


def test_without_a_patient_a_lesion_of_another_scan_finds_its_like_and_has_no_follow_ups(
    engine, query
):
    lesion, slab = query
    result = engine.search(LesionQuery(lesion.box), another_scan(slab))
    assert result.hits[0].lesion.lesion_id == lesion.lesion_id
    assert result.hits[0].similarity == pytest.approx(1.0, abs=1e-3)
    assert result.follow_ups == ()
    assert result.recognised is None


def test_follow_ups_are_this_patients_other_studies_in_order(engine, archive, query):
    lesion, slab = query
    result = engine.search(
        LesionQuery(lesion.box, patient_id=lesion.patient_id, study_id=lesion.study_id), slab
    )
    own = [one for one in archive.lesions if one.patient_id == lesion.patient_id]
    assert [found.study_id for found in result.follow_ups] == [one.study_id for one in own[1:]]
    for found in result.follow_ups:
        assert found.lesion is None or found.lesion.patient_id == lesion.patient_id
        assert found.state in set(FollowUpState)


def test_an_indexed_lesion_and_its_image_give_the_same_hits(engine, query):
    lesion, slab = query
    by_id = engine.search(LesionQuery(lesion_id=lesion.lesion_id, k=5))
    by_image = engine.search(LesionQuery(lesion.box, patient_id=lesion.patient_id, k=5), slab)
    assert [h.lesion.lesion_id for h in by_id.hits] == [h.lesion.lesion_id for h in by_image.hits]


def test_a_vector_of_any_length_finds_its_lesion(engine, query):
    lesion, _ = query
    vector = engine.index.get(lesion.lesion_id).vector
    result = engine.search(LesionQuery(vector=tuple((7.5 * vector).tolist()), k=1))
    assert result.hits[0].lesion.lesion_id == lesion.lesion_id
    assert result.box is None
    assert result.to_json()["box_source"] is None


@pytest.mark.parametrize(
    ("vector", "words"),
    [([1.0] * 3, "256 numbers"), ([0.0] * 256, "zero"), ([float("nan")] * 256, "not finite")],
)
def test_a_vector_that_cannot_be_is_refused(engine, vector, words):
    with pytest.raises(QueryError, match=words):
        engine.search(LesionQuery(vector=tuple(vector)))


def test_a_recist_mark_gives_the_box_and_says_so(engine, query):
    lesion, slab = query
    x1, y1, x2, y2 = lesion.box.padded(-5).to_list()
    middle_x, middle_y = lesion.box.center
    mark = Recist(((x1, middle_y), (x2, middle_y), (middle_x, y1), (middle_x, y2)))
    result = engine.search(LesionQuery(recist=mark), slab)
    assert result.box_source is BoxSource.RECIST
    assert np.allclose(result.box.to_list(), lesion.box.to_list())


def test_a_filter_holds_beside_the_exclusion(engine, query):
    lesion, slab = query
    where = LesionFilter.parse("type=lung")
    result = engine.search(
        LesionQuery(lesion.box, patient_id=lesion.patient_id, k=100, where=where), slab
    )
    assert result.hits
    assert {hit.lesion.lesion_type.value for hit in result.hits} == {"lung"}
    assert lesion.patient_id not in {hit.lesion.patient_id for hit in result.hits}


def test_json_has_the_stable_names(engine, query):
    lesion, slab = query
    document = engine.search(LesionQuery(lesion.box, patient_id=lesion.patient_id), slab).to_json()
    assert list(document) == [
        "box",
        "box_source",
        "grid",
        "candidates",
        "hits",
        "follow_ups",
        "encoder",
        "index",
        "timing_ms",
        "warnings",
        "recognised",
        "location",
        "location_error",
    ]
    assert document["box_source"] == "given"
    assert set(document["hits"][0]) == {"rank", "similarity", "terms", "lesion"}
    wanted = {"state", "similarity", "score", "change_pct", "lesion"}
    assert wanted <= set(document["follow_ups"][0])
    assert set(document["timing_ms"]) == {
        "read",
        "detect",
        "patch",
        "encode",
        "search",
        "total",
    }
    names = ("read", "detect", "patch", "encode", "search")
    steps = [document["timing_ms"][step] for step in names]
    assert document["timing_ms"]["total"] == pytest.approx(sum(steps), abs=0.01)


def test_the_time_of_reading_can_be_added(engine, query):
    lesion, slab = query
    result = engine.search(LesionQuery(lesion.box), slab)
    assert result.with_read_time(5.0).timing_ms.total == pytest.approx(result.timing_ms.total + 5)


def test_no_box_and_no_detector_says_how_to_give_one(engine, query):
    with pytest.raises(QueryError, match="x1,y1,x2,y2"):
        engine.search(LesionQuery(), query[1])


def test_a_box_and_a_mark_together_are_refused(engine, query):
    lesion, slab = query
    mark = Recist(((1, 1), (9, 1), (5, 0), (5, 3)))
    with pytest.raises(QueryError, match="one of them"):
        engine.search(LesionQuery(lesion.box, recist=mark), slab)


def test_a_box_outside_the_image_is_refused(engine, query):
    with pytest.raises(LesionError, match="outside the image"):
        engine.search(LesionQuery(Box(500, 500, 520, 520)), query[1])


@pytest.mark.parametrize("k", [0, -3])
def test_k_below_one_is_refused(engine, query, k):
    with pytest.raises(QueryError, match="at least 1"):
        engine.search(LesionQuery(query[0].box, k=k), query[1])


def test_an_unknown_patient_is_named_with_the_one_that_was_meant(engine, query):
    lesion, slab = query[0], another_scan(query[1])
    with pytest.raises(UnknownPatientError, match="did you mean 000001"):
        engine.search(LesionQuery(lesion.box, patient_id="1"), slab)
    with pytest.raises(UnknownPatientError, match="nobody"):
        engine.search(LesionQuery(lesion.box, patient_id="nobody"), slab)


def test_an_index_of_another_encoder_is_refused_with_both_fingerprints(engine):
    with pytest.raises(QueryError, match=r"toy0.*toy1"):
        SearchEngine(ToyEncoder("toy1"), engine.index)


def test_the_terms_of_a_hit_are_those_of_the_two_lesions(engine, archive):
    lesion = archive.lesions[0]
    for hit in engine.search(LesionQuery(lesion_id=lesion.lesion_id, k=5)).hits:
        other = hit.lesion
        assert hit.terms.same_type is (other.lesion_type is lesion.lesion_type)
        assert hit.terms.size_ratio == pytest.approx(other.long_mm / lesion.long_mm)
        apart = np.subtract(other.location, lesion.location)
        assert hit.terms.location_distance == pytest.approx(np.linalg.norm(apart))


class FixedLocator:
    """Says the same body position of every image."""

    def locate_lesion(self, slab, box):
        return LocationEstimate((0.5, 0.5, 0.5), (0.05, 0.08, 0.02))


def test_an_image_is_compared_by_what_is_estimated_of_it_and_its_type_is_unknown(engine, query):
    lesion, slab = query
    other = another_scan(slab)
    assert engine.search(LesionQuery(lesion.box), other).hits[0].terms.location_distance is None
    locating = SearchEngine(engine.encoder, engine.index, locator=FixedLocator())
    hit = locating.search(LesionQuery(lesion.box), other).hits[0]
    assert hit.lesion.lesion_id == lesion.lesion_id
    assert hit.terms.same_type is None
    assert hit.terms.size_ratio == pytest.approx(1.0, abs=0.1)
    half = np.subtract(lesion.location, (0.5, 0.5, 0.5))
    assert hit.terms.location_distance == pytest.approx(np.linalg.norm(half))


def test_terms_of_what_is_not_known_are_none(engine, archive):
    lesion = archive.lesions[0]
    vector = engine.index.get(lesion.lesion_id).vector
    assert engine.search(LesionQuery(vector=tuple(vector), k=1)).hits[0].terms == HitTerms()
    unknown = lesion.with_changes(long_mm=None, location=None, lesion_type=LesionType.UNKNOWN)
    assert HitTerms.between(unknown, None, lesion) == HitTerms()
    assert HitTerms.between(lesion, lesion.location, unknown) == HitTerms()
