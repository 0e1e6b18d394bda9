"""Functions, methods and classes that nothing uses: a check beside ruff and mypy.

    python -m tests.unused_code

What only a test uses counts as unused. Used is what the packages, the benchmarks or a notebook
name, a route, a validator, a model made of a dataclass, and what a registry names as a string
``package.module:name``. Fields and attributes are not judged: answers and DICOM files have them.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

from vulture import Vulture

ROOT = Path(__file__).parents[1]
PACKAGES = ("retrieval", "index", "service")
JUDGED = {"function", "method", "property", "class"}
DECORATORS = ["@*router.*", "@answer_of*", "@field_validator*", "@model_validator*"]
REGISTERED = re.compile(r'"[\w.]+:(\w+)"')
CALLED_BY_OTHERS = {
    "process_ids": "tests end a decoder in the middle of its work",
}
"""Name to the reason why it stays."""


def unused(root: Path) -> list[str]:
    """``file:line: unused kind 'name'`` of everything that nothing uses."""
    vulture = Vulture(ignore_decorators=DECORATORS)
    vulture.scavenge([root / name for name in (*PACKAGES, "benchmarks")])
    known = set(CALLED_BY_OTHERS)
    for notebook in (root / "notebooks").glob("*.ipynb"):
        known |= set(re.findall(r"\w+", notebook.read_text()))
    for package in PACKAGES:
        for path in (root / package).rglob("*.py"):
            known |= set(REGISTERED.findall(path.read_text()))
    return [
        f"{Path(item.filename).relative_to(root)}:{item.first_lineno}: "
        f"unused {item.typ} {item.name!r}"
        for item in vulture.get_unused_code(min_confidence=60)
        if item.typ in JUDGED
        and item.name not in known
        and Path(item.filename).relative_to(root).parts[0] in PACKAGES
    ]


if __name__ == "__main__":
    found = unused(ROOT)
    print("\n".join(found) or "No unused functions, methods or classes.")
    sys.exit(bool(found))
