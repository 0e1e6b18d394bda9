"""Every key slice of an index against the hash kept when its lesion was indexed."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from typing import Any

from index.catalog.reader import LesionRecord
from index.lesion_index import LesionIndex
from index.own_images import OWN_ARCHIVE
from index.reports import IndexProblem
from retrieval.lesion import LesionSearchError
from service.figures.indexed_pixels import IndexedPixels, PictureError

_BATCH = 500
_SHOWN = 20
_REMEDY = "put the archive back as it was, or remove the lesion and index it again"


@dataclass
class PixelReport:
    """What the comparison found, in lesions.

    Attributes:
        compared: their key slice was read and compared.
        unknown: an older program indexed them, without a hash.
        elsewhere: their pixels are not on this machine: in a PACS, or an archive that is not
            there now.
        problems: other pixels under their name, damaged files, lost pixels of the index itself.
    """

    compared: int = 0
    unknown: int = 0
    elsewhere: int = 0
    problems: list[IndexProblem] = field(default_factory=list)

    def to_json(self) -> dict[str, Any]:
        """The counts."""
        return {name: count for name, count in asdict(self).items() if name != "problems"}


def compare_pixels(
    index: LesionIndex, *, progress: Callable[[int, int], None] | None = None
) -> PixelReport:
    """Reads the key slice of every lesion whose file is there; at most 20 problems are listed."""
    report = PixelReport()
    pixels = IndexedPixels(index)
    total = index.count()
    for done, record in enumerate(_records(index), start=1):
        _compare(record, pixels, report)
        if progress is not None:
            progress(done, total)
    return report


def _records(index: LesionIndex) -> Iterator[LesionRecord]:
    after = ""
    while page := index.page(after, _BATCH):
        yield from index.records([lesion.lesion_id for lesion in page])
        after = page[-1].lesion_id


def _compare(record: LesionRecord, pixels: IndexedPixels, report: PixelReport) -> None:
    if record.source.pixel_hash is None:
        report.unknown += 1
        return
    try:
        pixels.path(record)
    except PictureError as gone:
        if record.source.archive == OWN_ARCHIVE:
            _add(report.problems, gone)
        else:
            report.elsewhere += 1
        return
    try:
        pixels.check(record)
    except LesionSearchError as other:
        _add(report.problems, other)
    report.compared += 1


def _add(problems: list[IndexProblem], error: LesionSearchError) -> None:
    if len(problems) < _SHOWN:
        problems.append(IndexProblem(str(error), _REMEDY))
