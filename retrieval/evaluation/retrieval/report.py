"""RetrievalReport: scores with intervals, each beside its baselines; JSON, table rows, Markdown."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from retrieval.evaluation.reporting.tables import NOTICE, ReportTable, ReportText
from retrieval.evaluation.stats.intervals import Estimate


@dataclass(frozen=True)
class Score:
    """One score of every method.

    Attributes:
        section: what was asked, such as ``similar lesions by type``.
        name: the metric, with its unit.
        higher_is_better: which way is up; None where a number only describes.
        estimates: method name to its estimate, baselines first, the encoder last.
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
        encoder: the encoder's name, None when only baselines were measured.
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

    def text(self) -> ReportText:
        """One table a section: methods down, scores across."""
        headline = (
            f"Archive {self.archive}: {self.lesions} lesions ({self.typed_lesions} of known type) "
            f"of {self.patients} patients; split: {self.split}. Encoder {self.encoder or 'none'}."
        )
        sections = dict.fromkeys(score.section for score in self.scores)
        return ReportText(headline, tuple(map(self._section, sections)), (NOTICE,))

    def _section(self, section: str) -> ReportTable:
        scores = [score for score in self.scores if score.section == section]
        methods = {
            method: {s.name: s.estimates[method] for s in scores if method in s.estimates}
            for method in self.methods
            if any(method in score.estimates for score in scores)
        }
        counts = {e.queries for score in scores for e in score.estimates.values()}
        asked = f"{min(counts)}" if len(counts) == 1 else f"{min(counts)} to {max(counts)}"
        table = ReportTable.of_methods(section, methods, [score.name for score in scores])
        return replace(table, note=f"{asked} queries.")
