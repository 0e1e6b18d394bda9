"""TrackingReport: every method's matching scores, with and without known locations."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from retrieval.evaluation.reporting.tables import NOTICE, ReportTable, ReportText
from retrieval.evaluation.tracking.matching import CalibrationBin, MatchingScores

MATCHER = "matcher"
"""The method that is measured as it ships, beside those fitted in folds."""


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

    def text(self) -> ReportText:
        """Two tables a section: methods down, scores across; and the matcher's calibration."""
        headline = (
            f"Archive {self.archive}: {self.patients} patients, {self.lesions} lesions, "
            f"{self.pairs} pairs of the same lesion. Encoder {self.encoder}."
        )
        tables: list[ReportTable] = []
        for section, methods in self.sections.items():
            estimates = {method: scores.estimates for method, scores in methods.items()}
            names = list(next(iter(estimates.values())))
            tables.append(ReportTable.of_methods(section, estimates, names))
            if MATCHER in methods:
                tables.append(_calibration(methods[MATCHER].calibration, section))
        left_out = [f"Lesions left out, {why}: {count}." for why, count in self.left_out.items()]
        return ReportText(headline, tuple(tables), (*left_out, NOTICE))


def _calibration(bins: Sequence[CalibrationBin], section: str) -> ReportTable:
    rows = tuple(
        (
            f"{one.low:.1f} to {one.high:.1f}",
            f"{one.pairs}",
            f"{one.mean_score:.3f}",
            f"{one.true_share:.3f}",
        )
        for one in bins
    )
    heads = ("matcher's score", "pairs", "mean score", "truly the same")
    return ReportTable(f"{section}: calibration of the matcher", heads, rows)
