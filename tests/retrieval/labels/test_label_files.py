"""LesaNet's label files, and body parts from type and position."""

from __future__ import annotations

import json
import os
from collections import Counter
from pathlib import Path

import pytest

from retrieval.labels.lesanet_files import LabelFileError, MinedLabels, load_labels
from retrieval.labels.place import MODEL, SIDE_SHARE, place_tags
from retrieval.labels.vocabulary.bundled import vocabulary
from retrieval.lesion import Box, Lesion, LesionType
from retrieval.tag import TagSource


def a_file(folder: Path, **changes: object) -> Path:
    document = {"term_list": ["left kidney", "cyst", "mass"]}
    for part, rows in (("train", [3]), ("val", [4]), ("test", [5])):
        document |= {
            f"{part}_lesion_idxs": rows,
            f"{part}_relevant_labels": [[0, 0]],
            f"{part}_uncertain_labels": [[1]],
        }
    document |= {"train_irrelevant_labels": [[2]], **changes}
    (folder / "labels.json").write_text(json.dumps(document))
    return folder / "labels.json"


def test_labels_as_terms_and_tags(tmp_path):
    first, second, third = load_labels(a_file(tmp_path))
    assert first == MinedLabels(3, "train", ("left kidney",), ("cyst",), ("mass",))
    assert (second.part, third.part, third.irrelevant) == ("val", "test", ())
    tags = {tag.term: tag for tag in first.tags(vocabulary())}
    assert tags["kidney"].holds
    assert tags["kidney"].source is TagSource.TEXT
    assert not tags["cyst"].holds
    assert tags["cyst"].probability == 0.5
    assert "mass" not in tags


@pytest.mark.parametrize(
    "changes",
    [
        {"term_list": 7},
        {"val_relevant_labels": [[9]]},
        {"val_relevant_labels": [[-1]]},
        {"val_lesion_idxs": [1, 2]},
    ],
)
def test_a_file_that_is_none(tmp_path, changes):
    with pytest.raises(LabelFileError, match="holds no labels"):
        load_labels(a_file(tmp_path, **changes))
    with pytest.raises(LabelFileError, match="holds no labels"):
        load_labels(tmp_path / "nothing.json")


def test_lesanets_own_file():
    data = os.environ.get("LESION_SEARCH_REAL_DATA")
    if not data:
        pytest.skip("LESION_SEARCH_REAL_DATA is not set")
    labels = load_labels(Path(data) / "lesanet" / "text_mined_labels_171_and_split.json")
    assert Counter(one.part for one in labels) == {"train": 20_266, "val": 1_976, "test": 1_879}
    assert len({one.row for one in labels}) == len(labels)
    assert max(one.row for one in labels) < 32_735


def lesion(kind: LesionType, x: float | None = None) -> Lesion:
    place = None if x is None else (x, 0.5, 0.5)
    return Lesion("a", "p", "s", "x", 1, Box(0, 0, 9, 9), lesion_type=kind, location=place)


def test_body_parts_say_that_they_come_from_type_and_position():
    tags = {tag.term: tag for tag in place_tags(lesion(LesionType.KIDNEY, 0.3), vocabulary())}
    assert set(tags) == {"kidney", "right kidney", "abdomen", "upper abdomen", "retroperitoneum"}
    assert {tag.model for tag in tags.values()} == {MODEL}
    assert {tag.source for tag in tags.values()} == {TagSource.PREDICTED}
    assert tags["right kidney"].probability == SIDE_SHARE[LesionType.KIDNEY]
    left = {tag.term for tag in place_tags(lesion(LesionType.LUNG, 0.8), vocabulary())}
    assert "left lung" in left
    assert "right lung" not in left
    unplaced = {tag.term for tag in place_tags(lesion(LesionType.LUNG), vocabulary())}
    assert unplaced == {"lung", "chest"}
    assert place_tags(lesion(LesionType.UNKNOWN, 0.3), vocabulary()) == ()
