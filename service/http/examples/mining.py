"""Examples of the answers of mining."""

from __future__ import annotations

MINING_EXAMPLE = {
    "state": "done",
    "source": "pacs",
    "done": 412,
    "total": 412,
    "started": "2026-03-02T08:15:00Z",
    "ended": "2026-03-02T09:02:41Z",
    "error": None,
    "report": {
        "lesions": 1312,
        "patients": 412,
        "tracks": 205,
        "marks": 1731,
        "verdicts": {"kept": 1298, "proposed": 14, "single line": 251, "anatomy": 168},
        "patients_mined_now": 12,
        "patients_failed": 0,
    },
    "sheet": "/v1/mining/sheet.png",
    "tiles": {
        "columns": 6,
        "tile_px": 224,
        "pitch_px": 258,
        "top_px": 60,
        "captions": [{"verdict": "kept", "words": "16.0 x 8.8 mm"}],
    },
}

MINED_MARKS_EXAMPLE = {
    "total": 251,
    "marks": [
        {
            "mark_id": "gsps-4be1f0a2c3d4e5f60718",
            "verdict": "single line",
            "reason": "a line without a perpendicular partner",
            "carrier": "gsps",
            "kind": "line",
            "patient": "P6ee1c2",
            "lesion_id": None,
        }
    ],
    "next_after": 100,
}
