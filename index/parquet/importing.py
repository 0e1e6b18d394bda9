"""An exported file as an index again: judged from end to end before anything is made."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from index.catalog import creation
from index.lesion_index import LesionIndex
from index.parquet.columns import ParquetError
from index.parquet.exported import ExportedIndex
from index.parquet.rows import natural_key
from index.reports import ReaderDecision
from retrieval.lesion import LesionSearchError
from retrieval.tracking.decisions import check_decisions


def import_index(file: Path | str, path: Path | str) -> LesionIndex:
    """The index in the folder ``path`` with every lesion, match and search of an exported file.

    Where ``path`` is an index of the same encoder already, the lesions are added to it: an import
    that was killed is run again. A file with one row that cannot be a lesion's imports nothing.

    Raises:
        ParquetError: not an exported index, or a row, match or size in it that cannot be.
        EncoderMismatchError: the folder holds an index of another encoder.
    """
    exported = ExportedIndex(Path(file))
    judge(exported, Path(file))
    if creation.is_index(Path(path)):
        made = LesionIndex.open(path, binding=exported.binding)
    else:
        made = LesionIndex.create(path, exported.binding)
    try:
        made.add(
            replace(record, source=made.images.as_own(record.source))
            for record in exported.records()
        )
        for match in exported.matches:
            made.set_match(match.lesion_a, match.lesion_b, match.verdict)
        made.declare_marks(exported.complete_studies)
        made.searches.keep(exported.searches)
    except BaseException:
        made.close()
        raise
    return made


def judge(exported: ExportedIndex, file: Path) -> None:
    """Reads every row, match and search; raises ParquetError for the first that cannot be."""
    matched = {name for match in exported.matches for name in (match.lesion_a, match.lesion_b)}
    sought = {search.lesion_id for search in exported.searches}
    whose: dict[str, tuple[str, str]] = {}
    seen: set[int] = set()
    for row, record in enumerate(exported.records(), start=1):
        lesion = record.lesion
        # Hashes alone: a million ids and keys are gigabytes as text.
        for key in (hash(lesion.lesion_id), hash(natural_key(lesion))):
            if key in seen:
                raise ParquetError(
                    f"{file}, row {row}: lesion {lesion.lesion_id!r} is there twice, by its id or "
                    "by its slice and box; nothing was imported"
                )
            seen.add(key)
        sought.discard(lesion.lesion_id)
        if lesion.lesion_id in matched:
            whose[lesion.lesion_id] = (lesion.patient_id, lesion.study_id)
    if sought:
        raise ParquetError(
            f"{file}: a search names lesion {min(sought)!r}, which is not in the file; nothing was "
            "imported"
        )
    try:
        _judge_matches(exported, whose)
    except LesionSearchError as error:
        raise ParquetError(f"{file}: {error}; nothing was imported") from error


def _judge_matches(exported: ExportedIndex, whose: dict[str, tuple[str, str]]) -> None:
    decided: dict[str, dict[ReaderDecision, list[tuple[str, str]]]] = {}
    for match in exported.matches:
        pair = (match.lesion_a, match.lesion_b)
        if unknown := [name for name in pair if name not in whose]:
            raise ParquetError(f"a match names lesion {unknown[0]!r}, which is not in the file")
        first, second = (whose[name][0] for name in pair)
        if first != second or match.lesion_a == match.lesion_b:
            raise ParquetError(
                f"a match joins {pair[0]!r} and {pair[1]!r}: two lesions of one patient are needed"
            )
        verdicts = decided.setdefault(first, {verdict: [] for verdict in ReaderDecision})
        verdicts[match.verdict].append(pair)
    study_of: dict[str, dict[str, str]] = {patient: {} for patient in decided}
    for name, (patient, study) in whose.items():
        study_of[patient][name] = study
    for patient, verdicts in decided.items():
        confirmed, rejected = verdicts[ReaderDecision.CONFIRMED], verdicts[ReaderDecision.REJECTED]
        check_decisions(study_of[patient], confirmed, rejected)
