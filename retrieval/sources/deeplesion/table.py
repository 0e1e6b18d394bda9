"""Reads DeepLesion's lesion table: sound rows, and the bad ones with their line and reason."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from retrieval.sources.deeplesion import coding
from retrieval.sources.deeplesion.row import TableRow, parse_row
from retrieval.sources.errors import ArchiveError
from retrieval.sources.row_problem import ProblemReason, RowError, RowProblem


@dataclass(frozen=True, slots=True)
class ParsedTable:
    """The sound rows in the file's order, every other row as a problem, and what is unusual."""

    rows: tuple[TableRow, ...]
    problems: tuple[RowProblem, ...]
    notes: tuple[str, ...] = ()


OPTIONAL_COLUMNS = {
    "Coarse_lesion_type": "-1",
    "Possibly_noisy": "0",
    "Patient_gender": "",
    "Patient_age": "",
    "Train_Val_Test": "-1",
}
"""Columns without which a lesion can still be searched -> what every row then says: unknown."""

_SEPARATORS = {",": "commas", ";": "semicolons", "\t": "tabs"}


def read_lesion_table(path: Path) -> ParsedTable:
    """Reads a table in the layout of the released ``DL_info.csv``.

    The columns may stand in any order and others may stand beside them. Semicolons or tabs
    between the cells, as spreadsheets write them, and missing ``OPTIONAL_COLUMNS`` are read, and
    said in ``notes``.

    Raises:
        ArchiveError: the file cannot be read as text, lacks another of the 18 columns, or writes
            its numbers with decimal commas.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise ArchiveError(f"{path} cannot be read as a text table: {error}") from None
    columns = _columns(path, lines[0])
    table = _parse_lines(lines, columns)
    if columns.separator != "," and table.problems and not table.rows:
        raise ArchiveError(
            f"{path} separates cells by {_SEPARATORS[columns.separator]} and none of its rows can "
            f"be read ({table.problems[0].detail}): export it with commas between cells, points "
            "in numbers and quotes about lists"
        )
    return table


@dataclass(frozen=True, slots=True)
class _Columns:
    """How the file's cells become the 18 of the released table.

    ``order`` has a column's place in the file, or None where the file lacks it.
    """

    separator: str
    width: int
    order: tuple[int | None, ...]
    notes: tuple[str, ...]

    def cells(self, text: str) -> list[str]:
        cells = _split_cells(text, self.width, self.separator)
        return [
            OPTIONAL_COLUMNS[name] if place is None else cells[place]
            for name, place in zip(coding.COLUMNS, self.order, strict=True)
        ]

    @property
    def is_released(self) -> bool:
        return self.order == tuple(range(self.width))


def _columns(path: Path, line: str) -> _Columns:
    separator = max(_SEPARATORS, key=lambda one: len(_known(line, one)))
    header = _header(line, separator)
    missing = [name for name in coding.COLUMNS if name not in header]
    if needed := [name for name in missing if name not in OPTIONAL_COLUMNS]:
        raise ArchiveError(
            f"{path} lacks the columns {', '.join(needed)}: a table as DeepLesion's DL_info.csv "
            "is needed"
        )
    notes = [f"{path.name} lacks the column {name}: unknown for every lesion" for name in missing]
    if separator != ",":
        notes.append(f"{path.name} separates its cells by {_SEPARATORS[separator]}")
    order = (None if name in missing else header.index(name) for name in coding.COLUMNS)
    return _Columns(separator, len(header), tuple(order), tuple(notes))


def _header(line: str, separator: str) -> list[str]:
    return [name.strip() for name in next(csv.reader([line], delimiter=separator), [])]


def _known(line: str, separator: str) -> set[str]:
    return set(_header(line, separator)) & set(coding.COLUMNS)


def _parse_lines(lines: list[str], columns: _Columns) -> ParsedTable:
    rows: list[TableRow] = []
    problems: list[RowProblem] = []
    line_of: dict[str, int] = {}
    width, separator, is_released = columns.width, columns.separator, columns.is_released
    for line, text in enumerate(lines[1:], start=2):
        if not text.strip():
            continue
        try:
            cells = _split_cells(text, width, separator) if is_released else columns.cells(text)
            row = parse_row(cells, line)
            first = line_of.setdefault(row.lesion.lesion_id, line)
            if first != line:
                raise RowError(
                    ProblemReason.DUPLICATE,
                    f"lesion {row.lesion.lesion_id} stands already in line {first}",
                )
        except RowError as error:
            name = text.split(separator, 1)[0].strip()
            problems.append(RowProblem(line, name, error.reason, str(error)))
        else:
            rows.append(row)
    return ParsedTable(tuple(rows), tuple(problems), columns.notes)


def _split_cells(text: str, width: int, separator: str) -> list[str]:
    # Line by line: an unclosed quote must not swallow the rows after it.
    try:
        cells = next(csv.reader([text], strict=True, delimiter=separator))
    except csv.Error as error:
        raise RowError(ProblemReason.UNPARSABLE_FIELD, f"not a CSV row: {error}") from None
    if len(cells) != width:
        raise RowError(
            ProblemReason.UNPARSABLE_FIELD,
            f"{len(cells)} cells: {width} are needed (number lists stand in quotes)",
        )
    return cells
