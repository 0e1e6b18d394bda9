"""An archive into an index: pixels -> patches -> vectors -> catalog, resumable at any moment."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from itertools import islice
from typing import Any

import numpy as np
from numpy.typing import NDArray

from index.catalog.reader import LesionRecord
from index.lesion_index import LesionIndex
from retrieval.embedding.patch_encoder import PatchEncoder
from retrieval.lesion import Lesion, LesionSearchError
from retrieval.patch import Patch, extract_patch
from retrieval.pixel_hash import pixel_hash
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive
from retrieval.sources.intensity.judgement import require_hu
from service.engine.lesion_location import LesionLocator, located


@dataclass(frozen=True, slots=True)
class IndexingOptions:
    """How an indexing job runs.

    Attributes:
        readers: threads that read PNGs and cut patches; decoding and resampling release Python's
            lock, so threads are enough.
        batch_size: patches embedded at once.
        commit_every: lesions stored in one transaction; what is lost when a job is killed.
        locator: estimates the body position of lesions whose location is not given; it is kept
            in the index with its error. None leaves them without.
        assume_hu: images are HU whatever their values look like.
    """

    readers: int = 2
    batch_size: int = 32
    commit_every: int = 256
    locator: LesionLocator | None = None
    assume_hu: bool = False


@dataclass(frozen=True, slots=True)
class FailedLesion:
    """A lesion that could not be indexed, and why."""

    lesion_id: str
    reason: str

    def to_json(self) -> dict[str, str]:
        """``lesion_id`` and ``reason``."""
        return {"lesion_id": self.lesion_id, "reason": self.reason}


@dataclass
class IndexingReport:
    """What an indexing job did.

    Attributes:
        added: lesions whose vectors were stored.
        already_there: lesions of the archive that the index held before.
        with_repeated_slices: lesions whose patch reached beyond the slices on disk, where the
            nearest slice stands for the missing one.
        doubtful_hu: lesions on images whose values may be no HU, or were taken for them.
        failed: lesions that could not be read, each with its reason.
    """

    added: int = 0
    already_there: int = 0
    with_repeated_slices: int = 0
    doubtful_hu: int = 0
    failed: list[FailedLesion] = field(default_factory=list)

    @property
    def seen(self) -> int:
        """Lesions of the archive that are done with, whatever came of them."""
        return self.already_there + self.added + len(self.failed)

    def to_json(self) -> dict[str, Any]:
        """The counts, and every failed lesion by name."""
        return {
            "added": self.added,
            "already_there": self.already_there,
            "with_repeated_slices": self.with_repeated_slices,
            "doubtful_hu": self.doubtful_hu,
            "failed": [failure.to_json() for failure in self.failed],
        }


@dataclass(frozen=True)
class EmbeddedGroup:
    """Lesions of one archive with their vectors, ready to be stored in one transaction.

    Attributes:
        lesions: those that could be read, in the order they were asked for.
        vectors: (n, dimension) float32, one for each of them.
        pixel_hashes: of the key slice, one for each of them.
        with_repeated_slices: how many of them lacked a neighbour slice on disk.
        doubtful_hu: how many lie on images whose values may be no HU.
        failed: those that could not be read.
    """

    lesions: Sequence[Lesion]
    vectors: NDArray[np.float32]
    pixel_hashes: Sequence[str]
    with_repeated_slices: int
    doubtful_hu: int
    failed: Sequence[FailedLesion]


def index_archive(
    archive: Archive,
    index: LesionIndex,
    encoder: PatchEncoder,
    *,
    options: IndexingOptions | None = None,
    progress: ReportProgress | None = None,
) -> IndexingReport:
    """Adds every lesion of the archive that the index does not hold yet.

    Lesions are stored in transactions of ``commit_every``; a job that was killed, or stopped by a
    full disk, goes on behind the last of them when it is run again. A lesion whose pixels cannot
    be read is named in the report and keeps nobody else out.

    Raises:
        StorageError: the disk is full; what was stored stays.
    """
    options = options or IndexingOptions()
    pending = missing_lesions(archive, index)
    total = len(archive.lesions)
    report = IndexingReport(already_there=total - len(pending))
    if progress is not None:
        progress(report.seen, total)
    for group in embedded_groups(archive, pending, encoder, options=options):
        store_group(group, archive, index, report)
        if progress is not None:
            progress(report.seen, total)
    return report


def missing_lesions(archive: Archive, index: LesionIndex) -> list[Lesion]:
    """The lesions of the archive that the index does not hold, in the archive's order."""
    known = index.known([lesion.lesion_id for lesion in archive.lesions])
    return [lesion for lesion in archive.lesions if lesion.lesion_id not in known]


