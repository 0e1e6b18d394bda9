"""``lesion-search export-encoder``: the encoder as ONNX or torch.export, for other programs."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from service.commands.options import JsonFlag
from service.console import answer_fields, answer_json


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("export-encoder")(export_encoder)


def export_encoder(
    out: Annotated[Path, typer.Argument(help="The file to write: .onnx or .pt2.")],
    encoder: Annotated[
        Path | None,
        typer.Option("--encoder", help="An encoder (.safetensors). Default: the bundled one."),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Write an encoder as an ONNX file (.onnx) or a torch.export program (.pt2).

    Inputs: hu (n, slices, size, size) in HU and boxes (n, 4) in patch pixels. Output: unit vectors.
    """
    from retrieval.embedding.encoder import BUNDLED_ENCODER
    from retrieval.embedding.external.exporting import export_encoder as export

    export(encoder or BUNDLED_ENCODER, out)
    answered = {
        "encoder": str(encoder or "bundled"),
        "written": str(out),
        "bytes": out.stat().st_size,
    }
    answer_json(answered) if as_json else answer_fields(answered, title="Export")
