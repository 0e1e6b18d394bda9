"""Recipes as frozen dataclasses read from TOML; a misspelt key is an error with its path."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, TypeVar, get_origin, get_type_hints

from retrieval.lesion import LesionSearchError

_Config = TypeVar("_Config")


class RecipeError(LesionSearchError):
    """A recipe with a misspelt key or a value of the wrong kind."""


def read_config(
    kind: type[_Config], name_or_path: str | Path, *, bundled: Path, changes: Mapping[str, str]
) -> _Config:
    """A recipe of ``kind``: one of the folder ``bundled`` by name, or a TOML file.

    ``changes`` are ``section.key`` to value, applied last; the recipe's name is the file's.

    Raises:
        RecipeError: no such recipe, a key the recipe does not have, or a value of another kind.
    """
    path = Path(name_or_path)
    if path.suffix != ".toml":
        path = bundled / f"{name_or_path}.toml"
    if not path.is_file():
        known = ", ".join(sorted(recipe.stem for recipe in bundled.glob("*.toml")))
        raise RecipeError(f"recipe {str(name_or_path)!r} is not a file nor one of {known}")
    try:
        table = tomllib.loads(path.read_text())
        for key, value in changes.items():
            _set(table, key.split("."), value)
    except tomllib.TOMLDecodeError as error:
        raise RecipeError(f"recipe {path} is not valid TOML: {error}") from None
    return build_config(kind, {"name": path.stem, **table}, where=path.name)


def build_config(kind: type[_Config], table: Mapping[str, Any], *, where: str) -> _Config:
    """A frozen dataclass of nested dataclasses from a table; raises RecipeError with the path."""
    hints = get_type_hints(kind)
    known = {item.name for item in fields(kind)}  # type: ignore[arg-type]
    if unknown := sorted(set(table) - known):
        raise RecipeError(f"{where} has no key {unknown[0]!r}: one of {', '.join(sorted(known))}")
    values = {}
    for key, value in table.items():
        path = f"{where}: {key}"
        hint = hints[key]
        if isinstance(hint, type) and is_dataclass(hint):
            if not isinstance(value, dict):
                raise RecipeError(f"{path} is {value!r}: a table [{key}] is needed")
            values[key] = build_config(hint, value, where=path)
        else:
            values[key] = _plain(hint, value, path)
    return kind(**values)


def _plain(hint: Any, value: Any, path: str) -> Any:
    if get_origin(hint) is tuple:
        if not isinstance(value, list):
            raise RecipeError(f"{path} is {value!r}: a list is needed")
        return tuple(tuple(item) if isinstance(item, list) else item for item in value)
    if get_origin(hint) is dict:
        if not isinstance(value, dict):
            raise RecipeError(f"{path} is {value!r}: a table of numbers is needed")
        return {key: _plain(float, number, f"{path}.{key}") for key, number in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if hint in (int, float, bool, str) and type(value) is not hint:
        raise RecipeError(f"{path} is {value!r}: {hint.__name__} is needed")
    return value


def _set(table: dict[str, Any], keys: list[str], text: str) -> None:
    """Applies one ``--set`` change; the text is a TOML value, or else a plain string."""
    try:
        value = tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        value = text
    for depth, key in enumerate(keys[:-1], start=1):
        table = table.setdefault(key, {})
        if not isinstance(table, dict):
            raise RecipeError(
                f"{'.'.join(keys)} cannot be set: {'.'.join(keys[:depth])} is a value"
            )
    table[keys[-1]] = value
