"""A patient's studies in order: by date, or by number where dates are missing."""

from __future__ import annotations

import re
from collections.abc import Iterable
from datetime import date
from typing import Any

from retrieval.lesion import Lesion
from retrieval.tracking.searched import SearchedStudy
from retrieval.tracking.states import OrderedBy
from retrieval.tracking.track_types import StudyOrder

_UID = re.compile(r"\d+(?:\.\d+){3,}")


def order_studies(lesions: Iterable[Lesion], searched: Iterable[SearchedStudy] = ()) -> StudyOrder:
    """The studies of the lesions: by date where every study has one, else by their number.

    Numbers inside ids count as numbers (2 before 10). A study without an id comes last. Studies
    that were only searched are among them.
    """
    days: dict[str, date | None] = {}
    for lesion in lesions:
        days[lesion.study_id] = days.get(lesion.study_id) or lesion.study_date
    searched = tuple(searched)
    for one in searched:
        days[one.study_id] = days.get(one.study_id) or one.study_date
    dated = all(day is not None for day in days.values())

    def place(study_id: str) -> tuple[Any, ...]:
        day = days[study_id] if dated else None
        return (day or date.min, study_id == "", _natural(study_id))

    ids = tuple(sorted(days, key=place))
    ordered_by = OrderedBy.DATE if dated else OrderedBy.NUMBER
    dates = tuple(days[study_id] for study_id in ids)
    return StudyOrder(ids, dates, ordered_by, searched=searched)


def numbers_tell_order(first: str, second: str) -> bool:
    """Whether two study ids of a patient are numbered alike, so that their numbers are an order.

    "000053_03" and "000053_04" are; ids of unlike form are not, and UIDs (PS3.5, 9.1) never: their
    numbers say who made them, not when.
    """
    return _form_of(first) == _form_of(second) and not _UID.fullmatch(first)


def _form_of(text: str) -> str:
    return re.sub(r"\d+", "0", text)


def _natural(text: str) -> tuple[tuple[int, int, str], ...]:
    """A sort key in which runs of digits count as numbers, whatever their length."""
    parts = re.findall(r"\d+|\D+", text)
    return tuple(_number_key(p.lstrip("0")) if p.isdecimal() else (1, 0, p) for p in parts)


def _number_key(digits: str) -> tuple[int, int, str]:
    return (0, len(digits), digits)
