"""An indexed image sent again is its lesion; whose it is, is never guessed."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from index.catalog.reader import LesionRecord
from index.lesion_index import LesionIndex
from retrieval.image import Slab
from retrieval.lesion import Box, ImageSource, Recist
from retrieval.pixel_hash import pixel_hash
from service.engine.query import LesionQuery
from service.engine.search_engine import SearchEngine, binding_of
from service.jobs.indexing import index_archive
from tests.service.samples import ToyEncoder


@pytest.fixture(scope="module")
def own(archive, tmp_path_factory):
    """An engine whose index a test may change."""
    encoder = ToyEncoder()
    folder = tmp_path_factory.mktemp("own") / "index"
    with LesionIndex.create(folder, binding_of(encoder)) as index:
        index_archive(archive, index, encoder)
        yield SearchEngine(encoder, index)


@pytest.fixture
def upload(archive):
    """An indexed lesion of the second study, and its slice alone under numbers of its own."""
    lesion = next(one for one in archive.lesions if one.study_id.endswith("_02"))
    plane = archive.slab(lesion, half_depth_mm=0).hu
    return lesion, Slab(plane, (0.9, 0.9), 2.5)


def moved(box: Box, share: float) -> Box:
    return box.shifted(share * box.width, 0)


def facts(result):
    document = result.to_json()
    return {name: document[name] for name in ("hits", "follow_ups")}


def test_the_answer_to_an_indexed_image_is_that_of_its_lesion(engine, archive):
    for lesion in archive.lesions:
        by_id = engine.search(LesionQuery(lesion_id=lesion.lesion_id, k=5))
        slab = Slab(archive.slab(lesion, half_depth_mm=0).hu, (0.9, 0.9), 2.5)
        for patient, study in (
            (lesion.patient_id, lesion.study_id),
            (lesion.patient_id, None),
            (None, None),
        ):
            query = LesionQuery(lesion.box, patient_id=patient, study_id=study, k=5)
            by_image = engine.search(query, slab)
            assert facts(by_image) == facts(by_id)
            assert by_image.recognised.to_json() == {"lesion_id": lesion.lesion_id, "iou": 1.0}
            said = [one for one in by_image.warnings if "already indexed, as lesion" in one]
            assert len(said) == (patient is None)


def test_its_own_copy_is_never_its_partner(engine, upload):
    """Without study and slice number, which an upload does not have, it once was."""
    lesion, slab = upload
    result = engine.search(LesionQuery(lesion.box, patient_id=lesion.patient_id), slab)
    assert {one.study_id for one in result.follow_ups} == {
        f"{lesion.patient_id}_01",
        f"{lesion.patient_id}_03",
    }
    partners = [one.lesion.lesion_id for one in result.follow_ups if one.lesion is not None]
    assert partners
    assert lesion.lesion_id not in partners


def test_the_box_may_be_drawn_anew(engine, upload):
    lesion, slab = upload
    box = moved(lesion.box, 0.2)
    result = engine.search(LesionQuery(box, patient_id=lesion.patient_id), slab)
    assert result.box == box
    assert result.recognised.lesion_id == lesion.lesion_id
    assert result.recognised.iou == pytest.approx(0.8 / 1.2)
    by_id = engine.search(LesionQuery(lesion_id=lesion.lesion_id))
    assert facts(result) == facts(by_id)


def test_a_recist_mark_is_recognised_too(engine, upload):
    lesion, slab = upload
    x, y = lesion.box.center
    mark = Recist(((x - 12, y), (x + 12, y), (x, y - 6), (x, y + 6)))
    result = engine.search(LesionQuery(recist=mark, patient_id=lesion.patient_id), slab)
    assert result.recognised.lesion_id == lesion.lesion_id


def test_another_box_on_an_indexed_slice_is_another_lesion_of_the_same_study(engine, upload):
    lesion, slab = upload
    query = LesionQuery(moved(lesion.box, 0.6), patient_id=lesion.patient_id)
    result = engine.search(query, slab)
    assert result.recognised is None
    assert lesion.study_id not in {one.study_id for one in result.follow_ups}
    unnamed = engine.search(replace(query, patient_id=None), slab)
    assert unnamed.follow_ups == ()
    assert lesion.patient_id not in {hit.lesion.patient_id for hit in unnamed.hits}
    assert any(f"as patient {lesion.patient_id}" in one for one in unnamed.warnings)


@pytest.mark.parametrize("share", [0.0, 0.6])
@pytest.mark.parametrize("patient", ["000005", "nobody", "2"])
def test_another_patients_image_shows_no_follow_ups(engine, upload, patient, share):
    lesion, slab = upload
    result = engine.search(LesionQuery(moved(lesion.box, share), patient_id=patient, k=50), slab)
    assert result.follow_ups == ()
    assert (result.recognised is not None) == (share == 0.0)
    (warning,) = result.warnings
    assert f"as patient {lesion.patient_id}, not as patient {patient}" in warning
    assert "no follow-ups are shown" in warning
    hits = {hit.lesion.patient_id for hit in result.hits}
    assert hits.isdisjoint({patient, lesion.patient_id})
    assert hits


def test_another_study_is_told_and_the_indexed_one_is_used(engine, upload):
    lesion, slab = upload
    study = f"{lesion.patient_id}_01"
    query = LesionQuery(lesion.box, patient_id=lesion.patient_id, study_id=study)
    result = engine.search(query, slab)
    assert facts(result) == facts(engine.search(LesionQuery(lesion_id=lesion.lesion_id)))
    assert any(f"not in study {study}" in one for one in result.warnings)


@pytest.fixture
def twice(own, upload):
    """The same slice indexed under a second patient as well, with the same box."""
    lesion, slab = upload
    copy = lesion.with_changes(lesion_id="copy", patient_id="999999", study_id="999999_01")
    stored = own.index.get(lesion.lesion_id)
    own.index.add([replace(stored, lesion=copy)])
    yield own, lesion, slab
    own.index.remove(["copy"])


def test_a_slice_of_two_patients_is_nobodys_until_one_is_named(twice):
    engine, lesion, slab = twice
    result = engine.search(LesionQuery(lesion.box, k=50), slab)
    assert result.follow_ups == ()
    (warning,) = result.warnings
    assert f"several patients ({lesion.patient_id}, 999999)" in warning
    assert {hit.lesion.patient_id for hit in result.hits}.isdisjoint({lesion.patient_id, "999999"})
    for patient, lesion_id in ((lesion.patient_id, lesion.lesion_id), ("999999", "copy")):
        named = engine.search(LesionQuery(lesion.box, patient_id=patient), slab)
        assert named.recognised.lesion_id == lesion_id
        assert not any("several patients" in one for one in named.warnings)
        partners = [one.lesion for one in named.follow_ups if one.lesion is not None]
        assert {partner.patient_id for partner in partners} <= {patient}


def test_of_two_marks_on_a_slice_the_one_under_the_box_is_meant(own, upload):
    lesion, slab = upload
    beside = lesion.with_changes(lesion_id="beside", box=moved(lesion.box, 0.5))
    own.index.add([replace(own.index.get(lesion.lesion_id), lesion=beside)])
    for box, wanted in ((lesion.box, lesion.lesion_id), (beside.box, "beside")):
        query = LesionQuery(box, patient_id=lesion.patient_id)
        assert own.search(query, slab).recognised.lesion_id == wanted
    own.index.remove(["beside"])


def test_a_slice_without_content_identifies_nobody(own, upload):
    lesion, slab = upload
    air = np.full_like(slab.hu, -1000.0)
    air[0, 20:60, 20:60] = np.arange(40)
    source = ImageSource("elsewhere", "air.png", (0.9, 0.9), 2.5, pixel_hash(air[0]))
    vector = own.index.get(lesion.lesion_id).vector
    uniform = lesion.with_changes(lesion_id="air", patient_id="999999", study_id="999999_01")
    own.index.add([LesionRecord(uniform, vector, source)])
    result = own.search(LesionQuery(lesion.box), replace(slab, hu=air))
    assert result.recognised is None
    assert result.warnings == ()
    own.index.remove(["air"])


WAYS = [(turns, mirrored) for mirrored in (False, True) for turns in range(4)][1:]


@pytest.mark.parametrize("named", [False, True])
@pytest.mark.parametrize(("turns", "mirrored"), WAYS)
def test_an_indexed_slice_that_was_turned_is_told_and_has_no_follow_ups(
    engine, upload, turns: int, mirrored: bool, named: bool
):
    lesion, slab = upload
    hu = slab.hu[:, :, ::-1] if mirrored else slab.hu
    turned = replace(slab, hu=np.ascontiguousarray(np.rot90(hu, turns, (1, 2))))
    patient = lesion.patient_id if named else None
    box = Box.around((turned.columns / 2, turned.rows / 2), 20)
    result = engine.search(LesionQuery(box, patient_id=patient, k=5), turned)
    assert any("turned or mirrored" in one for one in result.warnings)
    assert result.follow_ups == ()
    assert result.recognised is None
    assert lesion.patient_id not in {hit.lesion.patient_id for hit in result.hits}
