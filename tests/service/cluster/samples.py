"""What a build on a cluster must have made."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from index.lesion_index import LesionIndex


def assert_same(index: LesionIndex, built_index: Path) -> None:
    """The lesions of the plain build, each once, with its own vector, field for field."""
    with LesionIndex.open(built_index, read_only=True) as plain:
        wanted = {one.lesion.lesion_id: one for one in plain.records(plain.vectors()[0])}
    ids, _ = index.vectors()
    assert sorted(ids) == sorted(wanted)
    for record in index.records(ids):
        same = wanted[record.lesion.lesion_id]
        assert (record.lesion, record.source) == (same.lesion, same.source)
        assert np.allclose(record.vector, same.vector, atol=1e-5)
    assert index.verify().sound
