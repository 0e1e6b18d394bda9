"""TrackingReport: every method's matching scores, with and without known locations."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from retrieval.evaluation.tracking.matching import MatchingScores

MATCHER = "matcher"
"""The method that is measured as it ships, beside those fitted in folds."""

NOTICE = "Research use only. Not a medical device; not for diagnosis or treatment."


@dataclass(frozen=True, slots=True)
class TrackingReport:
    """What an evaluation of tracking found.

    Attributes:
        archive: the archive's name, never a path.
        encoder: the encoder's name.
        patients, lesions, pairs: how many were there; pairs are those of the same lesion.
        left_out: lesions that could not be used, by reason.
        sections: what was known of locations -> method -> scores, baselines first.
        settings: numbers that are needed to repeat it.
    """

    archive: str
    encoder: str
    patients: int
    lesions: int
    pairs: int
    left_out: Mapping[str, int]
    sections: Mapping[str, Mapping[str, MatchingScores]]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "notice": NOTICE,
            "archive": self.archive,
            "encoder": self.encoder,
            "patients": self.patients,
            "lesions": self.lesions,
            "pairs": self.pairs,
            "left_out": dict(self.left_out),
            "settings": dict(self.settings),
            "sections": {
                section: {
                    method: {
                        "scores": {n: e.to_json() for n, e in scores.estimates.items()},
                        "calibration": [asdict(one) for one in scores.calibration],
                    }
                    for method, scores in methods.items()
                }
                for section, methods in self.sections.items()
            },
        }

    def to_markdown(self) -> str:
        """Two tables a section: methods down, scores across; and the matcher's calibration."""
        lines = [
            f"Archive {self.archive}: {self.patients} patients, {self.lesions} lesions, "
            f"{self.pairs} pairs of the same lesion. Encoder {self.encoder}. {NOTICE}",
            "",
        ]
        for section, methods in self.sections.items():
            names = list(next(iter(methods.values())).estimates)
            lines += [f"### {section[:1].upper()}{section[1:]}", ""]
            lines += ["| method | " + " | ".join(names) + " |"]
            lines += ["| --- " * (len(names) + 1) + "|"]
            for method, scores in methods.items():
                cells = [scores.estimates[name].text() for name in names]
                lines.append(f"| {method} | " + " | ".join(cells) + " |")
            lines += ["", *_calibration_lines(methods)]
        return "\n".join(lines)


def _calibration_lines(methods: Mapping[str, MatchingScores]) -> list[str]:
    lines = [
        "| matcher's score | pairs | mean score | truly the same |",
        "| --- | --- | --- | --- |",
    ]
    for one in methods[MATCHER].calibration if MATCHER in methods else ():
        lines.append(
            f"| {one.low:.1f} to {one.high:.1f} | {one.pairs} | {one.mean_score:.3f} "
            f"| {one.true_share:.3f} |"
        )
    return [*lines, ""] if MATCHER in methods else []
