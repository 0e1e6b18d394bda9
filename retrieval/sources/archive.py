"""What the rest of the product needs of an archive, whatever layout it is stored in."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Protocol

from retrieval.image import Slab
from retrieval.lesion import ImageSource, Lesion, LesionSearchError


class ArchiveError(LesionSearchError):
    """An archive, or one of its lesions, that cannot be read."""


class Archive(Protocol):
    """CT with a table of its lesions.

    ``track_ids`` (lesion id to track id) and ``attributes`` (lesion id to named numbers, such as
    a radiologist's ratings) are empty where the archive does not hold them.
    """

    @property
    def root(self) -> Path:
        """The archive's folder."""
        ...

    @property
    def lesions(self) -> Sequence[Lesion]:
        """Every sound lesion of the table, in its order."""
        ...

    @property
    def track_ids(self) -> Mapping[str, str]:
        """The lesion track of each lesion, where it is known."""
        ...

    @property
    def attributes(self) -> Mapping[str, Mapping[str, float]]:
        """Named numbers of each lesion, where they are known."""
        ...

    def slab(self, lesion: Lesion, *, half_depth_mm: float) -> Slab:
        """The slices within ``half_depth_mm`` of the lesion's key slice; raises ArchiveError."""
        ...

    def source(self, lesion: Lesion) -> ImageSource:
        """Where the lesion's pixels stand and their spacing."""
        ...
