"""What can go wrong with tracking."""

from __future__ import annotations

from retrieval.lesion import LesionSearchError


class TrackingError(LesionSearchError):
    """Lesions, decisions or matcher weights that tracking cannot use."""


class MatchConflictError(TrackingError):
    """Confirmed and rejected matches of one patient that contradict each other."""
