"""The house keeps its rooms: how many modules a folder holds, how long, and named how."""

from __future__ import annotations

import ast
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("retrieval", "index", "service")
MODULES = sorted(path for name in PACKAGES for path in (ROOT / name).rglob("*.py"))
TESTS = sorted((ROOT / "tests").rglob("*.py"))
SCRIPTS = sorted((ROOT / "service" / "web").rglob("*.js"))

MOST_MODULES = 15
MOST_LINES = 350
MOST_PARAMETERS = 6
MOST_OPTIONS = 12
"""Parameters of a command, each an option or a group of them."""


def shown(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


def functions(tree: ast.Module) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def parameters(function: ast.FunctionDef | ast.AsyncFunctionDef) -> list[str]:
    given = function.args
    named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
    return [one.arg for one in named if one.arg not in {"self", "cls"}]


def test_the_packages_are_where_they_are_looked_for():
    assert len(MODULES) > 200
    assert len(SCRIPTS) > 20
    assert len(TESTS) > 200


def test_a_folder_holds_at_most_fifteen_modules():
    modules = [path for path in (*MODULES, *SCRIPTS) if path.name != "__init__.py"]
    held = Counter((shown(path.parent), path.suffix) for path in modules)
    assert {folder: count for folder, count in held.items() if count > MOST_MODULES} == {}


def test_a_module_and_a_test_module_are_at_most_350_lines_long():
    counted = (*MODULES, *SCRIPTS, *TESTS)
    lengths = {shown(path): len(path.read_text().splitlines()) for path in counted}
    assert {path: lines for path, lines in lengths.items() if lines > MOST_LINES} == {}


def test_a_file_does_not_repeat_its_folders_name():
    repeating = [
        shown(path)
        for path in (*MODULES, *SCRIPTS)
        if path.stem == path.parent.name or path.stem.startswith(f"{path.parent.name}_")
    ]
    assert repeating == []


def test_no_two_public_classes_have_one_name():
    where: dict[str, list[str]] = defaultdict(list)
    for path in MODULES:
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                where[node.name].append(shown(path))
    assert {name: paths for name, paths in where.items() if len(paths) > 1} == {}


def test_a_function_has_at_most_six_parameters_and_a_command_twelve():
    for path in MODULES:
        is_command = (ROOT / "service" / "commands") in path.parents
        most = MOST_OPTIONS if is_command else MOST_PARAMETERS
        for function in functions(ast.parse(path.read_text())):
            assert len(parameters(function)) <= most, f"{shown(path)}: {function.name}"


@pytest.mark.parametrize("package", PACKAGES)
def test_a_package_tells_that_it_is_typed(package):
    assert (ROOT / package / "py.typed").is_file()
