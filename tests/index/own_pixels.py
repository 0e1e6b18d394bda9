"""Lesions with pixels of their own, for the tests of an index that keeps them."""

from __future__ import annotations

from dataclasses import replace

from index.lesion_index import LesionIndex
from index.own_images import OWN_ARCHIVE
from retrieval.lesion import ImageSource

FILES = {"001.png": b"first", "002.png": b"second"}


def add(index: LesionIndex, samples, number: int, *, seed: int = 0):
    """A lesion with pixels of its own; returns its record."""
    with index.images.adding():
        folder = index.images.keep(FILES)
        source = ImageSource(OWN_ARCHIVE, str(folder / "001.png"), (1.0, 1.0), 2.0)
        record = replace(samples.record(number, seed=seed), source=source)
        index.add([record])
    return record
