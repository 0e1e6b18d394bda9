"""Every regular expression of the three packages, timed on text made to keep it busy.

A pattern that tries again from each character takes the square of the text's length, and holds
Python's lock meanwhile: one request then stops the whole service. The patterns of pydantic's fields
are Rust's, which never go back.
"""

from __future__ import annotations

import ast
import contextlib
import re
import time
from importlib import import_module
from pathlib import Path

import pytest

from index.filters.lesion_filter import LesionFilter
from retrieval.lesion import Box, LesionSearchError, LesionType
from retrieval.sources.query_image import _number
from retrieval.tracking.study_order import _natural as natural_study
from service.decoding.unpacking import _natural as natural_entry

ROOT = Path(__file__).parents[1]
PACKAGES = ("retrieval", "index", "service")
METHODS = ("match", "fullmatch", "search", "sub", "split", "findall", "finditer")
LENGTHS = [1 << n for n in range(11, 17)]
ALLOWED_S = 0.25
"""Of the longest text, 65,536 characters: a linear pattern takes milliseconds, others minutes."""

MEASURING_S = 0.05
"""What a pause of a busy machine may add to a time."""

FRAMES = (
    "{}",
    "{}x",
    "{}\n",
    '"{}',
    "1{}x",
    ".{}",
    "1.{}e",
    "type={}x",
    "x=a{}x",
    "mask_{}x",
    "A{}1",
)
UNITS = ("1", "a", " ", "\t", "\\", '"', '\\"', ".", "1.", "a.", " and", "=", "a,", "[", "(", "é")


def patterns() -> dict[str, tuple[re.Pattern[str], str]]:
    """Every pattern written in the packages with the method it is used by, by its place."""
    found = {}
    for package in PACKAGES:
        for file in sorted((ROOT / package).rglob("*.py")):
            tree = ast.parse(file.read_text())
            place = str(file.relative_to(ROOT))
            for node in ast.walk(tree):
                if name_and_method(node) in {("re", method) for method in METHODS}:
                    written, method = written_pattern(node, place), node.func.attr
                    found[f"{place} {method} {written}"] = (re.compile(written), method)
                elif isinstance(node, ast.Assign) and name_and_method(node.value) == (
                    "re",
                    "compile",
                ):
                    name = node.targets[0].id
                    pattern = getattr(import_module(place[:-3].replace("/", ".")), name)
                    # One that is handed on may be used by any method.
                    methods = methods_of(name, tree) or {"search", "sub"}
                    for method in methods:
                        found[f"{place} {method} {pattern.pattern}"] = (pattern, method)
    return found


def name_and_method(node) -> tuple[str, str] | None:
    """``("re", "sub")`` of the call ``re.sub(...)``."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
        return getattr(node.func.value, "id", ""), node.func.attr
    return None


def written_pattern(call: ast.Call, place: str) -> str:
    assert isinstance(call.args[0], ast.Constant), f"{place}: a pattern made at run time"
    return str(call.args[0].value)


def methods_of(name: str, tree: ast.Module) -> set[str]:
    used = (name_and_method(node) for node in ast.walk(tree))
    return {method for owner, method in filter(None, used) if owner == name}


def assert_linear(what) -> None:
    """Twice the text, at most about twice the time; ends at the first text that shows otherwise."""
    for frame in FRAMES:
        for unit in UNITS:
            for length in LENGTHS:
                text = frame.format(unit * (length // len(unit)))
                allowed = ALLOWED_S * length / LENGTHS[-1]
                took = seconds_of(what, text)
                if took > allowed:
                    took = min(took, seconds_of(what, text), seconds_of(what, text))
                assert took < allowed + MEASURING_S, (
                    f"{took:.2f} s for {length} characters that begin with {text[:12]!r}"
                )


def seconds_of(what, text: str) -> float:
    """Of this thread's processor: a busy machine makes no pattern slow."""
    start = time.thread_time()
    what(text)
    return time.thread_time() - start


@pytest.mark.parametrize(("pattern", "method"), patterns().values(), ids=patterns().keys())
def test_no_pattern_takes_more_than_the_length_of_its_text(pattern, method):
    call = getattr(pattern, method)
    if isinstance(pattern.pattern, bytes):
        text_call, call = call, lambda *texts: text_call(*(text.encode() for text in texts))
    if method == "finditer":
        assert_linear(lambda text: list(call(text)))
    elif method == "sub":
        assert_linear(lambda text: call("", text))
    else:
        assert_linear(call)


def quietly(read):
    def call(text):
        with contextlib.suppress(LesionSearchError):
            read(text)

    return call


READERS = {
    "filter": quietly(LesionFilter.parse),
    "box": quietly(Box.parse),
    "type": quietly(LesionType.parse),
    "slice number": lambda text: _number(Path(text.replace("/", "")[:255])),
    "study": natural_study,
    "zip entry": natural_entry,
}


@pytest.mark.parametrize("read", READERS.values(), ids=READERS.keys())
def test_no_reader_of_foreign_text_takes_more_than_its_length(read):
    assert_linear(read)


def test_a_quadratic_pattern_would_be_found():
    with pytest.raises(AssertionError, match="characters that begin with"):
        assert_linear(re.compile(r"\s*=\s*(.*?)\s*", re.DOTALL).search)
