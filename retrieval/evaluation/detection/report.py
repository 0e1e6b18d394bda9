"""DetectionReport: every method's FROC scores, baselines beside the detector; JSON and Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retrieval.evaluation.detection.froc import ALL, FrocScores, Rates
from retrieval.evaluation.reporting.tables import NOTICE, Cell, ReportTable, ReportText


@dataclass(frozen=True, slots=True)
class DetectionReport:
    """What an evaluation of detection found.

    Attributes:
        protocol: what was scored by which rule, in one line.
        source: the archive's or the truth file's name, never a path.
        detector: the name of what was measured.
        unit: what false positives are counted on: ``key slice`` or ``sub-volume``.
        images, lesions, patients: how many there were.
        left_out: what was not scored, by reason.
        rates: where the curves are read.
        methods: name to scores, baselines first, the detector last.
        settings: numbers that are needed to repeat it.
    """

    protocol: str
    source: str
    detector: str
    unit: str
    images: int
    lesions: int
    patients: int
    left_out: Mapping[str, int]
    rates: Rates
    methods: Mapping[str, FrocScores]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def headline(self) -> str:
        """What was measured, in one line."""
        return (
            f"{self.source}: {self.lesions} lesions on {self.images} {self.unit}s of "
            f"{self.patients} patients. {self.protocol}. Detector {self.detector}."
        )

    @property
    def group_columns(self) -> tuple[str, ...]:
        """Which columns are shown of groups of lesions."""
        last_averaged = f"at {self.rates.averaged[-1]:g} FP"
        return (self.rates.mean_name, last_averaged)

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "notice": NOTICE,
            "protocol": self.protocol,
            "source": self.source,
            "detector": self.detector,
            "unit": self.unit,
            "images": self.images,
            "lesions": self.lesions,
            "patients": self.patients,
            "left_out": dict(self.left_out),
            "settings": dict(self.settings),
            "methods": {name: scores.to_json() for name, scores in self.methods.items()},
        }

    def text(self) -> ReportText:
        """The scores of all lesions, then those of each group of lesions."""
        overall = ReportTable.of_methods(
            f"false positives a {self.unit}",
            {method: scores.overall for method, scores in self.methods.items()},
            self.rates.names,
        )
        groups = self._groups()
        left_out = tuple(f"Left out, {reason}: {count}." for reason, count in self.left_out.items())
        tables = (overall, groups) if groups.rows else (overall,)
        return ReportText(self.headline, tables, (*left_out, NOTICE))

    def _groups(self) -> ReportTable:
        """A row for each group and score, methods across."""
        groups = {name: None for scores in self.methods.values() for name in scores.groups}
        rows: list[tuple[Cell, ...]] = []
        for group in groups:
            if group == ALL:
                continue
            for column in self.group_columns:
                cells = [scores.groups[group][column] for scores in self.methods.values()]
                rows.append((f"{group} ({cells[0].queries})", column, *cells))
        return ReportTable("groups of lesions", ("lesions", "score", *self.methods), tuple(rows))
