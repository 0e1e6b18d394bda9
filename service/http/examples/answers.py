"""An example of each answer by the name of its model: shown in OpenAPI, checked by the tests."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from service.figures.vocabulary import vocabulary
from service.http.examples.capabilities import CAPABILITIES_EXAMPLE
from service.http.examples.following import follow_example, searches_example
from service.http.examples.growth import forecast_example
from service.http.examples.measured import VOLUMES_EXAMPLE
from service.http.examples.mining import MINED_MARKS_EXAMPLE, MINING_EXAMPLE
from service.http.schemas.measuring import KEPT_MASK_EXAMPLE, MEASURE_EXAMPLE, MEASURED_EXAMPLE
from service.http.schemas.vocabulary import VocabularyOut

LESION: dict[str, Any] = {
    "lesion_id": "000123_02_01_109_x226_y204",
    "patient_id": "000123",
    "study_id": "000123_02",
    "series_id": "000123_02_01",
    "key_slice_index": 109,
    "box": [210.0, 188.0, 243.0, 221.0],
    "long_mm": 18.4,
    "short_mm": 14.1,
    "location": [0.31, 0.52, 0.44],
    "location_error": None,
    "lesion_type": "liver",
    "split": "test",
    "study_date": "2024-05-17",
    "tags": [{"term": "calcified", "probability": 1.0, "source": "given"}],
    "category": None,
    "measured": MEASURED_EXAMPLE,
}
OTHER = {
    **LESION,
    "lesion_id": "000877_01_02_064_x180_y231",
    "patient_id": "000877",
    "study_id": "000877_01",
    "series_id": "000877_01_02",
    "key_slice_index": 64,
    "long_mm": 20.2,
    "study_date": None,
    "tags": [],
    "category": None,
    "measured": None,
}
LATER = {
    **LESION,
    "lesion_id": "000123_03_01_101_x224_y207",
    "study_id": "000123_03",
    "series_id": "000123_03_01",
    "key_slice_index": 101,
    "long_mm": 13.9,
    "study_date": "2024-08-20",
}
CANDIDATE = {"box": [210.0, 188.0, 243.0, 221.0], "score": 0.9, "long_mm": 18.6, "category": None}
TIMING = {"read": 6.1, "detect": 0.0, "patch": 2.4, "encode": 18.2, "search": 1.3, "total": 28.0}
TERMS: dict[str, Any] = {
    "similarity": 0.86,
    "in_plane_mm": 4.2,
    "height_mm": 6.0,
    "location_error_mm": 0.0,
    "location_source": "given",
    "log_size_ratio": -0.28,
    "same_type": True,
    "contributions": {"intercept": 0.4, "similarity": 2.1},
}
STACK = {
    "slices": 61,
    "rows": 512,
    "columns": 512,
    "spacing_mm_px": [0.8, 0.8],
    "slice_interval_mm": 5.0,
    "first_slice_index": 79,
    "key_slice_index": 109,
    "feet_first": False,
}

WORD_HIT: dict[str, Any] = {
    "rank": 1,
    "similarity": 0.41,
    "terms": {"same_type": None, "size_ratio": None, "location_distance": None},
    "lesion": OTHER,
    "match": 0.98,
    "words": [
        {
            "term": "calcified",
            "role": "must",
            "probability": 0.98,
            "source": "given",
            "words": "tagged in the archive",
        }
    ],
}
WORDS: dict[str, Any] = {
    "text": "calcified, wibble",
    "chips": [
        {
            "role": "must",
            "label": "calcified",
            "term": "calcified",
            "words": "calcified",
            "text_without": "wibble",
        }
    ],
    "unknown": [{"word": "wibble", "nearest": []}],
}

EXAMPLES: dict[str, dict[str, Any]] = {
    "LesionOut": LESION,
    "SimilarityScaleOut": {
        "levels": [0.0, 50.0, 100.0],
        "pairs": [-0.41, 0.08, 0.94],
        "nearest": [0.31, 0.62, 0.94],
        "lesions": 400,
    },
    "LesionPage": {"lesions": [LESION], "next_after": LESION["lesion_id"]},
    "SearchOut": {
        "box": LESION["box"],
        "box_source": "given",
        "grid": "file",
        "candidates": [],
        "hits": [
            {
                "rank": 1,
                "similarity": 0.912,
                "terms": {"same_type": True, "size_ratio": 1.098, "location_distance": 0.07},
                "lesion": OTHER,
            }
        ],
        "follow_ups": [
            {
                "study_id": LATER["study_id"],
                "role": "current",
                "state": "persistent",
                "similarity": 0.86,
                "score": 0.97,
                "change_mm": -4.5,
                "change_pct": -24.5,
                "terms": TERMS,
                "notes": [],
                "lesion": LATER,
            }
        ],
        "encoder": {"name": "dlg-small", "fingerprint": "0123456789abcdef", "dimension": 256},
        "index": {"lesions": 32735},
        "timing_ms": TIMING,
        "warnings": [],
        "recognised": {"lesion_id": LESION["lesion_id"], "iou": 0.93},
        "location": LESION["location"],
        "location_error": None,
    },
    "DetectOut": {
        "grid": "file",
        "warnings": [],
        "candidates": [CANDIDATE],
        "detector": {"name": "fcos-small", "fingerprint": "fedcba9876543210"},
        "key_slice_index": 109,
        "timing_ms": {**TIMING, "detect": 310.0, "total": 316.1},
    },
    "UploadOut": {
        **STACK,
        "upload_id": "9f86d081884c7d659a2feaa0c55ad015",
        "identity": {
            "patient_id": "000123",
            "study_id": "000123_02",
            "study_date": None,
            "series_id": "000123_02_01",
            "series_name": None,
            "source": "file_name",
            "indexed_lesions": 2,
            "reportable": False,
        },
        "grid": "file",
        "warnings": [],
        "expires_in_s": 1800.0,
    },
    "CapabilitiesOut": CAPABILITIES_EXAMPLE,
    "LesionSlicesOut": {**STACK, "box": LESION["box"]},
    "PatientPage": {
        "patients": [{"patient_id": "000123", "studies": 3, "lesions": 7}],
        "next_after": "000123",
    },
    "MapOut": {
        "method": "pca",
        "total": 32735,
        "points": [
            {
                "lesion_id": LESION["lesion_id"],
                "x": 0.412,
                "y": 0.733,
                "lesion_type": "liver",
                "long_mm": 18.4,
                "patient_id": "000123",
                "category": None,
            }
        ],
    },
    "TracksOut": {
        "notice": "Research use only. Not a medical device; not for diagnosis or treatment.",
        "patient_id": "000123",
        "ordered_by": "study_date",
        "studies": [
            {"study_id": "000123_02", "study_date": "2024-05-17", "marks": "complete"},
            {"study_id": "000123_03", "study_date": "2024-08-20", "marks": "incomplete"},
        ],
        "tracks": [
            {
                "track_id": "000123-1",
                "new_in": None,
                "vanished_in": None,
                "merged_into": None,
                "split_from": None,
                "lesions": [LESION, LATER],
            }
        ],
        "links": [
            {
                "earlier": LESION["lesion_id"],
                "later": LATER["lesion_id"],
                "state": "matched",
                "score": 0.97,
                "terms": TERMS,
            }
        ],
        "timeline": {
            "rows": [
                {
                    "track_id": "000123-1",
                    "cells": [
                        {
                            "study_id": "000123_02",
                            "word": "",
                            "tone": "sure",
                            "lesion_ids": [LESION["lesion_id"]],
                            "change_pct": None,
                            "notes": [],
                        },
                        {
                            "study_id": "000123_03",
                            "word": "",
                            "tone": "sure",
                            "lesion_ids": [LATER["lesion_id"]],
                            "change_pct": -24.5,
                            "notes": [],
                        },
                    ],
                    "lines": [
                        {
                            "earlier": LESION["lesion_id"],
                            "later": LATER["lesion_id"],
                            "tone": "sure",
                            "state": "matched",
                            "score": 0.97,
                        }
                    ],
                }
            ],
            "joins": [],
        },
        "response": {
            "notice": "Research use only. Not a medical device; not for diagnosis or treatment.",
            "guideline": "RECIST 1.1",
            "policy": {"nodes": "by_tag", "organs": "lesion_type", "marks": "partly complete"},
            "not_assessed": "non-target lesions",
            "patient_id": "000123",
            "ordered_by": "study_date",
            "baseline_study": "000123_02",
            "baseline_sum_mm": 18.4,
            "targets": [],
            "studies": [],
            "growth": [],
            "volumes": VOLUMES_EXAMPLE,
        },
        "warnings": [],
    },
    "MarksIn": {"patient_id": "000123", "study_id": "000123_02", "complete": True},
    "MarksOut": {"patient_id": "000123", "study_id": "000123_02", "marks": "complete"},
    "MatchIn": {
        "lesion_a": LESION["lesion_id"],
        "lesion_b": LATER["lesion_id"],
        "decision": "confirm",
    },
    "MatchOut": {
        "lesion_a": LESION["lesion_id"],
        "lesion_b": LATER["lesion_id"],
        "verdict": "confirmed",
    },
    "VocabularyOut": VocabularyOut.model_validate(asdict(vocabulary())).model_dump(mode="json"),
    "ForecastOut": forecast_example(LESION, OTHER),
    "FollowOut": follow_example(LESION, LATER, TERMS),
    "KeptSearchesOut": searches_example(LESION, LATER),
    "MeasureOut": MEASURE_EXAMPLE,
    "KeptMaskOut": KEPT_MASK_EXAMPLE,
    "Health": {"status": "ok"},
    "Readiness": {"status": "ready", "lesions": 32735},
    "MiningOut": MINING_EXAMPLE,
    "MinedMarksOut": MINED_MARKS_EXAMPLE,
    "Problem": {
        "type": "about:blank",
        "title": "Unprocessable Content",
        "status": 422,
        "detail": "box '1,2,3' has 3 numbers: write x1,y1,x2,y2",
        "request_id": "b6b4c0a1f2d04e3a9c55ad0159f86d08",
    },
}
EXAMPLES["WordSearchOut"] = {**EXAMPLES["SearchOut"], "hits": [WORD_HIT], "words": WORDS}
