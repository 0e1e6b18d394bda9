"""AIM annotations as one tree, from XML or from ePAD's JSON, which mirrors the XML.

No document type, entity or external reference is ever resolved: AIM has none, and a file that
declares one is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat

from retrieval.sources.marks.mark import Concept, MarkError, short_text

MOST_DEPTH = 64
MOST_NODES = 2_000_000

_BLANK = re.compile(r"~sp\d*~")
_COLOUR = re.compile(r"#[0-9A-Fa-f]{6}$")
_COUNTER = re.compile(r"\s-\s{0,3}-?\d{0,9}$")
_MOST_COUNTERS = 8


@dataclass(eq=False)
class AimNode:
    """One element: attributes and plain values by name, child elements by name, in order."""

    values: dict[str, str] = field(default_factory=dict)
    children: dict[str, list[AimNode]] = field(default_factory=dict)

    def all(self, *path: str) -> Iterator[AimNode]:
        """Every element below by a path of names."""
        if not path:
            yield self
            return
        for child in self.children.get(path[0], ()):
            yield from child.all(*path[1:])

    def first(self, *path: str) -> AimNode:
        """The first element of a path; an empty one where there is none."""
        return next(self.all(*path), AimNode())

    def text(self, *path: str) -> str:
        """The value (``root`` of an identifier, else ``value``) of the first element of a path."""
        node = self.first(*path)
        return short_text(node.values.get("root") or node.values.get("value") or "")

    @property
    def type(self) -> str:
        """The element's ``xsi:type``."""
        return self.values.get("xsi:type", "")

    def concept(self, *path: str) -> Concept:
        """A coded value: the first of a path, with its display name."""
        node = self.first(*path)
        meaning = node.text("displayName") or node.values.get("codeMeaning", "")
        return Concept(
            short_text(node.values.get("code", "")),
            short_text(node.values.get("codeSystemName") or node.values.get("codeSystem", "")),
            meaning,
        )


def aim_tree(content: bytes) -> AimNode:
    """The root of an AIM document; raises MarkError for what is neither XML nor JSON."""
    head = content.lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if head == b"<":
        return _of_xml(content)
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as wrong:
        raise MarkError(f"AIM annotation is not JSON: {short_text(wrong)}") from None
    root = AimNode()
    _fill(root, document if isinstance(document, dict) else {"item": document}, 0)
    return root


def clear_name(text: str) -> str:
    """A name as a person wrote it: ePAD's ``~sp1~`` are blanks, its colour and counter fall off."""
    name = _COLOUR.sub("", _BLANK.sub(" ", text).rstrip()).rstrip().rstrip("~").rstrip()
    for _ in range(_MOST_COUNTERS):
        name = _COUNTER.sub("", name).rstrip()
    return name.strip(" ~-")


def _fill(node: AimNode, fields: dict[Any, Any], depth: int) -> None:
    if depth > MOST_DEPTH:
        raise MarkError(f"AIM annotation nests deeper than {MOST_DEPTH}")
    for key, value in fields.items():
        name = _local(str(key))
        for one in value if isinstance(value, list) else [value]:
            if isinstance(one, dict):
                child = AimNode()
                _fill(child, one, depth + 1)
                node.children.setdefault(name, []).append(child)
            elif isinstance(one, str | int | float):
                node.values.setdefault(name, str(one))


def _local(name: str) -> str:
    return name if name == "xsi:type" else name.rpartition(":")[2]


class _Builder:
    """Builds the tree while expat reads; refuses a document type before anything of it is used."""

    def __init__(self) -> None:
        self.root = AimNode()
        self._open = [self.root]
        self._count = 0

    def start(self, name: str, attributes: dict[str, str]) -> None:
        self._count += 1
        if self._count > MOST_NODES or len(self._open) > MOST_DEPTH:
            raise MarkError("AIM annotation is larger or nests deeper than any is")
        child = AimNode({_local(key): value for key, value in attributes.items()})
        self._open[-1].children.setdefault(_local(name), []).append(child)
        self._open.append(child)

    def end(self, _: str) -> None:
        self._open.pop()

    def words(self, text: str) -> None:
        if text.strip():
            held = self._open[-1].values
            held["value"] = held.get("value", "") + text

    def refuse(self, *_: Any) -> None:
        raise MarkError("AIM annotation declares a document type or entities: it is not read")


def _of_xml(content: bytes) -> AimNode:
    builder = _Builder()
    parser = expat.ParserCreate()
    parser.StartDoctypeDeclHandler = builder.refuse
    parser.EntityDeclHandler = builder.refuse
    parser.StartElementHandler = builder.start
    parser.EndElementHandler = builder.end
    parser.CharacterDataHandler = builder.words
    try:
        parser.Parse(content, True)
    except expat.ExpatError as wrong:
        raise MarkError(f"AIM annotation is not XML: {short_text(wrong)}") from None
    return builder.root
