"""LesionQuery: what the engine is asked, parsed once for CLI, HTTP, PACS and notebook."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from typing import Self, TypedDict, Unpack

from index.filters.lesion_filter import LesionFilter
from retrieval.grid import Grid, GridMap
from retrieval.lesion import Box, LesionSearchError, Recist, parse_numbers

Point = tuple[float, float]
"""(x, y) in 0-based pixels of the key slice."""

SpacingMm = tuple[float, float, float]
"""Millimetres along x, along y and from slice to slice."""

Numbers = str | Sequence[float]
"""Comma-separated numbers as a user writes them, or the numbers themselves."""


class QueryError(LesionSearchError):
    """A query the engine cannot answer."""


class QueryFields(TypedDict, total=False):
    """The fields of a query as a command line, a form or a JSON document brings them."""

    box: Numbers | None
    recist: Numbers | None
    point: Numbers | None
    candidate: int | None
    lesion_id: str | None
    vector: Numbers | None
    key_slice_index: int | None
    spacing: Numbers | None
    series: str | None
    assume_hu: bool
    patient_id: str | None
    study_id: str | None
    study_date: date | str | None
    k: int
    where: str | None
    grid: str
    text: str | None


@dataclass(frozen=True)
class ImageChoice:
    """Which slice of an image is meant, and what its file does not tell.

    Attributes:
        key_slice_index: the series' own number of the key slice; None for the middle one.
        spacing_mm: for images whose files hold no spacing, as PNGs outside an archive.
        series: which one of several DICOM series, by its number in the list or its UID.
        assume_hu: the user's word that the values are HU, whatever they look like.
    """

    key_slice_index: int | None = None
    spacing_mm: SpacingMm | None = None
    series: str | None = None
    assume_hu: bool = False

    @classmethod
    def parse(
        cls,
        *,
        key_slice_index: int | None = None,
        spacing: Numbers | None = None,
        series: str | None = None,
        assume_hu: bool = False,
    ) -> Self:
        """The choice as a user writes it; raises LesionError for a spacing that is none."""
        if spacing is None:
            return cls(key_slice_index, series=series, assume_hu=assume_hu)
        text = _text(spacing)
        x, y, interval = parse_numbers(text, count=3, name="spacing", form="x,y,interval in mm")
        return cls(key_slice_index, (x, y, interval), series, assume_hu)


@dataclass(frozen=True)
class LesionQuery:
    """The lesion to search with, whose it is, and which hits are wanted.

    The lesion is marked on an image by ``box``, by ``recist``, or by choosing among the detector's
    proposals with ``point`` or ``candidate`` (the best proposal if there is nothing); or it is an
    indexed lesion, or a bare vector.

    Attributes:
        box: in pixels of the key slice.
        recist: the RECIST mark, long diameter first.
        point: chooses the detector's best proposal that holds it.
        candidate: chooses the proposal of this rank, from 1.
        lesion_id: an indexed lesion; patient and study are then its own.
        vector: of the index's encoder, of any length but zero.
        patient_id: that patient's lesions are left out of the hits and searched for follow-ups.
        study_id: the query's own study, left out of the follow-ups.
        study_date: its day, which says what is prior and what is current.
        k: how many hits.
        where: which lesions may be hits.
        text: words that the hits must fit; alone they are the query, beside a lesion they order
            its neighbours anew.
        image: which slice the mark lies on, for whoever reads the image.
        grid: what box, mark and point are in, and the boxes of the answer.
    """

    box: Box | None = None
    recist: Recist | None = None
    point: Point | None = None
    candidate: int | None = None
    lesion_id: str | None = None
    vector: tuple[float, ...] | None = None
    patient_id: str | None = None
    study_id: str | None = None
    study_date: date | None = None
    k: int = 10
    where: LesionFilter = field(default_factory=LesionFilter)
    image: ImageChoice = field(default_factory=ImageChoice)
    grid: Grid = Grid.FILE
    text: str | None = None

    def __post_init__(self) -> None:
        if self.k < 1:
            raise QueryError(f"k is {self.k}: ask for at least 1 similar lesion")
        if self.box is not None and self.recist is not None:
            raise QueryError("both a box and a RECIST mark are given: give one of them")
        if sum((self.is_marked, self.point is not None, self.candidate is not None)) > 1:
            raise QueryError("give one of a box or RECIST mark, a point, and a candidate's number")
        if self.lesion_id is not None and self.vector is not None:
            raise QueryError("both a lesion's id and a vector are given: give one of them")

    @property
    def is_marked(self) -> bool:
        """Whether the lesion's box is given, so that no detector is asked."""
        return self.box is not None or self.recist is not None

    def in_file_grid(self, image: GridMap) -> LesionQuery:
        """The same query in the file grid of an image with that map."""
        if self.grid is Grid.FILE:
            return self
        return replace(
            self,
            box=None if self.box is None else image.to_file_box(self.box),
            recist=None if self.recist is None else image.to_file_recist(self.recist),
            point=None if self.point is None else image.to_file_point(self.point),
            grid=Grid.FILE,
        )

    @classmethod
    def parse(cls, **fields: Unpack[QueryFields]) -> Self:
        """The query of fields as a user writes them; a field that is None or absent says nothing.

        Raises:
            QueryError: more than one way to choose the lesion, or ``k`` below 1.
            LesionError: numbers that are none, or a box or mark that cannot be.
            FilterError: ``where`` cannot be read.
        """
        box, recist = fields.get("box"), fields.get("recist")
        point, vector = fields.get("point"), fields.get("vector")
        where = fields.get("where")
        return cls(
            box=None if box is None else Box.parse(_text(box)),
            recist=None if recist is None else Recist.parse(_text(recist)),
            point=None if point is None else _point(_text(point)),
            candidate=fields.get("candidate"),
            lesion_id=fields.get("lesion_id"),
            vector=None if vector is None else _vector(_text(vector)),
            patient_id=fields.get("patient_id"),
            study_id=fields.get("study_id"),
            study_date=_day(fields.get("study_date")),
            k=fields.get("k", 10),
            where=LesionFilter() if where is None else LesionFilter.parse(where),
            grid=_grid(fields.get("grid", Grid.FILE)),
            text=(fields.get("text") or "").strip() or None,
            image=ImageChoice.parse(
                key_slice_index=fields.get("key_slice_index"),
                spacing=fields.get("spacing"),
                series=fields.get("series"),
                assume_hu=fields.get("assume_hu", False),
            ),
        )


def _grid(text: str) -> Grid:
    try:
        return Grid(text)
    except ValueError:
        raise QueryError(f"grid {text!r} is unknown: file or display") from None


def _day(written: date | str | None) -> date | None:
    if written is None or isinstance(written, date):
        return written
    try:
        return date.fromisoformat(written)
    except ValueError:
        raise QueryError(f"the study's date {written!r} is none: write 2024-05-17") from None


def _point(text: str) -> Point:
    x, y = parse_numbers(text, count=2, name="point", form="x,y")
    return x, y


def _vector(text: str) -> tuple[float, ...]:
    numbers = text.strip().removeprefix("[").removesuffix("]")
    count = numbers.count(",") + 1
    form = "numbers, comma-separated"
    return tuple(parse_numbers(numbers, count=count, name="vector", form=form))


def _text(numbers: Numbers) -> str:
    if isinstance(numbers, str):
        return numbers
    return ",".join(repr(float(number)) for number in numbers)
