"""An example of a response by measured volumes."""

from __future__ import annotations

from typing import Any

from retrieval.tracking.response.volumes import BASIS

VOLUMES_EXAMPLE: dict[str, Any] = {
    "basis": BASIS,
    "baseline_sum_mm3": 2210.0,
    "studies": [
        {
            "study_id": "000123_03",
            "sum_mm3": 1010.0,
            "change_from_baseline_pct": -54.3,
            "change_from_nadir_pct": -54.3,
            "change": "within the bounds",
            "not_measured_tracks": [],
        }
    ],
    "tracks": [
        {
            "track_id": "T1",
            "points": [
                {
                    "study_id": "000123_02",
                    "study_date": "2024-05-17",
                    "lesion_ids": ["000123_02_01_109_x226_y204"],
                    "volume_mm3": 2210.0,
                    "interval_90": [1630.0, 3010.0],
                    "change_pct": None,
                },
                {
                    "study_id": "000123_03",
                    "study_date": "2024-08-20",
                    "lesion_ids": ["000123_03_01_101_x224_y207"],
                    "volume_mm3": 1010.0,
                    "interval_90": [740.0, 1380.0],
                    "change_pct": -54.3,
                },
            ],
        }
    ],
}
