"""Options that several commands share, written once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

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
