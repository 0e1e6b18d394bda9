"""Options that several commands share, written once."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.lesion import LesionSearchError, Split, parse_numbers

if TYPE_CHECKING:
    from index.milvus.client import MilvusSettings

JsonFlag = Annotated[
    bool, typer.Option("--json", help="Print one JSON document on stdout and nothing else.")
]
IndexOption = Annotated[Path, typer.Option("--index", help="The index's folder.")]
ArchiveOption = Annotated[
    Path, typer.Option("--archive", help="An archive in DeepLesion's layout.")
]
EncoderOption = Annotated[
    Path | None,
    typer.Option("--encoder", help="An encoder (.safetensors). Default: the bundled one."),
]
MatcherOption = Annotated[
    Path | None,
    typer.Option("--matcher", help="A matcher's weights (.json). Default: the bundled ones."),
]

MilvusOption = Annotated[
    str | None,
    typer.Option(
        "--milvus",
        envvar="LESION_SEARCH_MILVUS_URI",
        help="Search the vectors on the Milvus server at http://HOST:PORT.",
    ),
]
CollectionOption = Annotated[
    str,
    typer.Option(
        "--collection", envvar="LESION_SEARCH_MILVUS_COLLECTION", help="The Milvus collection."
    ),
]
DetectorOption = Annotated[
    Path | None,
    typer.Option("--detector", help="A detector (.safetensors). Default: the bundled one."),
]
ApproximateFlag = Annotated[
    bool,
    typer.Option(
        "--approximate",
        envvar="LESION_SEARCH_APPROXIMATE",
        help="Search the form that `index approximate` built; every answer tells its recall.",
    ),
]
SpacingOption = Annotated[
    str | None, typer.Option(help="x,y,interval in mm, for PNGs outside an archive.")
]

ResamplesOption = Annotated[
    int, typer.Option(min=1, help="Of the patients, for the 95 % intervals.")
]


def milvus_settings(uri: str | None, collection: str) -> MilvusSettings | None:
    """The server a ``--milvus`` names, with the token of the environment; None without one."""
    from index.milvus.client import MilvusSettings

    if not uri:
        return None
    return MilvusSettings(uri, collection, os.environ.get("LESION_SEARCH_MILVUS_TOKEN", ""))


class SplitOptionError(LesionSearchError):
    """A --split that names no split."""


def parse_splits(text: str) -> tuple[Split, ...]:
    """The splits a ``--split`` names, as ``val,test``; empty for ``all``."""
    if text == "all":
        return ()
    known = (Split.TRAIN, Split.VALIDATION, Split.TEST)
    names = {split.value: split for split in known}
    wanted = [name.strip() for name in text.split(",")]
    unknown = [name for name in wanted if name not in names]
    if unknown:
        raise SplitOptionError(f"split {unknown[0]!r} is unknown: {', '.join(names)}, or all")
    return tuple(names[name] for name in wanted)


def parse_spacing(text: str) -> tuple[float, float, float]:
    """The millimetres along x, along y and from slice to slice that a ``--spacing`` names."""
    x, y, interval = parse_numbers(text, count=3, name="spacing", form="x,y,interval in mm")
    return x, y, interval
