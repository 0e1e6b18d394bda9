"""FolderSource: images and carriers of marks in folders, each file read once."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pydicom
from pydicom.errors import InvalidDicomError

from retrieval.progress import ReportProgress
from retrieval.sources.dicom.errors import DicomError
from retrieval.sources.dicom.file import read_dataset
from retrieval.sources.dicom.sniffing import is_dicom
from retrieval.sources.importers.source import ImporterError
from retrieval.sources.marks.mark import ImageReference
from retrieval.sources.marks.reading import OpenedFile, ReadingOptions, carrier_of, read_marks
from retrieval.sources.mining.header import HEADER_TAGS, ImageHeader, headers_of
from retrieval.sources.mining.stores import FileStamp, HeaderStore, MarkStore

FILES_AT_ONCE = 500
"""Files whose headers are stored in one transaction: what a kill costs."""

_TEXT_CARRIERS = {".json", ".xml", ".csv", ".tsv"}
_UNREADABLE = (
    InvalidDicomError,
    OSError,
    EOFError,
    ValueError,
    KeyError,
    AttributeError,
    TypeError,
    NotImplementedError,
)

IMAGE, CARRIER, OTHER = "image", "carrier", "other"


class FolderSource:
    """Images and marks below some folders; implements ``ImageProvider``."""

    def __init__(self, roots: Sequence[Path], reading: ReadingOptions | None = None) -> None:
        """Raises ImporterError for a path that is not there."""
        for root in roots:
            if not root.exists():
                raise ImporterError(f"{root} does not exist: give a folder of images and marks")
        self._roots = roots
        self._reading = reading or ReadingOptions()

    def find(self, image: ImageReference) -> None:
        """Nothing: every header was indexed by ``collect``."""

    def read(self, header: ImageHeader) -> Any:
        """The dataset of an image; raises DicomError."""
        return read_dataset(Path(header.where))

    def attributes(self, header: ImageHeader) -> Any:
        """All attributes of an image but its pixels; raises DicomError."""
        try:
            return pydicom.dcmread(Path(header.where), stop_before_pixels=True, force=True)
        except _UNREADABLE as wrong:
            raise DicomError(f"an image is no longer readable: {wrong}") from None

    def collect(
        self, index: HeaderStore, journal: MarkStore, progress: ReportProgress | None = None
    ) -> None:
        """Indexes new and changed files, and reads the marks of new and changed carriers.

        Files that are gone are forgotten.
        """
        files = list(self._files())
        waiting: list[Path] = []
        for done, path in enumerate(files, start=1):
            waiting.append(path)
            if len(waiting) == FILES_AT_ONCE or done == len(files):
                self._index(waiting, index)
                waiting.clear()
                if progress is not None:
                    progress(done, len(files))
        self._forget_gone(index, journal)
        for carrier in index.files(CARRIER):
            self._read_carrier(Path(carrier), index, journal)

    def _files(self) -> Iterator[Path]:
        for root in self._roots:
            if root.is_file():
                yield root.resolve()
                continue
            for folder, below, names in os.walk(root.resolve()):
                below[:] = sorted(name for name in below if not name.startswith("."))
                for name in sorted(names):
                    path = Path(folder, name)
                    if not name.startswith(".") and not path.is_symlink() and path.is_file():
                        yield path

    def _index(self, paths: Sequence[Path], index: HeaderStore) -> None:
        fresh = []
        for path in paths:
            try:
                stamp = FileStamp.of(path)
            except OSError:
                continue
            if index.kind_of(stamp) is None:
                fresh.append((stamp, *_looked_at(path)))
        if fresh:
            with index.batch():
                for stamp, kind, headers in fresh:
                    index.add_file(stamp, kind, headers)

    def _forget_gone(self, index: HeaderStore, journal: MarkStore) -> None:
        gone = [path for path in index.files() if not os.path.exists(path)]
        read = {path for path in journal.sources() if path.startswith(os.sep)}
        carriers = set(index.files(CARRIER))
        if gone or read - carriers:
            with index.batch():
                for path in gone:
                    index.forget_file(path)
                for path in (read - carriers) | (read & set(gone)):
                    journal.forget_carrier(path)

    def _read_carrier(self, path: Path, index: HeaderStore, journal: MarkStore) -> None:
        try:
            found = FileStamp.of(path)
        except OSError:
            return
        stamp = f"{found.size}/{found.mtime_ns}/{self._reading!r}"
        if journal.has_read(found.path, stamp):
            return
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            marks = list(read_marks(path, name=self._name(path), options=self._reading))
        with index.batch():
            journal.add_carrier(found.path, stamp, marks)

    def _name(self, path: Path) -> str:
        for root in self._roots:
            if path.is_relative_to(root.resolve()) and root.is_dir():
                return path.relative_to(root.resolve()).as_posix()
        return path.name


def _looked_at(path: Path) -> tuple[str, list[ImageHeader]]:
    """What a file is, and its images."""
    try:
        if not is_dicom(path):
            return (CARRIER if path.suffix.lower() in _TEXT_CARRIERS else OTHER), []
        with warnings.catch_warnings():
            # What pydicom finds odd in a file is judged by what is done with it.
            warnings.simplefilter("ignore")
            header = pydicom.dcmread(
                path, force=True, stop_before_pixels=True, specific_tags=list(HEADER_TAGS)
            )
            if carrier_of(OpenedFile(path.name, dataset=header)) is not None:
                return CARRIER, []
            return IMAGE, headers_of(header, str(path))
    except _UNREADABLE:
        return OTHER, []
