"""``lesion-search train``: one command from archives to an encoder or a detector file."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer

from retrieval.lesion import LesionSearchError
from service.commands.options import JsonFlag
from service.console import answer_fields, answer_json, progress_bar, say


class TrainError(LesionSearchError):
    """Options of ``train`` that make no run."""


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(help="Train a model on archives.", rich_markup_mode=None)
    group.callback()(lambda: None)
    group.command()(encoder)
    group.command()(detector)
    app.add_typer(group, name="train")


def encoder(
    archive: Annotated[
        list[Path], typer.Option("--archive", help="An archive; repeat it to mix several.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The run's folder: cache, log, encoder.")],
    recipe: Annotated[
        str, typer.Option(help="A bundled recipe (tiny, small, dlg-vgg16) or a TOML file.")
    ] = "small",
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value: one change of the recipe; repeatable."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, ... Default: a GPU when there is one.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Train an encoder on the train split of one or more archives.

    Run again with the same options after an interruption, it goes on from the last checkpoint.
    """
    from retrieval.embedding.recipe import load_recipe
    from retrieval.embedding.train import Reports, train_encoder
    from retrieval.sources.deeplesion import DeepLesionArchive

    chosen = load_recipe(recipe, dict(_change(text) for text in change or []))
    sources = [DeepLesionArchive.open(folder) for folder in archive]
    with progress_bar("patches cut") as cutting, progress_bar("steps") as stepping:
        reports = Reports(cache=cutting, step=lambda done, total, _: stepping(done, total))
        trained = train_encoder(sources, chosen, out, device=device, reports=reports)
    if os.environ.get("RANK", "0") != "0":
        return
    answered = {
        "encoder": str(trained.path),
        "fingerprint": trained.fingerprint,
        "recipe": chosen.name,
        "steps": trained.steps,
        "lesions": trained.lesions,
    }
    if as_json:
        answer_json(answered)
    else:
        answer_fields(answered, title="Trained encoder")
        say(f"loss curve: {out / 'loss_curve.png'}")


def detector(
    archive: Annotated[
        list[Path], typer.Option("--archive", help="An archive; repeat it to mix several.")
    ],
    out: Annotated[Path, typer.Option("--out", help="The run's folder: cache, log, detector.")],
    recipe: Annotated[
        str, typer.Option(help="A bundled recipe (tiny, small, 3dce-27) or a TOML file.")
    ] = "small",
    change: Annotated[
        list[str] | None,
        typer.Option("--set", help="section.key=value: one change of the recipe; repeatable."),
    ] = None,
    device: Annotated[
        str | None, typer.Option(help="cpu, cuda, cuda:1, ... Default: a GPU when there is one.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Train a lesion detector on the train split of one or more archives.

    Run again with the same options after an interruption, it goes on from the last checkpoint.
    """
    from retrieval.detection.recipe import load_detector_recipe
    from retrieval.detection.train import DetectorReports, train_detector
    from retrieval.sources.deeplesion import DeepLesionArchive

    chosen = load_detector_recipe(recipe, dict(_change(text) for text in change or []))
    sources = [DeepLesionArchive.open(folder) for folder in archive]
    with progress_bar("slices cut") as cutting, progress_bar("steps") as stepping:
        reports = DetectorReports(cutting, lambda done, total, _: stepping(done, total))
        trained = train_detector(sources, chosen, out, device=device, reports=reports)
    if os.environ.get("RANK", "0") != "0":
        return
    answered = {
        "detector": str(trained.path),
        "fingerprint": trained.fingerprint,
        "recipe": chosen.name,
        "steps": trained.steps,
        "slices": trained.slices,
    }
    if as_json:
        answer_json(answered)
    else:
        answer_fields(answered, title="Trained detector")
        say(f"loss curve: {out / 'loss_curve.png'}")


def _change(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise TrainError(f"--set {text!r} is not a change: write section.key=value")
    return key.strip(), value.strip()
