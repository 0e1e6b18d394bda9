"""The detector in use: the one that is named, the bundled one, or none."""

from __future__ import annotations

from pathlib import Path

from retrieval.detection.proposals import SliceDetector


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
