"""The optional tables beside ``DL_info.csv``: lesion tracks, named numbers, dates of studies."""

from __future__ import annotations

import csv
import math
from collections.abc import Container, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Generic, TypeVar

from retrieval.sources.deeplesion import coding
from retrieval.sources.errors import ArchiveError
from retrieval.sources.row_problem import ProblemReason, RowError, RowProblem

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class LesionValues(Generic[_Value]):
    """What an optional table holds of each lesion, and its rows that are not used."""

    values: dict[str, _Value]
    problems: tuple[RowProblem, ...]


def read_tracks(path: Path, lesion_ids: Container[str]) -> LesionValues[str]:
    """The track of each lesion; empty where there is no such file.

    Rows without a lesion (a track's absence from a study) hold no value. Raises ArchiveError
    unless the columns are those of ``TRACK_COLUMNS``.
    """
    tracks: dict[str, str] = {}
    owners: dict[str, str] = {}
    problems: list[RowProblem] = []
    for line, cells in _rows(path, coding.TRACK_COLUMNS, problems):
        patient_id, track_id, _, lesion_id, _ = cells
        if not lesion_id:
            continue
        try:
            _check_new(lesion_id, lesion_ids, tracks)
            if owners.setdefault(track_id, patient_id) != patient_id:
                raise RowError(
                    ProblemReason.INVALID_VALUE,
                    f"track {track_id} belongs to patient {owners[track_id]} already",
                )
            tracks[lesion_id] = track_id
        except RowError as error:
            problems.append(RowProblem(line, path.name, error.reason, str(error)))
    return LesionValues(tracks, tuple(problems))


def read_attributes(path: Path, lesion_ids: Container[str]) -> LesionValues[dict[str, float]]:
    """The named numbers of each lesion, those left blank omitted; empty where there is no file.

    Raises ArchiveError unless the first column is ``lesion_id``.
    """
    attributes: dict[str, dict[str, float]] = {}
    problems: list[RowProblem] = []
    names = _header(path)
    if names and names[0] != "lesion_id":
        raise ArchiveError(f"{path} begins with the column {names[0]!r}: lesion_id is needed")
    for line, cells in _rows(path, tuple(names), problems):
        try:
            _check_new(cells[0], lesion_ids, attributes)
            attributes[cells[0]] = {
                name: _number(name, cell)
                for name, cell in zip(names[1:], cells[1:], strict=True)
                if cell.strip()
            }
        except RowError as error:
            problems.append(RowProblem(line, path.name, error.reason, str(error)))
    return LesionValues(attributes, tuple(problems))


def read_study_dates(path: Path) -> LesionValues[date]:
    """The date of each study by its id; empty where there is no such file.

    Raises ArchiveError unless the columns are those of ``STUDY_COLUMNS``.
    """
    dates: dict[str, date] = {}
    problems: list[RowProblem] = []
    for line, (study_id, text) in _rows(path, coding.STUDY_COLUMNS, problems):
        try:
            dates[study_id] = date.fromisoformat(text)
        except ValueError:
            words = f"study {study_id} has the date {text!r}: YYYY-MM-DD is needed"
            problems.append(RowProblem(line, path.name, ProblemReason.INVALID_VALUE, words))
    return LesionValues(dates, tuple(problems))


def _header(path: Path) -> list[str]:
    if not path.exists():
        return []
    with path.open(newline="", encoding="utf-8-sig") as file:
        return [name.strip() for name in next(csv.reader(file), [])]


def _rows(
    path: Path, columns: tuple[str, ...], problems: list[RowProblem]
) -> Iterator[tuple[int, list[str]]]:
    """Each row that has a cell for every column, with its line; the others become problems."""
    if not path.exists():
        return
    header = _header(path)
    if tuple(header) != columns:
        raise ArchiveError(f"{path} has the columns {header}: {', '.join(columns)} are needed")
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        next(reader, None)
        for cells in reader:
            if len(cells) == len(columns):
                yield reader.line_num, cells
            elif cells:
                detail = f"{len(cells)} cells: {len(columns)} are needed"
                problems.append(
                    RowProblem(reader.line_num, path.name, ProblemReason.UNPARSABLE_FIELD, detail)
                )


def _check_new(lesion_id: str, known: Container[str], done: Container[str]) -> None:
    if lesion_id not in known:
        raise RowError(
            ProblemReason.UNKNOWN_LESION,
            f"lesion {lesion_id!r} is not among the sound rows of {coding.TABLE_NAME}",
        )
    if lesion_id in done:
        raise RowError(ProblemReason.DUPLICATE, f"lesion {lesion_id} stands here already")


def _number(name: str, cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise RowError(ProblemReason.UNPARSABLE_FIELD, f"{name} is {cell!r}: a finite number")
    return value
