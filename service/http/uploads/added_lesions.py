"""Lesions added over HTTP: a mark on an upload becomes an indexed lesion with pixels of its own.

The archive of these lesions is the folder ``added`` inside the index: 16-bit PNGs as an archive
has them, in folders of random names. Pixels are on the disk before the catalog names them and
removed after it has forgotten them, so a kill can leave pixels that nothing names, never a lesion
without pixels.
"""

from __future__ import annotations

import os
import secrets
import shutil
import threading
from dataclasses import dataclass
from datetime import date
from pathlib import Path

import cv2
import numpy as np

from index.catalog.reader import LesionRecord
from retrieval.image import Slab
from retrieval.lesion import ImageSource, Lesion, LesionSearchError, LesionType
from retrieval.sources.deeplesion.coding import (
    IMAGE_FOLDER,
    lesion_id_of,
    slice_file_name,
    to_pixels,
)
from service.engine.query import LesionQuery, QueryError
from service.engine.query_box import MarkedBox, embed_boxes
from service.engine.search_engine import SearchEngine
from service.http.problems import ConflictError

FOLDER = "added"
KEPT_DEPTH_MM = 30.0
"""Slices up to this far from the key slice are kept, as far as DeepLesion's own reach."""


class AddedLesionError(LesionSearchError):
    """A lesion that cannot be added."""


@dataclass(frozen=True, slots=True)
class LesionFields:
    """What is known of a lesion beside its pixels and its mark."""

    patient_id: str
    study_id: str
    series_id: str
    lesion_type: LesionType = LesionType.UNKNOWN
    study_date: date | None = None
    tags: tuple[str, ...] = ()


class AddedLesions:
    """Adds lesions to an engine's index, and removes any; both hold when the call returns."""

    def __init__(self, engine: SearchEngine) -> None:
        self._engine = engine
        self._root = engine.index.path.resolve() / FOLDER
        self._lock = threading.Lock()

    def add(self, slab: Slab, query: LesionQuery, fields: LesionFields) -> Lesion:
        """Indexes the lesion under the query's box or RECIST mark on the slab's key slice.

        Its id is made of its series, key slice and box, so that adding the same mark again is the
        same lesion.

        Raises:
            QueryError: no mark.
            LesionError: the mark lies outside the image.
            ConflictError: a lesion of an archive has this id.
            StorageError: the disk is full.
        """
        marked = MarkedBox.given(query, slab)
        if marked is None:
            raise QueryError("no lesion is marked: give its `box` or its `recist` mark")
        embedding, _ = embed_boxes(self._engine.encoder, slab, [marked.box])
        lesion = _lesion(slab, fields, marked)
        with self._lock:
            replaced = self._own_folder(lesion.lesion_id)
            source = self._keep_pixels(slab)
            try:
                record = LesionRecord(lesion, embedding.vectors[0], source)
                self._engine.index.add([record])
            except BaseException:
                self._forget_pixels(self._root / Path(source.image).parent)
                raise
            self._forget_pixels(replaced)
        return lesion

    def remove(self, lesion_id: str) -> None:
        """Removes a lesion, its vector, its matches and pixels kept here; never an archive's.

        Raises UnknownLesionError.
        """
        source = self._engine.index.get(lesion_id).source
        self._engine.index.remove([lesion_id])
        if self._is_own(source):
            self._forget_pixels(self._root / Path(source.image).parent)

    def _own_folder(self, lesion_id: str) -> Path | None:
        """Where the pixels of an earlier addition under this id are; raises ConflictError."""
        found = self._engine.index.records([lesion_id])
        if not found:
            return None
        if not self._is_own(found[0].source):
            raise ConflictError(
                f"an archive's lesion has the id {lesion_id}: delete it first, or give another "
                "series_id"
            )
        return self._root / Path(found[0].source.image).parent

    def _is_own(self, source: ImageSource) -> bool:
        return source.archive == str(self._root)

    def _keep_pixels(self, slab: Slab) -> ImageSource:
        folder = Path(IMAGE_FOLDER) / secrets.token_hex(16)
        reach = int(KEPT_DEPTH_MM / slab.slice_interval_mm)
        first = max(0, slab.key_slice - reach)
        (self._root / folder).mkdir(parents=True)
        for position, plane in enumerate(slab.hu[first : slab.key_slice + reach + 1], start=first):
            if not np.isfinite(plane).all():
                raise AddedLesionError("the CT holds values that are not numbers: repair the file")
            name = slice_file_name(slab.first_slice_index + position)
            _write_to_disk(self._root / folder / name, _png(plane))
        image = folder / slice_file_name(slab.key_slice_index)
        return ImageSource(
            str(self._root), image.as_posix(), slab.spacing_mm_px, slab.slice_interval_mm
        )

    def _forget_pixels(self, folder: Path | None) -> None:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


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


def _png(plane: np.ndarray) -> bytes:
    encoded, png = cv2.imencode(".png", to_pixels(plane))
    if not encoded:
        raise AddedLesionError("a slice cannot be written as PNG")
    return png.tobytes()


def _write_to_disk(path: Path, content: bytes) -> None:
    """Writes a file whose content also survives a power cut."""
    with path.open("wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
