"""How well a poisoned hospital was mined: precision, recall, and refusals by their names."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from tests.service.jobs.mining.poison import Expected, rounded


def score_poisoned(out: Path, expected: Expected) -> dict[str, Any]:
    """Precision and recall of an archive mined with ``--own-ids``, and refusals named wrongly."""
    lines = [json.loads(line) for line in (out / "mined.jsonl").read_text().splitlines()]
    wanted = Counter({(uid, rounded(middle)): 1 for uid, middle in expected.lesions})
    kept = [line for line in lines if line["lesion_id"]]
    right = 0
    for line in kept:
        x1, y1, x2, y2 = line["box"]
        near = [
            key
            for key in wanted
            if key[0] == line["sop_uid"]
            and abs(key[1][0] - (x1 + x2) / 2) <= 1
            and abs(key[1][1] - (y1 + y2) / 2) <= 1
            and wanted[key]
        ]
        if near:
            wanted[near[0]] = 0
            right += 1
    wrong = {}
    seen: Counter[str] = Counter()
    for line in lines:
        name = Path(line.get("source", "")).name
        if name in expected.refused:
            seen[name] += 1
            if line["verdict"] not in expected.refused[name].split("|"):
                wrong[name] = line["verdict"]
    return {
        "marks": len(lines),
        "lesions": len(expected.lesions),
        "kept": len(kept),
        "precision": right / max(len(kept), 1),
        "recall": right / len(expected.lesions),
        "refused_files": len(expected.refused),
        "without_verdict": sorted(set(expected.refused) - set(seen)),
        "named_wrongly": wrong,
        "verdicts": dict(Counter(line["verdict"] for line in lines).most_common()),
    }
