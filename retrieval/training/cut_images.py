"""The cache of training images: cut once from an archive, bound to what was cut.

Every cache is a folder with a ``cache.json`` that says what it holds, filled by ``cut_each``. Its
images lie as suits them: patches of one shape in one memory-mapped array (``embedding.cache``),
whole slices, each of its own shape, in a file each (``detection.slice_cache``).
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from retrieval.image import Slab
from retrieval.lesion import Lesion, LesionSearchError
from retrieval.sources.archive import Archive

_Cut = TypeVar("_Cut")


class CacheError(LesionSearchError):
    """A cache of other images, one that does not fit on the disk, or one that was damaged."""


@dataclass(frozen=True)
class CacheFolder:
    """A folder and what it is to hold; ``noun`` and ``cut_from`` are words for the error."""

    path: Path
    description: Mapping[str, Any]
    noun: str
    cut_from: str

    def is_begun(self) -> bool:
        """Whether the folder holds these images; raises CacheError if it holds others."""
        stated = self.path / "cache.json"
        if not stated.is_file():
            return False
        if json.loads(stated.read_text()) != self.description:
            raise CacheError(
                f"{self.noun} {self.path} was cut {self.cut_from}: delete it, or name another "
                "folder"
            )
        return True

    def begin(self) -> None:
        """Says in the folder what it is to hold."""
        self.path.mkdir(parents=True, exist_ok=True)
        (self.path / "cache.json").write_text(json.dumps(self.description))


def digest_of(lines: Iterable[str]) -> str:
    """SHA-256 of the lines, in hexadecimal."""
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def cut_each(
    archive: Archive,
    lesions: Mapping[int, Lesion],
    cut: Callable[[Slab, Lesion], _Cut],
    *,
    half_depth_mm: float,
) -> Iterator[tuple[int, _Cut | None]]:
    """Key and cut image of every lesion, in order; None where its image cannot be read.

    A few threads cut: decoding releases the interpreter.
    """

    def one(item: tuple[int, Lesion]) -> tuple[int, _Cut | None]:
        key, lesion = item
        try:
            return key, cut(archive.slab(lesion, half_depth_mm=half_depth_mm), lesion)
        except LesionSearchError:
            return key, None

    with ThreadPoolExecutor() as pool:
        yield from pool.map(one, lesions.items())
