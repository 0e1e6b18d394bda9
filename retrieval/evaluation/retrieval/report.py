"""RetrievalReport: scores with intervals, each beside its floors; JSON, table rows, Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from retrieval.evaluation.stats.intervals import Estimate


@dataclass(frozen=True)
class Score:
    """One score of every method.

    Attributes:
        section: what was asked, such as ``similar lesions by type``.
        name: the metric, with its unit.
        higher_is_better: which way is up; None where a number only describes.
        estimates: method name to its estimate, floors first, the encoder last.
    """

    section: str
    name: str
    higher_is_better: bool | None
    estimates: Mapping[str, Estimate]

    def to_json(self) -> dict[str, Any]:
        """Plain JSON values."""
        return {
            "section": self.section,
            "name": self.name,
            "higher_is_better": self.higher_is_better,
            "methods": {method: value.to_json() for method, value in self.estimates.items()},
        }


@dataclass(frozen=True)
class RetrievalReport:
    """What an evaluation found.

    Attributes:
        archive: the archive's name, never a path.
        encoder: the encoder's name, None when only floors were measured.
        split: the split protocol's name.
        lesions, typed_lesions, patients: how many were there.
        scores: every score, in the order of printing.
        settings: numbers that are needed to repeat it (seed, resamples).
    """

    archive: str
    encoder: str | None
    split: str
    lesions: int
    typed_lesions: int
    patients: int
    scores: tuple[Score, ...]
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def methods(self) -> list[str]:
        """Every method that has any score, in order of first appearance."""
        return list(dict.fromkeys(name for score in self.scores for name in score.estimates))

    def score(self, section: str, name: str) -> Score:
        """One score; raises KeyError naming what there is."""
        for score in self.scores:
            if (score.section, score.name) == (section, name):
                return score
        raise KeyError(
            f"no score {name!r} in {section!r}: {[(s.section, s.name) for s in self.scores]}"
        )

    def rows(self) -> list[tuple[str, str, dict[str, str]]]:
        """(section, score, method to text) for a printed table."""
        return [
            (score.section, score.name, {m: e.text() for m, e in score.estimates.items()})
            for score in self.scores
        ]

    def to_json(self) -> dict[str, Any]:
        """One JSON document."""
        return {
            "archive": self.archive,
            "encoder": self.encoder,
            "split": self.split,
            "lesions": self.lesions,
            "typed_lesions": self.typed_lesions,
            "patients": self.patients,
            "settings": dict(self.settings),
            "scores": [score.to_json() for score in self.scores],
        }

    def to_markdown(self) -> str:
        """One table a section: methods down, scores across."""
        sections = dict.fromkeys(score.section for score in self.scores)
        return "\n".join(self._section_table(section) for section in sections)

    def _section_table(self, section: str) -> str:
        scores = [score for score in self.scores if score.section == section]
        methods = [m for m in self.methods if any(m in score.estimates for score in scores)]
        counts = {e.queries for score in scores for e in score.estimates.values()}
        asked = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
        lines = [
            f"### {section[:1].upper()}{section[1:]}",
            "",
            f"{asked} queries.",
            "",
            "| method | " + " | ".join(score.name for score in scores) + " |",
            "| --- " * (len(scores) + 1) + "|",
        ]
        for method in methods:
            cells = [
                score.estimates[method].text() if method in score.estimates else "-"
                for score in scores
            ]
            lines.append(f"| {method} | " + " | ".join(cells) + " |")
        return "\n".join([*lines, ""])
