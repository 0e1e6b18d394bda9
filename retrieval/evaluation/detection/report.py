"""DetectionReport: every method's FROC scores, floors beside the detector; JSON and Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retrieval.evaluation.detection.froc import ALL, FrocScores, Rates

NOTICE = "Research use only. Not a medical device; not for diagnosis or treatment."


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
        methods: name to scores, floors first, the detector last.
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

    def group_rows(self) -> list[tuple[str, str, dict[str, str]]]:
        """(group with its number of lesions, column, method to text) for printed tables."""
        groups = {name: None for scores in self.methods.values() for name in scores.groups}
        rows = []
        for group in groups:
            if group == ALL:
                continue
            for column in self.group_columns:
                cells = {m: s.groups[group][column] for m, s in self.methods.items()}
                count = next(iter(cells.values())).queries
                texts = {method: cell.text() for method, cell in cells.items()}
                rows.append((f"{group} ({count})", column, texts))
        return rows

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

    def to_markdown(self) -> str:
        """The scores of all lesions, then those of each group; methods down, scores across."""
        lines = [self.headline, ""]
        lines += [f"Left out, {reason}: {count}." for reason, count in self.left_out.items()]
        lines += [""] if self.left_out else []
        lines += [f"| false positives a {self.unit} | " + " | ".join(self.rates.names) + " |"]
        lines += ["| --- " * (len(self.rates.names) + 1) + "|"]
        for method, scores in self.methods.items():
            cells = [scores.overall[name].text() for name in self.rates.names]
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
        rows = self.group_rows()
        if rows:
            lines += ["", "| lesions | score | " + " | ".join(self.methods) + " |"]
            lines += ["| --- " * (len(self.methods) + 2) + "|"]
            for group, column, texts in rows:
                cells = [texts[method] for method in self.methods]
                lines.append(f"| {group} | {column} | " + " | ".join(cells) + " |")
        return "\n".join([*lines, "", NOTICE, ""])
