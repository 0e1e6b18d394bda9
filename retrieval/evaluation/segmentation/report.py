"""SegmentationReport: means of every score with intervals by patient; JSON and Markdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from retrieval.evaluation.reporting.tables import NOTICE, ReportTable, ReportText
from retrieval.evaluation.segmentation.protocol import BASELINE_JITTER, NETWORK, LesionScore
from retrieval.evaluation.stats.intervals import Estimate, mean_estimate

SIZES_MM = (("under 10 mm", 0.0, 10.0), ("10 to 20 mm", 10.0, 20.0), ("over 20 mm", 20.0, 1e9))
SHOWN = ("dice", "boundary mm", "long error mm", "short error mm", "volume dice")
LINES = ("long from line mm", "short from line mm")
COVERED = tuple(
    f"{name} within {share} %"
    for name in ("long_mm", "short_mm", "volume_mm3")
    for share in (50, 90)
)


@dataclass(frozen=True)
class SegmentationReport:
    """What an evaluation of segmentation found.

    Attributes:
        network: the fingerprint of what was measured.
        rows: a score for each lesion, prompt and method.
        settings: what is needed to repeat it.
    """

    network: str
    rows: Sequence[LesionScore]
    resamples: int
    settings: Mapping[str, Any] = field(default_factory=dict)

    @property
    def sources(self) -> list[str]:
        """The collections, in their order."""
        return list(dict.fromkeys(row.source for row in self.rows))

    def to_json(self) -> dict[str, Any]:
        """One JSON document, every lesion's own scores at its end."""
        return {
            "notice": NOTICE,
            "network": self.network,
            "settings": dict(self.settings),
            "sources": {source: self._source_json(source) for source in self.sources},
            "lesions": [
                {
                    "lesion": row.lesion,
                    "source": row.source,
                    "long_mm": round(row.long_mm, 2),
                    "prompt": row.prompt,
                    "method": row.method,
                    **{
                        name: None if np.isnan(value) else round(value, 4)
                        for name, value in row.values.items()
                    },
                }
                for row in self.rows
            ],
        }

    def text(self) -> ReportText:
        """A table of scores and one of intervals for each collection."""
        tables = []
        for source in self.sources:
            tables += [self._scores(source), self._by_size(source), self._coverage(source)]
            tables += self._from_line(source)
        said = (
            "Nodules' cut-outs end with the nodule as a rule, for the network and for its "
            "baselines alike: their volume cannot run over along the body."
        )
        lesions = len({row.lesion for row in self.rows})
        headline = f"{lesions} lesions with masks of readers. Network {self.network}."
        return ReportText(headline, tuple(tables), (said, NOTICE))

    def means(
        self, source: str, prompt: str, method: str, size: tuple[float, float] = (0.0, 1e9)
    ) -> dict[str, Estimate]:
        """Every score of a prompt and a method, meaned over lesions, with its interval."""
        rows = [
            row
            for row in self.rows
            if (row.source, row.prompt, row.method) == (source, prompt, method)
            and size[0] <= row.long_mm < size[1]
        ]
        numbers = {name: k for k, name in enumerate(sorted({row.patient for row in rows}))}
        patients = np.array([numbers[row.patient] for row in rows])
        names = dict.fromkeys(name for row in rows for name in row.values)
        return {
            name: mean_estimate(
                np.array([row.values.get(name, np.nan) for row in rows], float),
                patients,
                np.random.default_rng(0),
                resamples=self.resamples,
            )
            for name in names
        }

    def _keys(self, source: str) -> list[tuple[str, str]]:
        found = ((row.prompt, row.method) for row in self.rows if row.source == source)
        return sorted(dict.fromkeys(found), key=lambda key: (key[1] == NETWORK, key))

    def _source_json(self, source: str) -> dict[str, Any]:
        rows = [row for row in self.rows if row.source == source]
        return {
            "lesions": len({row.lesion for row in rows}),
            "patients": len({row.patient for row in rows}),
            "scores": [
                {
                    "prompt": prompt,
                    "method": method,
                    "all": _json(self.means(source, prompt, method)),
                    **{
                        label: _json(self.means(source, prompt, method, (low, high)))
                        for label, low, high in SIZES_MM
                    },
                }
                for prompt, method in self._keys(source)
            ],
        }

    def _scores(self, source: str) -> ReportTable:
        methods = {
            f"{method}: {prompt}": self.means(source, prompt, method)
            for prompt, method in self._keys(source)
        }
        return ReportTable.of_methods(f"{source}: scores", methods, (*SHOWN, "ULS23 score"))

    def _by_size(self, source: str) -> ReportTable:
        methods = {
            f"{label}, {method}": self.means(source, BASELINE_JITTER, method, (low, high))
            for label, low, high in SIZES_MM
            for method in ("ellipse", NETWORK)
        }
        known = {name: scores for name, scores in methods.items() if scores}
        return ReportTable.of_methods(f"{source}: {BASELINE_JITTER}, by size", known, SHOWN[:4])

    def _from_line(self, source: str) -> list[ReportTable]:
        """The network's and the reader's mask against the radiologist's line; none without it."""
        methods = {
            f"{method}: {prompt}": self.means(source, prompt, method)
            for prompt, method in self._keys(source)
        }
        known = {name: scores for name, scores in methods.items() if LINES[0] in scores}
        title = f"{source}: diameters against the radiologist's line"
        return [ReportTable.of_methods(title, known, LINES)] if known else []

    def _coverage(self, source: str) -> ReportTable:
        methods = {
            prompt: self.means(source, prompt, method)
            for prompt, method in self._keys(source)
            if method == NETWORK and prompt != "boxes"
        }
        return ReportTable.of_methods(f"{source}: share within the intervals", methods, COVERED)


def _json(scores: Mapping[str, Estimate]) -> dict[str, Any]:
    return {name: estimate.to_json() for name, estimate in scores.items()}
