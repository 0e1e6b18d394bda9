"""What masks measure, kept with indexed lesions: sizes in their rows, the masks beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import partial

from index.catalog.writer import CatalogWriter
from index.errors import UnknownLesionError
from index.lesion_index import LesionIndex
from retrieval.lesion import Lesion
from retrieval.measured_size import MeasuredSizes

MEASURES_ADDED = "measures added lesions"
"""The setting of an index whose later lesions are measured when they are added."""


@dataclass(frozen=True)
class MeasuredMask:
    """Sizes of a lesion and the mask that they are of, packed; without a mask, None."""

    sizes: MeasuredSizes
    packed: bytes | None = None


def store_measured(index: LesionIndex, found: Mapping[str, MeasuredMask]) -> int:
    """Keeps sizes and masks of lesions by their ids, in one transaction; how many changed.

    A lesion's earlier sizes are replaced. Unknown ids are left out.
    """
    return index.write(partial(_store, found=found))


def unmeasured(index: LesionIndex, after: str, limit: int, *, again: bool = False) -> list[Lesion]:
    """Up to ``limit`` lesions that were not measured, by id from after the id ``after``.

    With ``again`` those that were, too.
    """
    condition = "1" if again else "measured IS NULL"
    return index.read(lambda reader: reader.page(condition, (), after=after, limit=limit))


def count_unmeasured(index: LesionIndex) -> int:
    """How many lesions were not measured."""
    return index.read(lambda reader: reader.count("measured IS NULL", ()))


def has_measured(index: LesionIndex) -> bool:
    """Whether any lesion was measured."""
    condition = "measured IS NOT NULL"
    return bool(index.read(lambda reader: reader.page(condition, (), after="", limit=1)))


def packed_mask(index: LesionIndex, lesion_id: str) -> bytes | None:
    """A lesion's mask as it was packed; None where it has none.

    Raises:
        UnknownLesionError: the index does not hold the lesion.
        CatalogError: the mask is missing or damaged.
    """
    if not index.known([lesion_id]):
        raise UnknownLesionError(
            f"lesion {lesion_id!r} is not in the index {index.path}: check the id"
        )
    return index.read(lambda reader: reader.mask(lesion_id))


def measures_added(index: LesionIndex) -> bool:
    """Whether lesions that are added to the index are to be measured too."""
    return index.read(lambda reader: reader.setting(MEASURES_ADDED)) == "yes"


def declare_measuring(index: LesionIndex, *, wanted: bool = True) -> None:
    """Keeps that lesions added later are to be measured too, or takes it back."""
    if measures_added(index) is not wanted:
        index.write(partial(_declare, value="yes" if wanted else "no"))


def _store(writer: CatalogWriter, *, found: Mapping[str, MeasuredMask]) -> int:
    changed = 0
    for record in writer.reader.records(list(found)):
        one = found[record.lesion.lesion_id]
        mask = None if one.packed is None else writer.put_mask(one.packed)
        measured = replace(one.sizes, mask=mask)
        if record.lesion.measured != measured:
            writer.put(replace(record, lesion=record.lesion.with_changes(measured=measured)))
            changed += 1
    return changed


def _declare(writer: CatalogWriter, *, value: str) -> None:
    writer.set_setting(MEASURES_ADDED, value)
