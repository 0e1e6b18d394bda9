"""What mining keeps between runs, as Protocols: the headers of images, and marks that were read.

``service.jobs.mining`` keeps both in one SQLite file.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, Self

from retrieval.sources.marks.mark import ImageReference, Mark
from retrieval.sources.marks.verdicts import Refusal
from retrieval.sources.mining.header import ImageHeader
from retrieval.sources.mining.numbers import SeriesPlace


@dataclass(frozen=True, slots=True)
class FileStamp:
    """A file as it was when it was read: a changed one is read again."""

    path: str
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, path: Path) -> Self:
        """The file as it is now; raises OSError."""
        found = path.stat()
        return cls(os.fspath(path), found.st_size, found.st_mtime_ns)


class HeaderStore(Protocol):
    """Headers of images by UID, series and frame of reference."""

    def batch(self) -> AbstractContextManager[None]:
        """A context in which writes are one transaction, those of the MarkStore too."""
        ...

    def kind_of(self, stamp: FileStamp) -> str | None:
        """What an unchanged file was found to be; None for one to be read."""
        ...

    def add_file(self, stamp: FileStamp, kind: str, headers: Iterable[ImageHeader] = ()) -> None:
        """Notes a file and its images; what it held before is forgotten."""
        ...

    def forget_file(self, path: str) -> None:
        """A file that has changed or is gone, with its images."""
        ...

    def files(self, kind: str | None = None) -> Iterator[str]:
        """Paths of all files, or of one kind, in their order."""
        ...

    def add_images(self, headers: Iterable[ImageHeader]) -> None:
        """Keeps headers; of several with one SOP instance UID the first stays."""
        ...

    def image(self, sop_uid: str, frame: int | None = None) -> ImageHeader | None:
        """An image, or a frame of it; of several frames and none named the first."""
        ...

    def of_series(self, series_uid: str) -> list[ImageHeader]:
        """All images of a series, in the order of UIDs."""
        ...

    def of_reference(self, frame_uid: str) -> list[ImageHeader]:
        """The axial CT slices of a frame of reference."""
        ...

    def numbered(self, image: ImageReference) -> list[ImageHeader]:
        """The images that words call "series 8, image 34" of a study or series."""
        ...

    def listing(self, series_uid: str) -> str | None:
        """How the listing of a PACS's series ended (empty: well); None if it was not asked for."""
        ...

    def set_listing(self, series_uid: str, state: str) -> None:
        """Notes how the listing of a series ended."""
        ...


class MarkStore(Protocol):
    """Carriers that were read, and the marks in them, by patient."""

    def has_read(self, source: str, stamp: str) -> bool:
        """Whether a carrier was read as it is now."""
        ...

    def sources(self) -> list[str]:
        """Every carrier that was read."""
        ...

    def add_carrier(self, source: str, stamp: str, found: Iterable[Mark | Refusal]) -> None:
        """What a carrier holds, instead of what it held before."""
        ...

    def forget_carrier(self, source: str) -> None:
        """A carrier that has changed or is gone, with its marks."""
        ...

    def marks_of(self, patient: str) -> list[Mark | Refusal]:
        """A patient's marks and refusals, by id; of one mark in several files the first."""
        ...

    def number_of(self, patient: str) -> int:
        """A patient's number in the archive; one that has none gets the next."""
        ...

    def series_of(self, patient: str) -> list[SeriesPlace]:
        """The series of a patient that have numbers."""
        ...

    def set_series(self, patient: str, places: Iterable[SeriesPlace]) -> None:
        """The numbers of all series of a patient, instead of earlier ones."""
        ...
