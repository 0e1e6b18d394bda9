"""Reads DeepLesion's lesion table: sound rows, and the bad ones with their line and reason."""

from __future__ import annotations

import csv
import gc
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from retrieval.sources.archive import ArchiveError
from retrieval.sources.deeplesion import coding
from retrieval.sources.deeplesion.row import TableRow, parse_row
from retrieval.sources.deeplesion.row_problem import ProblemReason, RowError, RowProblem


@dataclass(frozen=True, slots=True)
class LesionTable:
    """The sound rows in the file's order, and every other row as a problem."""

    rows: tuple[TableRow, ...]
    problems: tuple[RowProblem, ...]


def read_lesion_table(path: Path) -> LesionTable:
    """Reads a table in the layout of the released ``DL_info.csv``.

    The columns may stand in any order and others may stand beside them.

    Raises:
        ArchiveError: the file cannot be read as text or lacks one of the 18 columns.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ArchiveError(f"{path} cannot be read as a text table: {error}") from None
    header = [name.strip() for name in next(csv.reader(lines[:1]), [])]
    if missing := [name for name in coding.COLUMNS if name not in header]:
        raise ArchiveError(
            f"{path} lacks the columns {', '.join(missing)}: a table as DeepLesion's DL_info.csv "
            "is needed"
        )
    with _no_garbage_collection():
        return _parse_lines(lines, header)


@contextmanager
def _no_garbage_collection() -> Iterator[None]:
    """Loading makes only objects that stay; collecting among them takes a third of the time."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()


def _parse_lines(lines: list[str], header: list[str]) -> LesionTable:
    rows: list[TableRow] = []
    problems: list[RowProblem] = []
    line_of: dict[str, int] = {}
    order = [header.index(name) for name in coding.COLUMNS]
    is_released_order = order == list(range(len(header)))
    for line, text in enumerate(lines[1:], start=2):
        if not text.strip():
            continue
        try:
            cells = _split_cells(text, len(header))
            row = parse_row(cells if is_released_order else [cells[i] for i in order], line)
            first = line_of.setdefault(row.lesion.lesion_id, line)
            if first != line:
                raise RowError(
                    ProblemReason.DUPLICATE,
                    f"lesion {row.lesion.lesion_id} stands already in line {first}",
                )
        except RowError as error:
            name = text.split(",", 1)[0].strip()
            problems.append(RowProblem(line, name, error.reason, str(error)))
        else:
            rows.append(row)
    return LesionTable(tuple(rows), tuple(problems))


def _split_cells(text: str, width: int) -> list[str]:
    # Line by line: an unclosed quote must not swallow the rows after it.
    try:
        cells = next(csv.reader([text], strict=True))
    except csv.Error as error:
        raise RowError(ProblemReason.UNPARSABLE_FIELD, f"not a CSV row: {error}") from None
    if len(cells) != width:
        raise RowError(
            ProblemReason.UNPARSABLE_FIELD,
            f"{len(cells)} cells: {width} are needed (number lists stand in quotes)",
        )
    return cells
