"""Models of answers, made of the frozen dataclasses that are answered: no field is written twice.

A dataclass that ``to_json`` writes field by field becomes a model by

    @answer_of(Hit)
    class HitOut(BaseModel): ...

with the fields, the docstring and the ``Attributes:`` of the dataclass. A ``Box`` and every tuple
are lists in JSON, a date is text, an enum one of its values, a dataclass the model that was made
of it before. What ``to_json`` writes otherwise is written in the class; what it leaves out is
named in ``omit``.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import types
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from enum import Enum
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from pydantic import BaseModel, Field, create_model

from retrieval.lesion import Box

Numbers = list[float]

Model = TypeVar("Model", bound=BaseModel)

_PLAIN: dict[Any, Any] = {
    **{one: one for one in (str, int, float, bool, type(None), Any)},
    Box: Numbers,
    date: str,
}
_made: dict[type, type[BaseModel]] = {}
"""The model of each dataclass, for the fields of others that hold it."""


def answer_of(source: type, *, omit: Sequence[str] = ()) -> Callable[[type[Model]], type[Model]]:
    """A class decorator that adds the fields of a dataclass to a model.

    Raises TypeError for a field that has no form in JSON: annotate it in the class, or omit it.
    """

    def complete(model: type[Model]) -> type[Model]:
        hints = get_type_hints(source)
        words = _described(source)
        fields: dict[str, Any] = {}
        for field in dataclasses.fields(source):
            name = field.name
            if name not in omit and name not in model.model_fields:
                fields[name] = (json_type(hints[name]), Field(description=words.get(name)))
        made = create_model(
            model.__name__,
            __base__=model,
            __module__=model.__module__,
            __doc__=model.__doc__ or _summary(source),
            **fields,
        )
        _made[source] = made
        return made

    return complete


def json_type(hint: Any) -> Any:
    """The type that a dataclass field has in JSON; raises TypeError where there is none."""
    if isinstance(hint, type) and issubclass(hint, Enum):
        return Literal[tuple(one.value for one in hint)]
    return _PLAIN[hint] if hint in _PLAIN else _made.get(hint) or _compound(hint)


def _compound(hint: Any) -> Any:
    origin, parts = get_origin(hint), get_args(hint)
    if origin is Literal:
        return Literal[tuple(one.value if isinstance(one, Enum) else one for one in parts)]
    if origin in (Union, types.UnionType):
        return Union[tuple(json_type(part) for part in parts)]  # noqa: UP007
    if origin is tuple:
        (one,) = {json_type(part) for part in parts if part is not Ellipsis}
        return list[one]  # type: ignore[valid-type]
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return dict[str, json_type(parts[1])]  # type: ignore[misc]
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return list[json_type(parts[0])]  # type: ignore[misc]
    raise TypeError(f"{hint} has no form in an answer: annotate the field, or omit it")


def _summary(source: type) -> str:
    """The docstring up to its list of attributes."""
    return inspect.cleandoc(source.__doc__ or "").partition("\nAttributes:")[0].strip()


def _described(source: type) -> dict[str, str]:
    """What the docstring's ``Attributes:`` say of each field; None is null in JSON."""
    listed = inspect.cleandoc(source.__doc__ or "").partition("\nAttributes:\n")[2]
    found = re.findall(r"^    (\w+): (.*(?:\n {8,}.*)*)", listed, re.MULTILINE)
    return {name: re.sub(r"\bNone\b", "null", " ".join(words.split())) for name, words in found}
