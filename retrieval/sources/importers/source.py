"""What the importers share: the source's own index, the error, the progress call."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import pandas as pd

from retrieval.lesion import LesionSearchError
from retrieval.progress import ReportProgress

Group = TypeVar("Group")


class ImporterError(LesionSearchError):
    """A collection that is not what its importer reads."""


@dataclass(frozen=True)
class ImportReport:
    """What an importer did: rows it wrote now, and what it left out, reason -> count.

    Patients that an earlier run had finished count in neither.
    """

    rows: int
    skipped: Mapping[str, int] = field(default_factory=dict)


def read_index(folder: Path, name: str, columns: Sequence[str]) -> pd.DataFrame:
    """A collection's CSV with at least ``columns``; raises ImporterError naming what is missing."""
    path = folder / name
    if not path.is_file():
        raise ImporterError(f"{folder} holds no {name}: give the folder of the collection")
    try:
        table = pd.read_csv(path)
    except (ValueError, OSError) as wrong:
        raise ImporterError(f"{path} is not a readable CSV: {wrong}") from None
    if missing := [column for column in columns if column not in table.columns]:
        raise ImporterError(f"{path} lacks the columns {missing}: it has {list(table.columns)}")
    if table.empty:
        raise ImporterError(f"{path} has no rows")
    return table


def source_file(path: Path) -> Path:
    """The same path if the file is there; raises ImporterError otherwise."""
    if not path.is_file():
        raise ImporterError(f"{path} is missing: the collection's index names it")
    return path


def counted(
    groups: Iterable[Group], total: int, progress: ReportProgress | None
) -> Iterator[Group]:
    """The groups unchanged; ``progress`` hears of each once it was worked on."""
    for done, group in enumerate(groups, start=1):
        yield group
        if progress is not None:
            progress(done, total)
