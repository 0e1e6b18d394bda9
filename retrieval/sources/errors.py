"""What can go wrong with an archive."""

from __future__ import annotations

from retrieval.lesion import LesionSearchError


class ArchiveError(LesionSearchError):
    """An archive, or one of its lesions, that cannot be read."""
