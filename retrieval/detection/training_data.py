"""The slices of one run: archives with their marks, and where else a lesion is known to be."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from retrieval.detection.recipe import DetectorRecipe
from retrieval.detection.slice_cache import SliceCache
from retrieval.detection.whole_slice import WholeSlice
from retrieval.lesion import Box, Lesion, LesionSearchError, LesionType, Split
from retrieval.progress import ReportProgress
from retrieval.sources.archive import Archive


class DetectorDataError(LesionSearchError):
    """Archives that cannot train a detector."""


@dataclass(frozen=True)
class MarkedSlice:
    """A key slice and what is known of it.

    Attributes:
        key: a lesion on this slice, by which it is found in the archive.
        lesions: those marked on this very slice.
        nearby: boxes of lesions marked on a slice so near that they reach this one.
        number: in its archive's cache.
        negatives: boxes of places that surely hold no lesion.
    """

    key: Lesion
    lesions: tuple[Lesion, ...]
    nearby: tuple[Box, ...]
    number: int
    negatives: tuple[Box, ...] = ()


@dataclass(frozen=True)
class TrainingSlices:
    """Every slice of a run that can be drawn, by archive.

    Attributes:
        slices: of each archive, its train slices that can be read.
        caches: of each archive.
        weights: (archives,), how often each is drawn; sums to one.
        reaches_mm: of each archive, how far from a mark its background is known.
        backgrounds: of each archive, whether its marks are no lesions.
    """

    slices: tuple[tuple[MarkedSlice, ...], ...]
    caches: tuple[SliceCache, ...]
    weights: NDArray[np.float64]
    reaches_mm: tuple[float, ...]
    backgrounds: tuple[bool, ...]

    @property
    def count(self) -> int:
        """Slices of all archives."""
        return sum(len(part) for part in self.slices)

    @classmethod
    def open(
        cls,
        archives: Sequence[Archive],
        recipe: DetectorRecipe,
        folder: Path,
        *,
        progress: ReportProgress | None = None,
    ) -> TrainingSlices:
        """The train slices of ``archives``, cut into ``folder`` where they are not yet.

        Raises:
            DetectorDataError: no archive, two of one name, or not one slice to train on.
            CacheError: ``folder`` holds other slices.
        """
        names = [archive.root.name for archive in archives]
        if not names or len(set(names)) < len(names):
            raise DetectorDataError(
                f"archives {names}: name at least one, each in a folder of its own name"
            )
        pseudo_types = read_pseudo_types(recipe.data.pseudo_types)
        categories = read_categories(recipe.data.categories)
        negatives = read_negatives(recipe.data.negatives)
        parts: list[tuple[MarkedSlice, ...]] = []
        caches: list[SliceCache] = []
        for archive in archives:
            rng = np.random.default_rng([recipe.seed, len(parts)])
            marked = marked_slices(
                archive,
                Split.TRAIN,
                hidden=recipe.data.hidden,
                pseudo_types=pseudo_types,
                rng=rng,
            )
            marked = [_with_negatives(archive, one, negatives) for one in marked]
            marked = [_with_categories(one, categories) for one in marked]
            keys = [one.key for one in marked]
            cache = SliceCache(archive, keys, recipe.grid, folder / archive.root.name)
            readable = cache.build(progress=progress)
            parts.append(tuple(one for one, could in zip(marked, readable, strict=True) if could))
            caches.append(cache)
        weights = np.array([recipe.data.weights.get(name, 1.0) for name in names])
        weights[[len(part) == 0 for part in parts]] = 0
        if weights.sum() == 0:
            raise DetectorDataError(
                f"archives {names} hold no slice of the train split whose image can be read"
            )
        return cls(
            slices=tuple(parts),
            caches=tuple(caches),
            weights=weights / weights.sum(),
            reaches_mm=tuple(recipe.data.reach_mm.get(name, np.inf) for name in names),
            backgrounds=tuple(name in recipe.data.backgrounds for name in names),
        )

    def draw(self, rng: np.random.Generator) -> tuple[int, MarkedSlice, WholeSlice]:
        """The number of an archive by its weight, and any of its slices with its pixels."""
        archive = int(rng.choice(len(self.weights), p=self.weights))
        marked = self.slices[archive][int(rng.integers(len(self.slices[archive])))]
        return archive, marked, self.caches[archive].read(marked.number)


def marked_slices(
    archive: Archive,
    split: Split,
    *,
    hidden: float = 0.0,
    pseudo_types: Mapping[str, LesionType] | None = None,
    rng: np.random.Generator,
) -> list[MarkedSlice]:
    """The key slices of one split, each once, with every mark on it.

    A ``hidden`` share of the lesions loses its marks and stays on its slices, as the lesions do
    that nobody marked: a slice may then hold lesions and no mark. ``pseudo_types`` stand in for
    types that are not known.
    """
    types = pseudo_types or {}
    lesions = [_typed(lesion, types) for lesion in archive.lesions if lesion.split is split]
    unmarked = {x.lesion_id for x in lesions if hidden and rng.random() < hidden}
    by_series = defaultdict(list)
    for lesion in lesions:
        by_series[lesion.patient_id, lesion.study_id, lesion.series_id].append(lesion)
    found: list[MarkedSlice] = []
    for series in by_series.values():
        marked = [lesion for lesion in series if lesion.lesion_id not in unmarked]
        for key_slice in sorted({lesion.key_slice_index for lesion in series}):
            key = next(x for x in series if x.key_slice_index == key_slice)
            on_it = tuple(x for x in marked if x.key_slice_index == key_slice)
            nearby = tuple(
                x.box for x in marked if x not in on_it and _reaches(archive, x, key_slice)
            )
            found.append(MarkedSlice(key, on_it, nearby, len(found)))
    return found


def label_of(lesion: Lesion, classes: int, categories: Sequence[str] = ()) -> int:
    """The class of a lesion, from 0; -1 for a lesion without one where several are learned.

    ``categories`` are the classes' names where they are no lesion types.
    """
    if categories:
        return categories.index(lesion.category) if lesion.category in categories else -1
    if classes == 1:
        return 0
    return -1 if lesion.lesion_type is LesionType.UNKNOWN else lesion.lesion_type.code - 1


def read_pseudo_types(path: str) -> dict[str, LesionType]:
    """Types by lesion id from a JSON file; none for an empty path.

    Raises DetectorDataError: the file cannot be read as one, or names an unknown type.
    """
    if not path:
        return {}
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))
        return {str(lesion_id): LesionType.parse(name) for lesion_id, name in table.items()}
    except (OSError, ValueError, AttributeError) as error:
        raise DetectorDataError(
            f"pseudo-types {path} cannot be used ({error}): a JSON object of lesion id to the name "
            "of a lesion type is needed"
        ) from None


def read_categories(path: str) -> dict[str, str]:
    """The category of each lesion of a ``categories.json``; none for an empty path.

    Raises DetectorDataError: the file cannot be read as one.
    """
    if not path:
        return {}
    try:
        members = json.loads(Path(path).read_text(encoding="utf-8"))["lesions"]
        return {str(lesion_id): str(one["category"]) for lesion_id, one in members.items()}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DetectorDataError(
            f"categories {path} cannot be used ({error}): a file of `lesion-search categorize` is "
            "needed"
        ) from None


def with_categories(recipe: DetectorRecipe) -> DetectorRecipe:
    """The recipe with the categories of its file as the network's classes.

    Raises DetectorDataError: the file cannot be read.
    """
    names = tuple(sorted(set(read_categories(recipe.data.categories).values())))
    if not names:
        return recipe
    network = replace(recipe.network, classes=len(names), categories=names)
    return replace(recipe, network=network)


def _with_categories(marked: MarkedSlice, categories: Mapping[str, str]) -> MarkedSlice:
    if not categories:
        return marked
    lesions = tuple(
        x.with_changes(category=categories.get(x.lesion_id), category_confidence=None)
        for x in marked.lesions
    )
    return replace(marked, lesions=lesions)


def read_negatives(path: str) -> dict[str, tuple[Box, ...]]:
    """Hard negatives by image name from a JSON file; none for an empty path.

    Raises DetectorDataError: the file cannot be read as one.
    """
    if not path:
        return {}
    try:
        table = json.loads(Path(path).read_text(encoding="utf-8"))["negatives"]
        return {
            str(name): tuple(Box(*(float(edge) for edge in one["box"])) for one in found)
            for name, found in table.items()
        }
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DetectorDataError(
            f"hard negatives {path} cannot be used ({error}): a file of benchmarks/"
            "hard_negatives.py is needed"
        ) from None


def _with_negatives(
    archive: Archive, marked: MarkedSlice, negatives: Mapping[str, tuple[Box, ...]]
) -> MarkedSlice:
    if not negatives:
        return marked
    name = f"{archive.root.name}/{archive.image_name(marked.key)}"
    return replace(marked, negatives=negatives.get(name, ()))


def _typed(lesion: Lesion, types: Mapping[str, LesionType]) -> Lesion:
    known = lesion.lesion_type is not LesionType.UNKNOWN or lesion.lesion_id not in types
    return lesion if known else lesion.with_changes(lesion_type=types[lesion.lesion_id])


def _reaches(archive: Archive, lesion: Lesion, key_slice: int) -> bool:
    """Whether a lesion, taken for a ball of its long diameter, reaches another slice."""
    interval = archive.source(lesion).slice_interval_mm
    away_mm = abs(lesion.key_slice_index - key_slice) * interval
    return away_mm <= (lesion.long_mm or 0.0) / 2 + interval
