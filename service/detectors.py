"""The detector in use: the one that is named, the bundled one, or none."""

from __future__ import annotations

from pathlib import Path

import retrieval.weights
from retrieval.detection.proposals import SliceDetector

BUNDLED_DETECTOR = Path(retrieval.weights.__path__[0]) / "detector.safetensors"


def load_detector(path: Path | None = None) -> SliceDetector:
    """The detector of a file, or the bundled one; raises DetectorError."""
    from retrieval.detection.detector import LesionDetector

    return LesionDetector.load(path)


def detector_in_use(path: Path | None = None) -> SliceDetector | None:
    """The detector that is named, else the bundled one, else none where none is bundled."""
    if path is None and not BUNDLED_DETECTOR.is_file():
        return None
    return load_detector(path)
