"""The detector in use: the one that is named, the bundled one, or none."""

from __future__ import annotations

from pathlib import Path

from retrieval.detection.proposals import OneKind, SliceDetector
from retrieval.lesion import LesionSearchError


class DetectorKindError(LesionSearchError):
    """A category that the detector in use has not learnt."""


def load_detector(path: Path | None = None, *, every_proposal: bool = False) -> SliceDetector:
    """The detector of a file, or the bundled one; raises DetectorError.

    With ``every_proposal`` it keeps the unlikely ones too, as scores need them.
    """
    from retrieval.detection.detector import EVERYTHING, LesionDetector

    return LesionDetector.load(path, cut=EVERYTHING if every_proposal else None)


def detector_in_use(
    path: Path | None = None, *, every_proposal: bool = False
) -> SliceDetector | None:
    """The detector that is named, else the bundled one, else none where none is bundled."""
    from retrieval.detection import detector

    if path is None and not detector.BUNDLED_DETECTOR.is_file():
        return None
    return load_detector(path, every_proposal=every_proposal)


def of_one_kind(detector: SliceDetector, wanted: str) -> SliceDetector:
    """The detector with its proposals of one category or lesion type alone.

    Raises DetectorKindError: the detector has not learnt it.
    """
    kinds: tuple[str, ...] = getattr(detector, "kinds", ())
    if wanted in kinds:
        return OneKind(detector, wanted)
    known = f"it has learnt {', '.join(kinds)}" if kinds else "it has one class: lesion"
    raise DetectorKindError(
        f"detector {detector.name} proposes no {wanted!r}: {known}. Train one on a file of "
        "`lesion-search categorize` with --set data.categories=FILE"
    )
