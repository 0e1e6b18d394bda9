"""The size and shape of the code: modules, lines, folders, functions, parameters, import levels.

    python benchmarks/structure.py [ROOT ...]     # a table, one column a checkout
    python benchmarks/structure.py [ROOT ...] --index I --image F --box B

The second form also counts the modules that a posted image passes (``posted_image.py``). Writes
benchmarks/results/structure.json.

Counts Python of the three packages and the page's JavaScript; tests and benchmarks are left out.
An import level is the longest chain of imports below a module, cycles taken as one.
"""

from __future__ import annotations

import argparse
import ast
import json
import os
import statistics
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PACKAGES = ("retrieval", "index", "service")
RESULT = Path(__file__).parent / "results" / "structure.json"


@dataclass(frozen=True)
class Function:
    """One function: where, how many lines, how many parameters."""

    name: str
    lines: int
    parameters: int


def modules(root: Path, package: str) -> list[Path]:
    """Python modules of a package, packages' own maps included."""
    return sorted(path for path in (root / package).rglob("*.py"))


def functions(path: Path) -> Iterator[Function]:
    """Every function and method of a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = node.args
            named = [*given.posonlyargs, *given.args, *given.kwonlyargs]
            own = [one for one in named if one.arg not in ("self", "cls")]
            yield Function(node.name, (node.end_lineno or 0) - node.lineno + 1, len(own))


def imports(root: Path) -> dict[str, set[str]]:
    """Module name to the project's modules that it imports when it is loaded."""
    names = {_name(root, path): path for package in PACKAGES for path in modules(root, package)}
    found: dict[str, set[str]] = {}
    for name, path in names.items():
        targets = set()
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.ImportFrom) and node.module:
                inner = [f"{node.module}.{alias.name}" for alias in node.names]
                targets |= {one for one in [*inner, node.module] if one in names}
        found[name] = targets - {name}
    return found


def levels(graph: dict[str, set[str]]) -> int:
    """The longest chain of imports; a module that is being visited ends a chain."""
    depth: dict[str, int] = {}

    def visit(name: str, open_: frozenset[str]) -> int:
        if name not in depth:
            below = [visit(one, open_ | {name}) for one in graph[name] if one not in open_]
            depth[name] = 1 + max(below, default=0)
        return depth[name]

    return max(visit(name, frozenset()) for name in graph)


def facts(root: Path) -> dict[str, str]:
    """Name to value of everything that is counted."""
    found: dict[str, str] = {}
    every = [path for package in PACKAGES for path in modules(root, package)]
    for package in PACKAGES:
        files = modules(root, package)
        lines = [len(path.read_text().splitlines()) for path in files]
        found[f"{package}: modules"] = str(len(files))
        found[f"{package}: lines"] = f"{sum(lines):,}"
        found[f"{package}: median module"] = f"{statistics.median(lines):.0f}"
    scripts = sorted((root / "service" / "web").rglob("*.js"))
    found["web: modules"] = str(len(scripts))
    found["web: lines"] = f"{sum(len(path.read_text().splitlines()) for path in scripts):,}"
    folders: dict[Path, int] = {}
    for path in [*every, *scripts]:
        if path.name != "__init__.py":
            folders[path.parent] = folders.get(path.parent, 0) + 1
    fullest = max(folders, key=lambda folder: folders[folder])
    found["fullest folder"] = f"{folders[fullest]} ({fullest.relative_to(root)})"
    longest = max(every, key=lambda path: len(path.read_text().splitlines()))
    length = len(longest.read_text().splitlines())
    found["longest module"] = f"{length} ({longest.relative_to(root)})"
    all_functions = [function for path in every for function in functions(path)]
    long_ = max(all_functions, key=lambda function: function.lines)
    wide = max(all_functions, key=lambda function: function.parameters)
    found["longest function"] = f"{long_.lines} ({long_.name})"
    found["functions over 50 lines"] = str(sum(one.lines > 50 for one in all_functions))
    found["median function"] = f"{statistics.median(one.lines for one in all_functions):.0f}"
    found["most parameters"] = f"{wide.parameters} ({wide.name})"
    found["import levels"] = str(levels(imports(root)))
    return found


def _name(root: Path, path: Path) -> str:
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def passed(root: Path, asked: argparse.Namespace) -> dict[str, str]:
    """How many modules a posted image passes, as the code of the checkout answers it."""
    script = Path(__file__).with_name("posted_image.py")
    command = [sys.executable, str(script), "--index", str(asked.index.resolve())]
    command += ["--image", str(asked.image.resolve()), "--box", asked.box]
    told = subprocess.run(
        command,
        env={**os.environ, "PYTHONPATH": str(root)},
        check=True,
        stdout=subprocess.PIPE,
        text=True,
    )
    document = json.loads(told.stdout)
    return {
        "posted image: modules": str(document["modules"]),
        "posted image: in the service": str(document["in_the_service"]),
        "posted image: in the decoder": str(document["in_the_decoder"]),
        **{f"posted image: {name}": str(count) for name, count in document["packages"].items()},
    }


def main() -> None:
    """Prints a Markdown table of one or several checkouts."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("roots", type=Path, nargs="*", default=[Path(__file__).parents[1]])
    parser.add_argument("--index", type=Path)
    parser.add_argument("--image", type=Path)
    parser.add_argument("--box")
    asked = parser.parse_args()
    roots = asked.roots
    columns = [facts(root.resolve()) for root in roots]
    if asked.index is not None:
        columns = [
            {**column, **passed(root.resolve(), asked)}
            for column, root in zip(columns, roots, strict=True)
        ]
    named = {root.resolve().name: column for root, column in zip(roots, columns, strict=True)}
    RESULT.write_text(json.dumps(named, indent=1) + "\n")
    print("| | " + " | ".join(root.resolve().name for root in roots) + " |")
    print("| --- " * (len(roots) + 1) + "|")
    for name in columns[0]:
        print(f"| {name} | " + " | ".join(column.get(name, "0") for column in columns) + " |")


if __name__ == "__main__":
    main()
