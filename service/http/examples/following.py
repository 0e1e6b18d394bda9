"""Examples of a lesion found again, and of the searches that an index keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def follow_example(
    lesion: Mapping[str, Any], later: Mapping[str, Any], terms: Mapping[str, Any]
) -> dict[str, Any]:
    """A lesion found in a later study."""
    return {
        "notice": "Research use only. Not a medical device; not for diagnosis or treatment.",
        "lesion_id": lesion["lesion_id"],
        "study_id": later["study_id"],
        "study_date": None,
        "state": "found",
        "grid": "file",
        "box": later["box"],
        "key_slice_index": 101,
        "score": 0.91,
        "probability_there": 0.95,
        "similarity": 0.86,
        "candidates": [
            {
                "box": later["box"],
                "key_slice_index": 101,
                "score": 0.91,
                "similarity": 0.86,
                "long_mm": 13.9,
                "detector_score": 0.71,
                "terms": dict(terms),
            }
        ],
        "expected": {
            "location": [0.31, 0.52, 0.45],
            "error": [0.0006, 0.023, 0.025],
            "source": "both series",
        },
        "covered": {
            "slices": [88, 115],
            "z": [0.39, 0.51],
            "series_z": [0.2, 0.75],
            "share": 1.0,
            "boxes": 402,
        },
        "warnings": [],
        "kept": True,
        "accepted": None,
    }


def searches_example(lesion: Mapping[str, Any], later: Mapping[str, Any]) -> dict[str, Any]:
    """A lesion that was looked for in a later study and not found."""
    return {
        "patient_id": lesion["patient_id"],
        "searches": [
            {
                "lesion_id": lesion["lesion_id"],
                "study_id": later["study_id"],
                "state": "not found",
                "share": 0.99,
                "probability_there": 0.04,
                "slices": [88, 115],
                "boxes": 402,
                "study_date": later["study_date"],
                "series": "0123456789abcdef",
                "model": "0123456789abcdef/fedcba9876543210",
                "searched_at": "2024-08-21T10:15:00+00:00",
                "score": None,
                "key_slice_index": None,
                "box": None,
                "is_evidence": True,
            }
        ],
    }
