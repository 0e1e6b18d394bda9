"""LesionFilter: which lesions a search may return, one grammar for Python, CLI and HTTP.

    type=liver,lung and long_mm=10..30 and patient!=000053 and tag=calcified

Clauses are joined by ``and``; every one must hold. ``=`` takes a value or a comma-separated
choice, ``!=`` excludes; numbers and dates also take ``a..b`` (ends included, either may be left
out), ``>=`` and ``<=``. A value holding a comma, a quote or the word ``and`` stands in double
quotes. ``tag_source=given,text`` asks for a tag of such a source, and no other tag counts for the
clauses on tags beside it. A lesion of which a field is unknown fails every clause that asks for it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

from index.errors import FilterError
from index.filters.grammar import fields_of, text_of
from index.filters.ranges import DateRange, LocationBox, NumberRange
from retrieval.lesion import Lesion, LesionType, Split
from retrieval.tag import TagSource

__all__ = ["DateRange", "FilterError", "LesionFilter", "LocationBox", "NumberRange"]


@dataclass(frozen=True, slots=True)
class LesionFilter:
    """Conditions that must all hold; an empty field asks for nothing.

    ``patients``, ``studies``, ``lesions``, ``lesion_types`` and ``splits`` name what is accepted;
    ``excluded_...`` what is not. ``tags`` must all be present, ``excluded_tags`` all absent; a tag
    that a report or a reader denies, or is unsure of, is not present. With ``tag_sources`` only
    tags of those sources count, and one at least must be there. ``measured_long_mm``,
    ``measured_short_mm`` and ``volume_mm3`` are of the mask, not of the reader's mark.
    """

    patients: frozenset[str] = frozenset()
    excluded_patients: frozenset[str] = frozenset()
    studies: frozenset[str] = frozenset()
    excluded_studies: frozenset[str] = frozenset()
    lesions: frozenset[str] = frozenset()
    excluded_lesions: frozenset[str] = frozenset()
    lesion_types: frozenset[LesionType] = frozenset()
    excluded_lesion_types: frozenset[LesionType] = frozenset()
    splits: frozenset[Split] = frozenset()
    excluded_splits: frozenset[Split] = frozenset()
    tags: frozenset[str] = frozenset()
    excluded_tags: frozenset[str] = frozenset()
    tag_sources: frozenset[TagSource] = frozenset()
    categories: frozenset[str] = frozenset()
    excluded_categories: frozenset[str] = frozenset()
    long_mm: NumberRange | None = None
    short_mm: NumberRange | None = None
    measured_long_mm: NumberRange | None = None
    measured_short_mm: NumberRange | None = None
    volume_mm3: NumberRange | None = None
    location: LocationBox | None = None
    study_date: DateRange | None = None

    @classmethod
    def parse(cls, text: str) -> Self:
        """A filter from its text; an empty text accepts every lesion.

        Raises:
            FilterError: naming the clause, what is accepted there, and an example.
        """
        return cls(**fields_of(text))

    def __str__(self) -> str:
        return text_of(self)

    @property
    def _measured_ranges(self) -> tuple[NumberRange | None, ...]:
        return (self.measured_long_mm, self.measured_short_mm, self.volume_mm3)

    def accepts(self, lesion: Lesion) -> bool:
        """Whether the filter lets this lesion through."""
        wanted = (
            (self.patients, lesion.patient_id),
            (self.studies, lesion.study_id),
            (self.lesions, lesion.lesion_id),
            (self.lesion_types, lesion.lesion_type),
            (self.splits, lesion.split),
        )
        unwanted = (
            (self.excluded_patients, lesion.patient_id),
            (self.excluded_studies, lesion.study_id),
            (self.excluded_lesions, lesion.lesion_id),
            (self.excluded_lesion_types, lesion.lesion_type),
            (self.excluded_splits, lesion.split),
        )
        ranges = (
            (self.long_mm, lesion.long_mm),
            (self.short_mm, lesion.short_mm),
            *zip(self._measured_ranges, lesion.measured_numbers, strict=True),
            (self.location, lesion.location),
            (self.study_date, lesion.study_date),
        )
        sources = self.tag_sources
        tags = {
            tag.term for tag in lesion.tags if tag.holds and (not sources or tag.source in sources)
        }
        return (
            all(not choice or value in choice for choice, value in wanted)
            and not any(value in choice for choice, value in unwanted)
            and all(limits is None or value in limits for limits, value in ranges)
            and self.tags <= tags
            and not self.excluded_tags & tags
            and (not sources or bool(tags))
            and (not self.categories or lesion.category in self.categories)
            and lesion.category not in self.excluded_categories
        )
