"""From lesions to vectors by way of pixels: each patch is cut once and shown to every method."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from retrieval.evaluation.retrieval.baselines import MethodVectors
from retrieval.image import Slab
from retrieval.lesion import Box, Lesion
from retrieval.patch import Patch, PatchSpec, extract_patch
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive
from retrieval.sources.errors import ArchiveError

EmbedPatches = Callable[[Sequence[Patch]], NDArray[np.float32]]
"""Patches to (n, d) unit vectors: an encoder, or anything that acts like one."""

View = Callable[[Slab, Box], tuple[Slab, Box]]
"""Another look at the same lesion: a shifted box, the next slice, a re-scan."""

CHUNK = 128
"""Patches held in memory at a time: 14 MB at 96 px and three slices."""


class PixelMethod(Protocol):
    """A method that looks at patches.

    ``describe`` is called chunk by chunk; ``vectors`` once with all descriptions, because some
    methods centre their features over the set. One pass may serve several named methods.
    """

    @property
    def spec(self) -> PatchSpec:
        """How this method's patches are cut."""
        ...

    def describe(self, patches: Sequence[Patch]) -> NDArray[np.float32]:
        """(n, features) of n patches."""
        ...

    def vectors(self, described: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """Method name to (n, d) vectors of the whole set."""
        ...


@dataclass(frozen=True)
class EncoderMethod:
    """An encoder as a method: its description is already its vector."""

    name: str
    embed: EmbedPatches
    spec: PatchSpec

    def describe(self, patches: Sequence[Patch]) -> NDArray[np.float32]:
        """(n, d) unit vectors."""
        return np.asarray(self.embed(patches), np.float32)

    def vectors(self, described: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
        """The vectors unchanged, under the encoder's name."""
        return {self.name: described}


def same_view(slab: Slab, box: Box) -> tuple[Slab, Box]:
    """The lesion as it is marked."""
    return slab, box


def cut_patches(
    archive: Archive,
    lesions: Sequence[Lesion],
    spec: PatchSpec,
    *,
    progress: ReportProgress | None = None,
) -> list[Patch]:
    """One patch a lesion, in their order.

    Raises:
        ArchiveError: a lesion's images cannot be read. None is left out silently.
    """
    patches = []
    for lesion in lesions:
        patches.append(_views_of(archive, lesion, [spec], same_view, 0.0)[0])
        if progress is not None:
            progress(len(patches), len(lesions))
    return patches


@dataclass(frozen=True)
class LesionImages:
    """An archive whose lesions are shown to methods; None for ``progress`` reports to nobody."""

    archive: Archive
    progress: ReportProgress | None = None

    def describe(
        self,
        lesions: Sequence[Lesion],
        methods: Sequence[PixelMethod],
        *,
        view: View = same_view,
        reach_mm: float = 0.0,
    ) -> list[NDArray[np.float32]]:
        """Each method's (n, features) of the lesions under ``view``.

        A slab is read and a view drawn once a lesion, and cut once for each PatchSpec among the
        methods. ``reach_mm`` is how much deeper than the patch the view must look.

        Raises:
            ArchiveError: a lesion's images cannot be read. None is left out silently.
        """
        specs = list(dict.fromkeys(method.spec for method in methods))
        parts: list[list[NDArray[np.float32]]] = [[] for _ in methods]
        for start in range(0, len(lesions), CHUNK):
            chunk = lesions[start : start + CHUNK]
            cut = [_views_of(self.archive, lesion, specs, view, reach_mm) for lesion in chunk]
            by_spec = dict(zip(specs, zip(*cut, strict=True), strict=True))
            for part, method in zip(parts, methods, strict=True):
                part.append(method.describe(by_spec[method.spec]))
            if self.progress is not None:
                self.progress(start + len(chunk), len(lesions))
        return [np.concatenate(part) for part in parts]


def named_vectors(
    methods: Sequence[PixelMethod], described: Sequence[NDArray[np.float32]]
) -> list[MethodVectors]:
    """Every method's vectors from its descriptions of one set."""
    return [
        MethodVectors(name, (vectors,))
        for method, features in zip(methods, described, strict=True)
        for name, vectors in method.vectors(features).items()
    ]


def has_images(archive: Archive) -> bool:
    """Whether the first lesion's images can be read; a bare table has none."""
    if not archive.lesions:
        return False
    try:
        archive.slab(archive.lesions[0], half_depth_mm=0.0)
    except ArchiveError:
        return False
    return True


def _views_of(
    archive: Archive, lesion: Lesion, specs: Sequence[PatchSpec], view: View, reach_mm: float
) -> list[Patch]:
    """One patch a spec from one reading of the lesion's slices."""
    half_depth_mm = max(spec.half_depth_mm for spec in specs) + reach_mm
    slab, box = view(archive.slab(lesion, half_depth_mm=half_depth_mm), lesion.box)
    return [extract_patch(slab, box, spec) for spec in specs]
