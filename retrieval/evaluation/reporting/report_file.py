"""Saved reports: what ``evaluate ... --json`` printed, read back with every field checked."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from retrieval.evaluation.retrieval.report import RetrievalReport, Score
from retrieval.evaluation.stats.intervals import Estimate
from retrieval.lesion import LesionSearchError


class ReportFileError(LesionSearchError):
    """A file that holds no saved report."""


def read_report(path: Path) -> RetrievalReport:
    """The report of a JSON file.

    Raises:
        ReportFileError: the file is missing, is not JSON, or lacks a field of a report.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as problem:
        raise ReportFileError(f"report {path} cannot be read: {problem.strerror}") from None
    except ValueError as problem:
        raise ReportFileError(
            f"report {path} is not JSON ({problem}): write it with "
            "`lesion-search evaluate retrieval --json` or `evaluate nodules --json`"
        ) from None
    try:
        return report_from_json(document)
    except ReportFileError as problem:
        raise ReportFileError(f"report {path}: {problem}") from None


def report_from_json(document: Mapping[str, Any]) -> RetrievalReport:
    """The inverse of ``RetrievalReport.to_json``; raises ReportFileError naming the field."""
    try:
        return RetrievalReport(
            archive=str(document["archive"]),
            encoder=None if document["encoder"] is None else str(document["encoder"]),
            split=str(document["split"]),
            lesions=int(document["lesions"]),
            typed_lesions=int(document["typed_lesions"]),
            patients=int(document["patients"]),
            scores=tuple(_score(fields) for fields in document["scores"]),
            settings=dict(document["settings"]),
        )
    except KeyError as missing:
        raise ReportFileError(
            f"the field {missing} is missing: it holds no retrieval report"
        ) from None
    except (TypeError, ValueError, AttributeError) as wrong:
        raise ReportFileError(f"a field has the wrong form ({wrong})") from None


def _score(fields: Mapping[str, Any]) -> Score:
    higher = fields["higher_is_better"]
    if higher not in (True, False, None):
        raise TypeError(f"higher_is_better is {higher!r}: true, false or null")
    return Score(
        section=str(fields["section"]),
        name=str(fields["name"]),
        higher_is_better=higher,
        estimates={str(name): _estimate(found) for name, found in fields["methods"].items()},
    )


def _estimate(fields: Mapping[str, Any]) -> Estimate:
    value, low, high = (fields[name] for name in ("value", "low", "high"))
    return Estimate(
        value=math.nan if value is None else float(value),
        low=None if low is None else float(low),
        high=None if high is None else float(high),
        queries=int(fields["queries"]),
    )
