"""The answers of one checkout as JSON, to be held against another's: queries, tracks, reports.

    PYTHONPATH=BEFORE python benchmarks/answers.py --archive A --index i --out before.json
    PYTHONPATH=AFTER python benchmarks/answers.py --archive A --index j --out after.json
    python benchmarks/answers.py --compare before.json after.json

The index is built if it is not there. Queries: every lesion by its box on its image as another
patient's, by its RECIST mark or the box's centre, and as an indexed lesion, up to 50. Tracks and
response of every patient, up to 20. The report of ``evaluate retrieval`` without pixel baselines.
Times are left out. The comparison names every place where two documents differ, with how often.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

QUERIES, TRACKS = 50, 20
UNTOLD = {"timing_ms", "seconds", "index"}


def answers(archive_path: Path, index_path: Path) -> dict[str, Any]:
    """Name of a question to its answer."""
    from retrieval.evaluation.retrieval.protocol import RetrievalOptions, evaluate_retrieval
    from retrieval.sources.archive import open_archive
    from service.engine.patient_tracks import report_of
    from service.engine.query import LesionQuery
    from service.engine.search_engine import open_engine

    archive = open_archive(archive_path)
    if not index_path.exists():
        command = ["index", "build", "--archive", str(archive_path), "--out", str(index_path)]
        subprocess.run([sys.executable, "-m", "service.cli", *command], check=True)
    engine = open_engine(index_path)
    found: dict[str, Any] = {}
    for lesion in archive.lesions:
        name = lesion.lesion_id
        found[f"lesion {name}"] = engine.search(LesionQuery(lesion_id=name))
        slab = archive.slab(lesion, half_depth_mm=engine.half_depth_mm(detecting=False))
        box = slab.grid.to_file_box(lesion.box)
        own = {"patient_id": lesion.patient_id, "study_id": f"{lesion.study_id}x"}
        found[f"box {name}"] = engine.search(LesionQuery(box=box, **own), slab)
        found[f"stranger {name}"] = engine.search(LesionQuery(box=box), slab)
    found = dict(list(found.items())[:QUERIES])
    for patient in engine.index.patients()[:TRACKS]:
        found[f"tracks {patient}"] = report_of(engine.index, patient, model=engine.matcher)
    documents = {name: one.to_json() for name, one in found.items()}
    options = RetrievalOptions(resamples=200, stability_lesions=0, pixel_baselines=())
    encoder = engine.encoder
    report = evaluate_retrieval(
        archive, lambda patches: encoder.embed(patches).vectors, encoder.spec, options
    )
    return {**documents, "report": report.to_json()}


def differences(before: Any, after: Any, place: str = "") -> Iterator[str]:
    """Where two documents differ; list places without their numbers."""
    if isinstance(before, dict) and isinstance(after, dict):
        for key in sorted({*before, *after} - UNTOLD):
            if key not in before or key not in after:
                yield f"{place}.{key}: only {'before' if key in before else 'after'}"
            else:
                yield from differences(before[key], after[key], f"{place}.{key}")
    elif isinstance(before, list) and isinstance(after, list) and len(before) == len(after):
        for one, other in zip(before, after, strict=True):
            yield from differences(one, other, f"{place}[]")
    elif before != after:
        yield f"{place}: differs, as {json.dumps(before)[:60]} and {json.dumps(after)[:60]}"


def compare(before: dict[str, Any], after: dict[str, Any]) -> Counter[str]:
    """The kinds of difference, with how often each was seen; its last example is printed."""
    counts: Counter[str] = Counter()
    for name in sorted({*before, *after}):
        for told in differences(before.get(name), after.get(name), name.split()[0]):
            kind = re.sub(r": differs.*", ": differs", told)
            if not counts[kind]:
                print(f"{name}: {told}")
            counts[kind] += 1
    return counts


def main() -> None:
    """Writes the answers, or compares two files of them."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path)
    parser.add_argument("--index", type=Path)
    parser.add_argument("--out", type=Path)
    parser.add_argument("--compare", type=Path, nargs=2)
    asked = parser.parse_args()
    if asked.compare is not None:
        before, after = (json.loads(path.read_text()) for path in asked.compare)
        counts = compare(before, after)
        print(f"{len(before)} and {len(after)} answers")
        print(json.dumps(dict(counts), indent=1))
        return
    asked.out.write_text(json.dumps(answers(asked.archive, asked.index), indent=1))


if __name__ == "__main__":
    main()
