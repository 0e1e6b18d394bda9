"""The lesions of archives as arrays."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.lesion import LesionType, Split
from retrieval.sources.lesion_table import LesionTable
from tests.retrieval.evaluation.toy_archive import ToyArchive, toy_lesion


def test_a_table_holds_the_labels_of_each_lesion():
    lesions = [
        toy_lesion(0, patient=7, kind=LesionType.BONE, split=Split.TEST),
        toy_lesion(1, patient=8, kind=LesionType.UNKNOWN, location=None, long_mm=None),
        toy_lesion(2, patient=7, study=2, kind=LesionType.PELVIS, location=(0.1, 0.2, 0.3)),
    ]
    table = LesionTable.of(ToyArchive(lesions, {"0": "t", "2": "t", "1": "t"}))
    assert table.patients.tolist() == [0, 1, 0]
    assert len(set(table.studies.tolist())) == 3
    # A track belongs to its patient: patient 8's "t" is another lesion.
    assert table.tracks[0] == table.tracks[2] != table.tracks[1]
    assert table.types.tolist() == [1, -1, 8]
    assert table.typed_rows.tolist() == [0, 2]
    assert table.rows_in(Split.TEST).tolist() == [0]
    assert np.isnan(table.locations[1]).all()
    assert np.isnan(table.diameters_mm[1, 0])
    assert table.locations[2].tolist() == [0.1, 0.2, 0.3]


def test_two_archives_keep_their_patients_studies_and_tracks_apart():
    lesions = [toy_lesion(n, patient=n % 2, kind=LesionType.LIVER) for n in range(3)]
    ratings = {"0": {"grade": 1.0, "shade": 5.0}, "1": {"grade": 3.0}, "2": {"grade": 5.0}}
    archive = ToyArchive(lesions, {"0": "t", "2": "t"}, ratings)
    table = LesionTable.joined([LesionTable.of(archive), LesionTable.of(archive, ["grade"])])
    assert table.archives.tolist() == [0, 0, 0, 1, 1, 1]
    assert table.patients.tolist() == [0, 1, 0, 2, 3, 2]
    assert table.studies.tolist() == [0, 1, 0, 2, 3, 2]
    assert table.tracks.tolist() == [0, -1, 0, 1, -1, 1]
    own = table.own_tracks
    assert len(set(own.tolist())) == 4
    assert own[table.tracks >= 0].tolist() == [0, 0, 1, 1]
    assert np.isnan(table.attributes[:3]).all()
    assert table.attributes[3:, 0].tolist() == pytest.approx([-(1.5**0.5), 0.0, 1.5**0.5])
    assert table.lesions == (*lesions, *lesions)


def test_a_rating_that_never_changes_says_nothing():
    lesions = [toy_lesion(n, patient=n, kind=LesionType.LIVER) for n in range(2)]
    same = ToyArchive(lesions, {}, {"0": {"grade": 4.0}, "1": {"grade": 4.0}})
    assert np.isnan(LesionTable.of(same, ["grade"]).attributes).all()


def test_a_table_of_no_lesions_has_its_columns():
    table = LesionTable.of(ToyArchive([]))
    assert len(table) == 0
    assert table.locations.shape == (0, 3)
    assert table.diameters_mm.shape == (0, 2)
    assert table.own_tracks.shape == (0,)
