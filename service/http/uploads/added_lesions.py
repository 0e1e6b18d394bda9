"""Lesions added over HTTP: a mark on an upload becomes an indexed lesion with pixels of its own.

The pixels of these lesions are kept inside the index (``index.own_images``), in the layout
of an archive.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import date

import numpy as np
from numpy.typing import NDArray

from index.catalog.reader import LesionRecord
from index.errors import IndexBusyError
from index.measured import measures_added
from index.own_images import OWN_ARCHIVE
from retrieval.image import Slab
from retrieval.lesion import ImageSource, Lesion, LesionType
from retrieval.pixel_hash import pixel_hash
from retrieval.sources.archive import lesion_id_of, own_layout
from retrieval.tag import Tag
from service.engine.lesion_location import located
from service.engine.measuring import with_sizes
from service.engine.query import LesionQuery, QueryError
from service.engine.query_box import MarkedBox, embed_boxes
from service.engine.search_engine import SearchEngine
from service.http.problems import ConflictError

KEPT_DEPTH_MM = 30.0
"""Slices up to this far from the key slice are kept, as far as DeepLesion's own reach."""


@dataclass(frozen=True, slots=True)
class LesionFields:
    """What is known of a lesion beside its pixels and its mark."""

    patient_id: str
    study_id: str
    series_id: str
    lesion_type: LesionType = LesionType.UNKNOWN
    study_date: date | None = None
    tags: tuple[Tag, ...] = ()


@dataclass(frozen=True, eq=False)
class PreparedLesion:
    """A lesion with its vector and its files: all that is left to do is to write it.

    ``source`` has the slab's geometry, and no image yet.
    """

    lesion: Lesion
    vector: NDArray[np.float32]
    files: Mapping[str, bytes]
    source: ImageSource
    packed_mask: bytes | None = None


class AddedLesions:
    """Adds lesions to an engine's index, and removes any; both hold when the call returns.

    A write waits at most ``wait_s`` for the one before it.
    """

    def __init__(self, engine: SearchEngine, *, wait_s: float = 30.0) -> None:
        self._engine = engine
        self._wait_s = wait_s
        self._lock = threading.Lock()

    def prepare(self, slab: Slab, query: LesionQuery, fields: LesionFields) -> PreparedLesion:
        """The lesion under the query's box or RECIST mark on the slab's key slice.

        Box and mark are in the file grid of the slab. The lesion is kept, and answered, on the
        grid of the archive that its pixels become part of: the display grid, with slice numbers
        from head to feet. Its id is made of its series, key slice and box, so that adding the same
        mark again is the same lesion.

        Raises:
            QueryError: no mark.
            LesionError: the mark lies outside the image.
        """
        query = _on_display(query, slab)
        slab = own_layout().numbered(slab)
        marked = MarkedBox.given(query, slab)
        if marked is None:
            raise QueryError("no lesion is marked: give its `box` or its `recist` mark")
        embedding, _ = embed_boxes(self._engine.encoder, slab, [marked.box])
        lesion = located(_lesion(slab, fields, marked), slab, self._engine.locator)
        packed = None
        if measures_added(self._engine.index):
            lesion, packed = with_sizes(lesion, slab, marked.box, query.recist)
        return PreparedLesion(lesion, embedding.vectors[0], _files(slab), _source(slab), packed)

    def store(self, prepared: PreparedLesion) -> Lesion:
        """Indexes a lesion; when this returns it is on the disk with its pixels.

        Raises:
            ConflictError: a lesion of an archive has this id.
            IndexBusyError: other writes took too long.
            StorageError: the disk is full.
        """
        index = self._engine.index
        lesion = prepared.lesion
        with self._turn(), index.images.adding():
            self._refuse_archives_id(lesion.lesion_id)
            folder = index.images.keep(prepared.files)
            image = str(folder / own_layout().slice_name(lesion.key_slice_index))
            source = replace(prepared.source, image=image)
            try:
                index.add([LesionRecord(lesion, prepared.vector, source, prepared.packed_mask)])
            except BaseException:
                index.images.forget_unnamed([folder.name])
                raise
        return lesion

    def remove(self, lesion_id: str) -> None:
        """Removes a lesion, its vector, its matches and pixels kept here; never an archive's.

        Raises UnknownLesionError.
        """
        self._engine.index.get(lesion_id)
        self._engine.index.remove([lesion_id])

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._lock.acquire(timeout=self._wait_s):
            raise IndexBusyError("another change is being written: try again in a moment")
        try:
            yield
        finally:
            self._lock.release()

    def _refuse_archives_id(self, lesion_id: str) -> None:
        found = self._engine.index.records([lesion_id])
        if found and found[0].source.archive != OWN_ARCHIVE:
            raise ConflictError(
                f"an archive's lesion has the id {lesion_id}: delete it first, or give another "
                "series_id"
            )


def _files(slab: Slab) -> dict[str, bytes]:
    """The slices up to ``KEPT_DEPTH_MM`` from the key slice as files; raises ArchiveError."""
    reach = int(KEPT_DEPTH_MM / slab.slice_interval_mm)
    last = min(slab.key_slice + reach, len(slab.hu) - 1)
    return own_layout().slice_files(slab, range(max(0, slab.key_slice - reach), last + 1))


def _source(slab: Slab) -> ImageSource:
    return ImageSource(
        OWN_ARCHIVE,
        "",
        slab.spacing_mm_px,
        slab.slice_interval_mm,
        pixel_hash(slab.hu[slab.key_slice]),
    )


def _lesion(slab: Slab, fields: LesionFields, marked: MarkedBox) -> Lesion:
    return Lesion(
        lesion_id=lesion_id_of(fields.series_id, slab.key_slice_index, marked.box),
        patient_id=fields.patient_id,
        study_id=fields.study_id,
        series_id=fields.series_id,
        key_slice_index=slab.key_slice_index,
        box=marked.box,
        long_mm=marked.long_mm,
        short_mm=marked.short_mm,
        lesion_type=fields.lesion_type,
        study_date=fields.study_date,
        tags=fields.tags,
    )


def _on_display(query: LesionQuery, slab: Slab) -> LesionQuery:
    """The mark on the grid of the archive that the pixels become part of."""
    query = query.in_file_grid(slab.grid)
    return replace(
        query,
        box=None if query.box is None else slab.display_box(query.box),
        recist=None if query.recist is None else slab.grid.to_display_recist(query.recist),
    )
