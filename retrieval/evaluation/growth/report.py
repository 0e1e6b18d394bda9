"""GrowthReport: every method's scores by section, and what must stand beside them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retrieval.evaluation.reporting.tables import NOTICE, ReportTable, ReportText
from retrieval.evaluation.stats.intervals import Estimate
from retrieval.tracking.growth.answers import CAVEATS

SHOWN = (
    "crps",
    "error",
    "coverage_50",
    "coverage_80",
    "coverage_95",
    "brier_growth",
    "auc_growth",
)


@dataclass(frozen=True, slots=True)
class GrowthSection:
    """The scores of some steps.

    Attributes:
        steps, patients: how many.
        growth: the share of steps with relevant growth.
        methods: method -> score -> estimate.
        gains: by how much the forecast's CRPS is lower than others', on the steps both answer.
        size_auc: the AUC of growth by the size alone, the smaller the likelier.
    """

    steps: int
    patients: int
    growth: float
    methods: Mapping[str, Mapping[str, Estimate]]
    gains: Mapping[str, Estimate]
    size_auc: Estimate

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "steps": self.steps,
            "patients": self.patients,
            "growth_share": None if math.isnan(self.growth) else self.growth,
            "methods": {
                method: {name: one.to_json() for name, one in scores.items()}
                for method, scores in self.methods.items()
            },
            "gains": {name: one.to_json() for name, one in self.gains.items()},
            "auc_growth_by_size_alone": self.size_auc.to_json(),
        }


@dataclass(frozen=True, slots=True)
class GrowthReport:
    """What an evaluation of forecasts found.

    Attributes:
        source: the archive's or file's name, never a path.
        patients, lesions, steps: how many had a later study.
        abstained: steps without a forecast, for want of eight similar lesions.
        dated: steps with dates.
        sections: title -> scores.
        verdict: which ranges are too narrow or too wide, in words.
        left_out: what could not be used, by reason.
        settings: numbers that are needed to repeat it.
    """

    source: str
    patients: int
    lesions: int
    steps: int
    abstained: int
    dated: int
    sections: Mapping[str, GrowthSection]
    verdict: tuple[str, ...]
    left_out: Mapping[str, int]
    settings: Mapping[str, Any] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "notice": NOTICE,
            "caveats": list(CAVEATS),
            "source": self.source,
            "patients": self.patients,
            "lesions": self.lesions,
            "steps": self.steps,
            "abstained": self.abstained,
            "dated_steps": self.dated,
            "settings": dict(self.settings),
            "left_out": dict(self.left_out),
            "verdict": list(self.verdict),
            "sections": {title: one.to_json() for title, one in self.sections.items()},
        }

    def text(self) -> ReportText:
        """A table of methods for each section, and one of gains."""
        headline = (
            f"{self.source}: {self.steps} steps of {self.lesions} lesions, {self.patients} "
            f"patients; {self.abstained} without a forecast, {self.dated} dated. Scores are in "
            "the natural logarithm of the size."
        )
        tables = []
        for title, section in self.sections.items():
            note = (
                f"{section.steps} steps of {section.patients} patients, "
                f"{100 * section.growth:.1f} % with growth of 20 % or more; AUC by size alone "
                f"{section.size_auc.text()}."
            )
            rows = (
                (method, *(scores.get(name, "-") for name in SHOWN))
                for method, scores in section.methods.items()
                if scores
            )
            tables.append(ReportTable(title, ("method", *SHOWN), tuple(rows), note))
            gains = tuple((name, one) for name, one in section.gains.items())
            tables.append(ReportTable(f"{title}: gains", ("gain", "log size"), gains))
        told = self.verdict or ("No range is found to be too narrow or too wide.",)
        left = [f"Left out, {why}: {count}." for why, count in self.left_out.items()]
        return ReportText(headline, tuple(tables), (*told, *left, *CAVEATS, NOTICE))
