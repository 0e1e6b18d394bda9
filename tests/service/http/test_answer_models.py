"""Models made of dataclasses: the fields, words and forms of what is answered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from typing import get_args

import numpy as np
import pytest
from pydantic import BaseModel, ValidationError

from retrieval.lesion import Box, LesionType, Split
from service.http.schemas.answer import answer_of, json_type
from service.http.schemas.search import LesionOut


@dataclass(frozen=True)
class Inner:
    """An inner thing."""

    kind: LesionType


@dataclass(frozen=True)
class Outer:
    """An outer thing.

    It has two paragraphs.

    Attributes:
        box: where it lies,
            told over two lines.
        inner: what it holds.
    """

    box: Box
    inner: tuple[Inner, ...]
    day: date | None = None
    shares: Mapping[str, float] | None = None
    secret: int = 0


@answer_of(Inner)
class InnerOut(BaseModel):
    pass


@answer_of(Outer, omit=["secret"])
class OuterOut(BaseModel):
    extra: str


def test_a_model_has_the_fields_the_words_and_the_forms_of_its_dataclass():
    schema = OuterOut.model_json_schema()
    assert schema["description"] == "An outer thing.\n\nIt has two paragraphs."
    assert set(schema["required"]) == {"box", "inner", "day", "shares", "extra"}
    assert schema["properties"]["box"]["description"] == "where it lies, told over two lines."
    assert schema["properties"]["inner"]["items"] == {"$ref": "#/$defs/InnerOut"}
    sent = {"box": [1, 2, 3, 4], "inner": [{"kind": "liver"}], "day": None, "shares": None}
    assert OuterOut.model_validate({**sent, "extra": "x"}).model_dump()["inner"] == sent["inner"]


def test_an_enum_is_one_of_its_values():
    assert set(get_args(json_type(Split))) == {one.value for one in Split}
    with pytest.raises(ValidationError):
        InnerOut.model_validate({"kind": "spleen"})


def test_what_has_no_form_in_json_is_told_when_the_model_is_made():
    @dataclass
    class Odd:
        """Odd."""

        plane: np.ndarray  # type: ignore[type-arg]

    Odd.__annotations__["plane"] = np.ndarray
    with pytest.raises(TypeError, match="no form in an answer"):

        @answer_of(Odd)
        class OddOut(BaseModel):
            pass


def test_a_lesion_of_an_answer_has_what_to_json_writes(archive):
    (lesion, *_) = archive.lesions
    assert set(LesionOut.model_fields) == set(lesion.to_json())
    assert LesionOut.model_validate(lesion.to_json()).model_dump(mode="json") == lesion.to_json()
