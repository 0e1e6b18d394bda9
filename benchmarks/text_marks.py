"""Words with a place and the detector's box: how likely a box must be, by how far from the words.

    python benchmarks/text_marks.py --archive pasted --archive sarcoma --archive phantom \
        --archive deeplesion_windowed

Every lesion with two diameters on key slices of the archives' validation split (of an archive
without one: all) is told in words: its diameters to the millimetre, at its middle or beside its
edge, 5, 15 and 30 mm away to the four sides. A proposed box is right where it overlaps the lesion
by an IoU of 0.5. Printed for pairs of least scores (near the words, and farther than 5 mm): how
many are right, wrong and refused. Never give it the archives that docs/mining.md has scores of.
Writes benchmarks/results/text_marks.json.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from unittest.mock import patch

import torch

from retrieval.detection.detector import LesionDetector
from retrieval.evaluation.detection.key_slices import key_slices
from retrieval.lesion import BOX_PADDING_PX, Box, Lesion, Split
from retrieval.sources.archive import Archive, open_archive
from retrieval.sources.marks.mark import Carrier, ImageReference, Mark, MarkKind
from retrieval.sources.marks.verdicts import JudgedMark, Verdict
from retrieval.sources.mining import proposing
from retrieval.sources.mining.proposing import NoProposalError, SizedBox, chosen

RESULT = Path(__file__).parent / "results" / "text_marks.json"
RIGHT_IOU = 0.5
BESIDE_MM = (5.0, 15.0, 30.0)
SIDES = ((1, 0), (-1, 0), (0, 1), (0, -1))
SCORES = (0.05, 0.1, 0.2, 0.3, 0.5, 0.7)


@dataclass(frozen=True)
class Told:
    """A lesion, the boxes on its key slice and the spacing of that."""

    lesion: Lesion
    boxes: tuple[SizedBox, ...]
    spacing_mm_px: tuple[float, float]

    def words(self, point: tuple[float, float]) -> JudgedMark:
        """Its diameters, to the millimetre, at a place."""
        mark = Mark("w", Carrier.SR, MarkKind.TEXT, ImageReference("1", "2", "3"))
        long_mm, short_mm = self.lesion.long_mm, self.lesion.short_mm
        assert long_mm is not None
        assert short_mm is not None
        sizes = {"long_mm": round(long_mm), "short_mm": round(short_mm)}
        return JudgedMark(mark, Verdict.PROPOSAL_NEEDED, point=point, **sizes)

    def outcome(self, point: tuple[float, float]) -> str:
        """What the rule makes of the words: right, wrong or refused."""
        try:
            found = chosen(self.words(point), self.boxes, self.spacing_mm_px)
        except NoProposalError:
            return "refused"
        return "right" if found.box.iou(self.lesion.box) >= RIGHT_IOU else "wrong"


def main() -> None:
    """Detects, chooses under every pair of scores, prints and writes."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--archive", type=Path, action="append", required=True)
    parser.add_argument("--most", type=int, default=40, help="key slices of an archive")
    parser.add_argument("--out", type=Path, default=RESULT)
    given = parser.parse_args()
    torch.set_num_threads(1)
    detector = LesionDetector.load()
    results: dict[str, object] = {}
    everyone: list[Told] = []
    for folder in given.archive:
        told = list(_told(open_archive(folder), detector, given.most))
        everyone += told
        results[folder.name] = {"lesions": len(told), "scores": _pairs(told)}
    results["all"] = {"lesions": len(everyone), "scores": _pairs(everyone)}
    document = {"detector": detector.fingerprint, "archives": results}
    given.out.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    print(json.dumps(document, indent=1))


def _told(archive: Archive, detector: LesionDetector, most: int) -> Iterator[Told]:
    has_validation = any(one.split is Split.VALIDATION for one in archive.lesions)
    slices = key_slices(archive, (Split.VALIDATION,) if has_validation else ())
    for image in slices[:: max(1, len(slices) // most)][:most]:
        slab = archive.slab(image.lesions[0], half_depth_mm=detector.half_depth_mm)
        boxes = tuple(
            SizedBox(one.box, one.score, one.long_mm)
            for one in detector.detect(slab)
            if one.long_mm is not None
        )
        for lesion in image.lesions:
            if lesion.long_mm is not None and lesion.short_mm is not None:
                yield Told(lesion, boxes, archive.source(lesion).spacing_mm_px)


def _pairs(told: list[Told]) -> dict[str, dict[str, dict[str, int]]]:
    """Outcomes under "near score / far score", at the middle and at each distance."""
    found = {}
    for near, far in product(SCORES[:4], SCORES):
        if far < near:
            continue
        with patch.multiple(proposing, LEAST_SCORE=near, LEAST_FAR=far):
            found[f"{near} / {far}"] = {
                name: dict(Counter(one.outcome(point) for one, point in asked))
                for name, asked in _placed(told).items()
            }
    return found


def _placed(told: list[Told]) -> dict[str, list[tuple[Told, tuple[float, float]]]]:
    places = {"middle": [(one, one.lesion.box.center) for one in told]}
    for away_mm in BESIDE_MM:
        places[f"{away_mm:g} mm"] = [
            (one, _beside(one.lesion.box, one.spacing_mm_px, side, away_mm))
            for one in told
            for side in SIDES
        ]
    return places


def _beside(
    box: Box, spacing_mm_px: tuple[float, float], side: tuple[int, int], away_mm: float
) -> tuple[float, float]:
    (x, y), (x_mm, y_mm) = box.center, spacing_mm_px
    half_x, half_y = box.width / 2 - BOX_PADDING_PX, box.height / 2 - BOX_PADDING_PX
    return x + side[0] * (half_x + away_mm / x_mm), y + side[1] * (half_y + away_mm / y_mm)


if __name__ == "__main__":
    main()
