"""A parameter of a command that stands for several options: a frozen dataclass of them.

Typer knows one option a parameter. ``with_groups`` shows it the fields of every dataclass instead,
and puts the dataclass together again when the command is called.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, get_type_hints

NoReturnValue = Callable[..., None]


def with_groups(command: NoReturnValue) -> NoReturnValue:
    """The command with the fields of its dataclasses as options of their own.

    A field's annotation is that of an option, its default the option's; parameters keep their
    order. Raises TypeError where two of them have one name.
    """
    hints = get_type_hints(command, include_extras=True)
    groups = {
        name: hint for name, hint in hints.items() if isinstance(hint, type) and is_dataclass(hint)
    }
    shown: list[inspect.Parameter] = []
    for name, parameter in inspect.signature(command).parameters.items():
        if name in groups:
            shown.extend(_options(groups[name]))
        else:
            option = parameter.replace(annotation=hints[name])
            shown.append(option.replace(kind=inspect.Parameter.KEYWORD_ONLY))

    @functools.wraps(command)
    def run(**given: Any) -> None:
        for name, group in groups.items():
            taken = {field.name: given.pop(field.name) for field in fields(group)}
            given[name] = group(**taken)
        command(**given)

    annotations = {option.name: option.annotation for option in shown}
    if len(annotations) < len(shown):
        raise TypeError(f"two options of {command.__name__} have one name")
    run.__annotations__ = annotations
    run.__signature__ = inspect.Signature(shown)  # type: ignore[attr-defined]
    return run


def _options(group: type) -> list[inspect.Parameter]:
    hints = get_type_hints(group, include_extras=True)
    return [
        inspect.Parameter(
            field.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=inspect.Parameter.empty if field.default is MISSING else field.default,
            annotation=hints[field.name],
        )
        for field in fields(group)
    ]
