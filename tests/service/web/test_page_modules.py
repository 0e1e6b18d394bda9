"""The page's modules: small, in folders by subject, checked against the API as it is now."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path

from tests.service.web.api_types import SNAPSHOT, declarations

ROOT = Path(__file__).parents[3]
WEB = ROOT / "service" / "web"
MOST_MODULES, MOST_LINES = 15, 350
BELOW = {
    "core": set(),
    "viewer": {"core"},
    "search": {"core", "viewer"},
    "patient": {"core", "viewer"},
    "categories": {"core"},
    "map": {"core"},
    "mining": {"core"},
}
"""What the modules of each folder may import beside their own folder."""


def modules():
    return sorted(WEB.rglob("*.js"))


def test_the_folders_are_those_of_the_design():
    assert {folder.name for folder in WEB.iterdir() if folder.is_dir()} == set(BELOW)
    counted = Counter(module.parent.name for module in modules())
    assert max(counted.values()) <= MOST_MODULES
    for module in modules():
        assert module.parent.name not in module.stem.split("_"), module
        assert len(module.read_text().splitlines()) <= MOST_LINES, module


def test_a_folder_imports_only_from_those_below_it():
    """A folder within one of them counts as that one."""
    for module in modules():
        folder = module.relative_to(WEB).parts[0]
        allowed = BELOW.get(folder, set(BELOW)) | {folder}
        for target in re.findall(r'from "(\.[^"]+)"', module.read_text()):
            taken = (module.parent / target).resolve().relative_to(WEB.resolve()).parts[0]
            assert taken in allowed, (module, target)


def test_the_types_that_the_page_is_checked_with_are_those_of_the_api():
    made = declarations(json.loads(SNAPSHOT.read_text()))
    assert (Path(__file__).parent / "api.d.ts").read_text() == made, (
        "run `python -m tests.service.web.api_types > tests/service/web/api.d.ts`"
    )
