from __future__ import annotations

import re
from pathlib import Path

import pytest

from benchmarks.readme_scores import PAGES, written

README = Path(__file__).parents[2] / "README.md"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_a_pages_scores_are_those_of_the_saved_reports(path: Path) -> None:
    page = path.read_text()
    assert page.count("<!-- scores:") == page.count("<!-- end -->") >= 2
    assert written(page) == page, "run `python benchmarks/readme_scores.py`"


def test_a_changed_number_is_noticed() -> None:
    page = README.read_text()
    table = page.index("<!-- scores: encoder -->")
    number = re.compile(r"0\.\d{3}").search(page, table)
    assert number is not None
    changed = page[: number.start()] + "0.999" + page[number.end() :]
    assert written(changed) == page
