"""The lesions of an index measured: pixels -> mask -> sizes, resumable at any moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from index.lesion_index import LesionIndex
from index.measured import MeasuredMask, count_unmeasured, store_measured, unmeasured
from retrieval.image import Slab
from retrieval.lesion import Lesion, LesionSearchError, Recist
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive
from service.engine.measuring import depth_needed_mm, measure_kept
from service.figures.pictures import LesionPictures
from service.jobs.indexing import FailedLesion

PAGE = 256


@dataclass(frozen=True, slots=True)
class MeasuringOptions:
    """How a measuring job runs.

    Attributes:
        readers: threads that read slices ahead.
        commit_every: lesions stored in one transaction; what is lost when a job is killed.
        again: also measures what was measured before.
    """

    readers: int = 2
    commit_every: int = 32
    again: bool = False


@dataclass
class MeasuringReport:
    """What a measuring job did.

    Attributes:
        measured: lesions whose sizes were stored.
        ellipses: those among them whose mask is the mark's ellipse.
        already_there: lesions that had been measured before.
        failed: lesions that could not be measured, each with its reason.
    """

    measured: int = 0
    ellipses: int = 0
    already_there: int = 0
    failed: list[FailedLesion] = field(default_factory=list)

    @property
    def seen(self) -> int:
        """Lesions of the index that are done with."""
        return self.already_there + self.measured + len(self.failed)

    def to_json(self) -> dict[str, Any]:
        """The counts, and every failed lesion by name."""
        return {
            "measured": self.measured,
            "ellipses": self.ellipses,
            "already_there": self.already_there,
            "failed": [failure.to_json() for failure in self.failed],
        }


def measure_index(
    index: LesionIndex,
    archive: Archive | None = None,
    *,
    options: MeasuringOptions | None = None,
    progress: ReportProgress | None = None,
) -> MeasuringReport:
    """Measures every lesion that was not measured yet, from its own pixels.

    Lesions are stored in transactions of ``commit_every``: a job that was killed goes on behind
    the last of them. One that cannot be measured is named and keeps nobody else out; it is tried
    again next time.

    Args:
        index: open for writing.
        archive: tells RECIST marks; lesions it does not know are measured from their boxes.
        options: how to run.
        progress: called with (done, total) lesions.

    Raises:
        StorageError: the disk is full; what was stored stays.
    """
    options = options or MeasuringOptions()
    total = index.count()
    report = MeasuringReport()
    if not options.again:
        report.already_there = total - count_unmeasured(index)
    waiting: dict[str, MeasuredMask] = {}
    for lesion, outcome in _measured(index, archive, options):
        if isinstance(outcome, LesionSearchError):
            report.failed.append(FailedLesion(lesion.lesion_id, " ".join(str(outcome).split())))
        else:
            waiting[lesion.lesion_id] = outcome
        if len(waiting) >= options.commit_every:
            _store(index, waiting, report)
            waiting = {}
        if progress is not None:
            progress(report.seen + len(waiting), total)
    _store(index, waiting, report)
    return report


def _store(index: LesionIndex, waiting: dict[str, MeasuredMask], report: MeasuringReport) -> None:
    if waiting:
        store_measured(index, waiting)
    report.measured += len(waiting)
    report.ellipses += sum(one.sizes.method == "ellipse" for one in waiting.values())


def _measured(
    index: LesionIndex, archive: Archive | None, options: MeasuringOptions
) -> Iterator[tuple[Lesion, MeasuredMask | LesionSearchError]]:
    """Each lesion with its sizes and mask; slabs are read ahead by a bounded number."""
    reader = _Reader(index, archive)
    ahead: deque[tuple[Lesion, Future[Slab | LesionSearchError]]] = deque()
    with ThreadPoolExecutor(options.readers, thread_name_prefix="slab-reader") as pool:
        try:
            for lesion in _pages(index, again=options.again):
                ahead.append((lesion, pool.submit(reader.slab, lesion)))
                if len(ahead) > 2 * options.readers:
                    yield _outcome(reader, *ahead.popleft())
            while ahead:
                yield _outcome(reader, *ahead.popleft())
        finally:
            for _, future in ahead:
                future.cancel()


class _Reader:
    """Slabs of indexed lesions, and their marks where an archive tells them."""

    def __init__(self, index: LesionIndex, archive: Archive | None) -> None:
        self._index, self._archive = index, archive
        self._pictures = LesionPictures(index)
        self._known = {} if archive is None else {one.lesion_id: one for one in archive.lesions}

    def slab(self, lesion: Lesion) -> Slab | LesionSearchError:
        """The slices about the key slice as far as the lesion may reach, or what is wrong."""
        try:
            source = self._index.get(lesion.lesion_id).source
            depth = depth_needed_mm(lesion.box, source.spacing_mm_px)
            return self._pictures.neighbourhood(lesion.lesion_id, half_depth_mm=depth)
        except LesionSearchError as mistake:
            return mistake

    def recist(self, lesion: Lesion) -> Recist | None:
        """The mark in the archive's table, if that is the lesion's own."""
        known = self._known.get(lesion.lesion_id)
        if self._archive is None or known is None or known.box != lesion.box:
            return None
        return self._archive.recist(known)


def _outcome(
    reader: _Reader, lesion: Lesion, reading: Future[Slab | LesionSearchError]
) -> tuple[Lesion, MeasuredMask | LesionSearchError]:
    slab = reading.result()
    if isinstance(slab, LesionSearchError):
        return lesion, slab
    try:
        return lesion, measure_kept(slab, lesion.box, reader.recist(lesion))
    except LesionSearchError as mistake:
        return lesion, mistake


def _pages(index: LesionIndex, *, again: bool) -> Iterator[Lesion]:
    after = ""
    while page := unmeasured(index, after, PAGE, again=again):
        yield from page
        after = page[-1].lesion_id