def embedded_groups(
    archive: Archive,
    lesions: Iterable[Lesion],
    encoder: PatchEncoder,
    *,
    options: IndexingOptions,
) -> Iterator[EmbeddedGroup]:
    """The lesions read, cut and embedded, in groups of ``commit_every``."""
    cut = _cut_patches(archive, lesions, encoder, options)
    while group := list(islice(cut, options.commit_every)):
        sound = [piece for piece in group if isinstance(piece.outcome, Patch)]
        patches = [piece.outcome for piece in group if isinstance(piece.outcome, Patch)]
        yield EmbeddedGroup(
            lesions=[piece.lesion for piece in sound],
            vectors=encoder.embed(patches, batch_size=options.batch_size).vectors,
            pixel_hashes=[piece.pixels for piece in sound],
            with_repeated_slices=sum(piece.repeats_slices for piece in sound),
            doubtful_hu=sum(piece.is_doubtful for piece in sound),
            failed=[_failure(piece) for piece in group if isinstance(piece.outcome, Exception)],
        )


def store_group(
    group: EmbeddedGroup, archive: Archive, index: LesionIndex, report: IndexingReport
) -> None:
    """Stores a group in the index and counts it in the report; raises StorageError."""
    index.add(
        LesionRecord(lesion, vector, replace(archive.source(lesion), pixel_hash=pixels))
        for lesion, vector, pixels in zip(
            group.lesions, group.vectors, group.pixel_hashes, strict=True
        )
    )
    report.added += len(group.lesions)
    report.with_repeated_slices += group.with_repeated_slices
    report.doubtful_hu += group.doubtful_hu
    report.failed += group.failed


@dataclass(frozen=True)
class _CutPatch:
    lesion: Lesion
    outcome: Patch | LesionSearchError
    repeats_slices: bool = False
    pixels: str = ""
    is_doubtful: bool = False


def _cut_patches(
    archive: Archive, lesions: Iterable[Lesion], encoder: PatchEncoder, options: IndexingOptions
) -> Iterator[_CutPatch]:
    """Patches in the order of the lesions, read ahead by a bounded number of them."""
    spec = encoder.spec

    def cut(lesion: Lesion) -> _CutPatch:
        try:
            slab = archive.slab(lesion, half_depth_mm=spec.half_depth_mm)
            slab = require_hu(slab, f"slice {lesion.key_slice_index}", assume_hu=options.assume_hu)
            patch = extract_patch(slab, lesion.box, spec)
            repeats = bool(slab.filled_slices) or patch.repeated_slices > 0
            pixels = pixel_hash(slab.hu[slab.key_slice])
            lesion = located(lesion, slab, options.locator)
            return _CutPatch(lesion, patch, repeats, pixels, bool(slab.notes))
        except LesionSearchError as mistake:
            return _CutPatch(lesion, mistake)

    waiting: deque[Future[_CutPatch]] = deque()
    ahead = 2 * options.commit_every
    with ThreadPoolExecutor(options.readers, thread_name_prefix="patch-reader") as pool:
        try:
            for lesion in lesions:
                waiting.append(pool.submit(cut, lesion))
                if len(waiting) >= ahead:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


def _failure(piece: _CutPatch) -> FailedLesion:
    return FailedLesion(piece.lesion.lesion_id, " ".join(str(piece.outcome).split()))
