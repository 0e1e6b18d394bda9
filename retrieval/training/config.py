"""Recipes as frozen dataclasses read from TOML; a misspelt key is an error with its path."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar, get_args, get_origin, get_type_hints

from retrieval.lesion import LesionSearchError
from retrieval.training.bounds import beyond

MAX_CHARACTERS = 1 << 20
MAX_ITEMS = 64
MAX_NUMBER = 10**18

_Config = TypeVar("_Config")


class RecipeError(LesionSearchError):
    """A recipe with a misspelt key or a value of the wrong kind."""


class RecipeLoader(Generic[_Config]):
    """Reads the recipes of one network; ``bundled`` is the folder of those it comes with."""

    def __init__(self, kind: type[_Config], bundled: Path) -> None:
        self._kind, self._bundled = kind, bundled

    def __call__(
        self, name_or_path: str | Path, changes: Mapping[str, str] | None = None
    ) -> _Config:
        """A bundled recipe by name, or a TOML file; the recipe's name is the file's.

        ``changes`` are ``section.key`` to value, applied last.

        Raises:
            RecipeError: no such recipe, a key the recipe does not have, a value of another kind
                or beyond its bounds.
        """
        path = Path(name_or_path)
        if path.suffix != ".toml":
            path = self._bundled / f"{name_or_path}.toml"
        if not path.is_file():
            known = ", ".join(sorted(recipe.stem for recipe in self._bundled.glob("*.toml")))
            raise RecipeError(f"recipe {str(name_or_path)!r} is not a file nor one of {known}")
        try:
            table = tomllib.loads(_text(path))
            for key, value in (changes or {}).items():
                _set(table, key.split("."), value)
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
            raise RecipeError(f"recipe {path} is not valid TOML: {error}") from None
        except RecursionError:
            raise RecipeError(f"recipe {path} is nested too deeply to be a recipe") from None
        return build_config(self._kind, {"name": path.stem, **table}, where=path.name)


def build_config(
    kind: type[_Config], table: Mapping[str, Any], *, where: str, section: str = ""
) -> _Config:
    """A frozen dataclass of nested dataclasses from a table; raises RecipeError with the path.

    ``section`` is the table's place in the recipe, with a dot at its end; numbers must lie within
    ``retrieval.training.bounds``.
    """
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
            values[key] = build_config(hint, value, where=path, section=f"{section}{key}.")
            continue
        values[key] = _plain(hint, value, path)
        wrong = beyond(section + key, values[key])
        if wrong is not None:
            raise RecipeError(f"{path}{wrong}")
    try:
        return kind(**values)
    except RecipeError:
        raise
    except LesionSearchError as error:
        raise RecipeError(f"{where}: {error}") from None


def _text(path: Path) -> str:
    with path.open(encoding="utf-8") as file:
        text = file.read(MAX_CHARACTERS + 1)
    if len(text) > MAX_CHARACTERS:
        raise RecipeError(f"recipe {path} has more than {MAX_CHARACTERS} characters: not a recipe")
    return text


def _plain(hint: Any, value: Any, path: str) -> Any:
    if get_origin(hint) is tuple:
        return _list(get_args(hint), value, path)
    if get_origin(hint) is dict:
        if not isinstance(value, dict):
            raise RecipeError(f"{path} is {value!r}: a table of numbers is needed")
        return {key: _plain(float, number, f"{path}.{key}") for key, number in value.items()}
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        if abs(value) > MAX_NUMBER:
            raise RecipeError(f"{path} is a number of {len(str(value))} digits: not a recipe's")
        return float(value)
    if hint in (int, float, bool, str) and type(value) is not hint:
        raise RecipeError(f"{path} is {value!r}: {hint.__name__} is needed")
    return value


def _list(hints: tuple[Any, ...], value: Any, path: str) -> tuple[Any, ...]:
    """A list whose items are of one kind (``tuple[float, ...]``) or of one each."""
    if not isinstance(value, list):
        raise RecipeError(f"{path} is {value!r}: a list is needed")
    if len(value) > MAX_ITEMS:
        raise RecipeError(f"{path} has {len(value)} items: at most {MAX_ITEMS} are accepted")
    kinds = hints[:1] * len(value) if hints[-1] is ... else hints
    if len(value) != len(kinds):
        raise RecipeError(f"{path} has {len(value)} items: {len(kinds)} are needed")
    numbered = enumerate(zip(kinds, value, strict=True))
    return tuple(_plain(kind, item, f"{path}[{n}]") for n, (kind, item) in numbered)


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
