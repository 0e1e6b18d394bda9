"""A map kept with its index: read as it was written, completed, and never another encoder's."""

from __future__ import annotations

import numpy as np
import pytest

from service.figures.map.projection import MapError, MapMethod
from service.figures.map.stored import FILE, StoredMap

IDS = ("a", "b", "c", "d")
POINTS = np.array([[0, 0], [1, 0], [0, 1], [5, 5]], np.float32)


@pytest.fixture
def stored(tmp_path):
    made = StoredMap(IDS, POINTS, MapMethod.UMAP, "print")
    assert made.save(tmp_path) == tmp_path / FILE
    return made


def test_a_map_is_read_as_it_was_written(stored, tmp_path):
    read = StoredMap.load(tmp_path, "print")
    assert (read.lesion_ids, read.method) == (IDS, MapMethod.UMAP)
    np.testing.assert_array_equal(read.points, POINTS)
    assert StoredMap.load(tmp_path, "another encoder") is None
    assert StoredMap.load(tmp_path / "nowhere", "print") is None
    assert [file.name for file in tmp_path.iterdir()] == [FILE]


def test_what_came_later_stands_among_its_nearest(stored):
    vectors = np.eye(4, dtype=np.float32)
    new = np.array([[0.6, 0.6, 0.52, 0.0]], np.float32)
    placed = stored.placed([*IDS, "new"], np.concatenate([vectors, new]))
    np.testing.assert_array_equal(placed[:4], POINTS)
    np.testing.assert_allclose(placed[4], POINTS[:3].mean(axis=0))


def test_a_map_of_other_lesions_is_none(stored):
    assert stored.placed(["x", "y", "z", "a"], np.eye(4, dtype=np.float32)) is None


def test_a_broken_file_is_told(tmp_path):
    (tmp_path / FILE).write_bytes(b"no zip")
    with pytest.raises(MapError, match="index map"):
        StoredMap.load(tmp_path, "print")
