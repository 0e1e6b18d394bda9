"""Categories of an index: found, kept in it, filtered by, and judged."""

from __future__ import annotations

import json
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from index.catalog.reader import EncoderBinding, LesionRecord, Surest
from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from retrieval.labels.categories.features import CategoryError
from retrieval.labels.categories.rounds import LoopOptions
from retrieval.lesion import Box, ImageSource, Lesion, LesionType
from service.cli import main
from service.figures.categories.sheet import draw_categories
from service.figures.pictures import LesionPictures
from service.jobs.categories import (
    KeptCategories,
    categorise,
    keep,
    kept_categories,
    linked_tracks,
    read_lesions,
    store,
    tracks_of,
)

KINDS = (LesionType.LIVER, LesionType.LUNG, LesionType.BONE)


def made_index(folder, patients=12):
    """Three groups of vectors, one of each in every patient, and a second study of the first."""
    generator = np.random.default_rng(0)
    records = []
    for patient in range(patients):
        for group, kind in enumerate(KINDS):
            for study in range(2 if group == 0 else 1):
                vector = 3 * np.eye(3, 8)[group] + generator.normal(0, 0.3, 8)
                lesion = Lesion(
                    lesion_id=f"{patient}-{group}-{study}",
                    patient_id=f"p{patient}",
                    study_id=f"p{patient}-{study}",
                    series_id="1",
                    key_slice_index=group,
                    box=Box(1, 1, 9, 9),
                    lesion_type=kind,
                    long_mm=8.0,
                )
                source = ImageSource("archive", "x.png", (1.0, 1.0), 2.0)
                unit = (vector / np.linalg.norm(vector)).astype(np.float32)
                records.append(LesionRecord(lesion, unit, source))
    index = LesionIndex.create(folder, EncoderBinding("abc", "made", 8))
    index.add(records)
    return index


def test_categories_are_found_kept_and_filtered_by(tmp_path):
    with made_index(tmp_path / "index") as index:
        found = categorise(index, LoopOptions(3, 4))
        assert sorted(one.name for one in found.names.values()) == ["bone", "liver", "lung"]
        changed = store(index, found)
        again = store(index, found)
        liver = next(key for key, one in found.names.items() if one.name == "liver")
        kept = index.page(limit=100, where=LesionFilter(categories=frozenset({liver})))
        assert changed == 48
        assert again == 0
        assert {one.lesion_type for one in kept} == {LesionType.LIVER}
        assert len(kept) == 24
        assert all(0.5 < one.category_confidence <= 1 for one in kept)
        assert index.verify().sound


def test_the_surest_of_a_category_come_first_page_by_page(tmp_path):
    with made_index(tmp_path / "index") as index:
        everything = index.page(limit=100)
        assert index.page(Surest(), 100) == everything
        store(index, categorise(index, LoopOptions(3, 2)))
        unsure = everything[5]
        record = index.get(unsure.lesion_id)
        later = replace(record.lesion, category_confidence=None)
        index.add([replace(record, lesion=later)])
        seen, place = [], Surest()
        while page := index.page(place, 7):
            seen += page
            place = Surest.after(page[-1])
        assert seen[-1] == later
        by_confidence = [(-one.category_confidence, one.lesion_id) for one in seen[:-1]]
        assert by_confidence == sorted(by_confidence)
        assert {one.lesion_id for one in seen} == {one.lesion_id for one in everything}


def test_a_lesion_that_came_later_joins_the_nearest_without_a_confidence(tmp_path):
    with made_index(tmp_path / "index") as index:
        found = categorise(index, LoopOptions(3, 2))
        store(index, found)
        twin = index.get("3-1-0")
        later = twin.lesion.with_changes(
            lesion_id="later", study_id="later", category=None, category_confidence=None
        )
        index.add([LesionRecord(later, twin.vector, twin.source)])
        assert store(index, found) == 1
        assert index.get("later").lesion.category == twin.lesion.category
        assert index.get("later").lesion.category_confidence is None


def test_confirmed_pairs_are_one_track(tmp_path):
    with made_index(tmp_path / "index") as index:
        index.set_match("1-0-0", "1-0-1", "confirmed")
        index.set_match("2-0-0", "2-0-1", "rejected")
        tracks = linked_tracks(index)
    assert set(tracks) == {"1-0-0", "1-0-1"}
    assert len(set(tracks.values())) == 1


def test_too_few_patients_are_refused(tmp_path):
    with (
        made_index(tmp_path / "index", patients=4) as index,
        pytest.raises(CategoryError, match="lesions of 4 patients: categories need 6"),
    ):
        categorise(index, LoopOptions(3))


def test_the_commands_from_index_to_report(tmp_path, capsys):
    made_index(tmp_path / "index").close()
    index, file = str(tmp_path / "index"), str(tmp_path / "categories.json")
    assert main(["categorize", "--index", index, "--out", file, "--count", "3", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["changed"] == 48
    assert len(said["categories"]) == 3
    judged = ["evaluate", "categories", "--index", index, "--categories", file, "--json"]
    assert main([*judged, "--resamples", "20"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert report["methods"]["categories"]["NMI with type"]["value"] == pytest.approx(1.0)
    assert report["methods"]["random"]["NMI with type"]["value"] < 0.5
    assert report["methods"]["encoder, k-means"]["purity"]["value"] == pytest.approx(1.0)


def test_a_wrong_file_is_a_users_mistake(tmp_path, capsys):
    made_index(tmp_path / "index").close()
    wrong = tmp_path / "wrong.json"
    wrong.write_text("{}")
    given = ["evaluate", "categories", "--index", str(tmp_path / "index")]
    assert main([*given, "--categories", str(wrong)]) == 2
    assert "is no file of categories" in capsys.readouterr().err


def test_kept_categories_tell_their_tree_and_how_many_lesions_are_in_each(tmp_path):
    with made_index(tmp_path / "index") as index:
        assert kept_categories(index) == KeptCategories()
        found = categorise(index, LoopOptions(3, 4))
        assert keep(index, found) == 48
        told = kept_categories(index)
        assert sum(one.lesions for one in told.categories) == 48
        assert {one.name for one in told.categories} == {"bone", "liver", "lung"}
        assert len(told.tree) == 2
        names = [one.category for one in told.categories]
        joined = {told.tree[0].left, told.tree[0].right}
        assert joined in (set(names[:2]), set(names[1:]))
        index.remove(["0-1-0"])
        assert sum(one.lesions for one in kept_categories(index).categories) == 47


def test_the_sheet_has_a_row_for_each_category_without_pixels_too(tmp_path):
    with made_index(tmp_path / "index") as index:
        found = categorise(index, LoopOptions(3, 4))
        figure = draw_categories(found, read_lesions(index).lesions, LesionPictures(index))
    words = [text.get_text() for text in figure.texts]
    assert {"bone", "liver", "lung"} <= set(words)
    assert len(figure.artists) + len(figure.lines) >= 6, "two joins, three lines each"


def test_tracks_of_several_archives_do_not_mix():
    first = SimpleNamespace(track_ids={"a": "t1", "b": "t1"})
    second = SimpleNamespace(track_ids={"c": "t1"})
    tracks = tracks_of([first, second])
    assert tracks["a"] == tracks["b"] != tracks["c"]
