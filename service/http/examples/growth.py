"""An example of a forecast."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

OUTLOOK: dict[str, Any] = {
    "days": None,
    "median": 18.7,
    "median_pct": 1.6,
    "ranges": [{"level_pct": 80, "low": 15.2, "high": 22.6, "low_pct": -17.4, "high_pct": 22.8}],
    "growth_probability": 0.12,
    "growth_pct": 20.0,
    "shrinkage_probability": 0.03,
    "shrinkage_pct": 30.0,
}


def forecast_example(lesion: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    """The document of ``GET /v1/lesions/{id}/forecast`` for a lesion and one neighbour."""
    return {
        "notice": "Research use only. Not a medical device; not for diagnosis or treatment.",
        "caveats": ["Treatment is not known."],
        "lesion": lesion,
        "state": "forecast",
        "reason": None,
        "measure": "long_mm",
        "horizon": {"kind": "next study", "days": None},
        "course": [
            {
                "study_id": lesion["study_id"],
                "study_date": lesion["study_date"],
                "lesion_ids": [lesion["lesion_id"]],
                "days": 0.0,
                "size": 18.4,
            }
        ],
        "left_out": [],
        "outlook": OUTLOOK,
        "fan": [OUTLOOK],
        "doubling_time": None,
        "neighbours": {
            "count": 31,
            "effective": 22.4,
            "cases": [
                {
                    "lesion_id": other["lesion_id"],
                    "patient_id": other["patient_id"],
                    "lesion_type": "liver",
                    "weight": 0.06,
                    "similarity": 0.912,
                    "change_pct": 9.4,
                    "days": None,
                    "course": [
                        {
                            "study_id": other["study_id"],
                            "lesion_id": other["lesion_id"],
                            "step": 0,
                            "days": None,
                            "size": 20.2,
                            "ratio": 1.0,
                        }
                    ],
                }
            ],
        },
        "components": [{"name": "neighbours", "weight": 0.29, "outlook": OUTLOOK, "note": ""}],
        "population": {
            "outlook": OUTLOOK,
            "fitted_on": "Deep Longitudinal Study",
            "steps": 423,
            "patients": 102,
        },
        "warnings": [],
    }
