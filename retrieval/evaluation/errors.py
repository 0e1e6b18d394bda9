"""What every protocol says of data that hold too little for the score that was asked for."""

from __future__ import annotations

from retrieval.lesion import LesionSearchError


class EvaluationError(LesionSearchError):
    """An archive that holds too little for the score that was asked for."""
