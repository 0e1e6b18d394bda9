"""``lesion-search train``: one command from images to a model, each in a file of its own."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.lesion import LesionSearchError
from service.commands.models.train_tags import tags
from service.commands.options import JsonFlag
from service.console import answer_fields, answer_json, progress_bar, say
from service.extras import Extra, need_extra

if TYPE_CHECKING:
    from retrieval.sources.archive import Archive

ArchivesOption = Annotated[
    list[Path], typer.Option("--archive", help="An archive; repeat it to mix several.")
]
RunOption = Annotated[Path, typer.Option("--out", help="The run's folder: cache, log, weights.")]
ChangesOption = Annotated[
    list[str] | None,
    typer.Option("--set", help="section.key=value: one change of the recipe; repeatable."),
]
DeviceOption = Annotated[
    str | None, typer.Option(help="cpu, cuda, cuda:1, ... Default: a GPU when there is one.")
]


class TrainError(LesionSearchError):
    """Options of ``train`` that make no run."""


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(help="Train a model on archives.", rich_markup_mode=None)
    group.callback()(lambda: None)
    group.command()(encoder)
    group.command()(detector)
    group.command()(position)
    group.command()(segmentation)
    group.command()(multitask)
    group.command()(tags)
    app.add_typer(group, name="train")


def encoder(
    archive: ArchivesOption,
    out: RunOption,
    recipe: Annotated[
        str,
        typer.Option(
            help="A bundled recipe (tiny, small, robust, steady, together, dlg-vgg16) or a TOML "
            "file."
        ),
    ] = "small",
    change: ChangesOption = None,
    device: DeviceOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train an encoder on the train split of one or more archives.

    Run again with the same options after an interruption, it goes on from the last checkpoint.
    """
    need_extra(Extra.TRAIN)
    from retrieval.embedding.recipe import load_recipe
    from retrieval.embedding.train import train_encoder
    from retrieval.training.loop import Reports

    chosen = load_recipe(recipe, _changes(change))
    sources = _opened(archive)
    with progress_bar("patches cut") as cutting, progress_bar("steps") as stepping:
        reports = Reports(cache=cutting, step=lambda done, total, _: stepping(done, total))
        trained = train_encoder(sources, chosen, out, device=device, reports=reports)
    facts = {
        "encoder": str(trained.path),
        "fingerprint": trained.fingerprint,
        "recipe": chosen.name,
        "steps": trained.steps,
        "lesions": trained.lesions,
    }
    _tell(facts, out, title="Trained encoder", as_json=as_json)


def detector(
    archive: ArchivesOption,
    out: RunOption,
    recipe: Annotated[
        str, typer.Option(help="A bundled recipe (tiny, small, 3dce-27) or a TOML file.")
    ] = "small",
    change: ChangesOption = None,
    device: DeviceOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train a lesion detector on the train split of one or more archives.

    Run again with the same options after an interruption, it goes on from the last checkpoint.
    """
    need_extra(Extra.TRAIN)
    from retrieval.detection.recipe import load_detector_recipe
    from retrieval.detection.train import train_detector
    from retrieval.training.loop import Reports

    chosen = load_detector_recipe(recipe, _changes(change))
    sources = _opened(archive)
    with progress_bar("slices cut") as cutting, progress_bar("steps") as stepping:
        reports = Reports(cutting, lambda done, total, _: stepping(done, total))
        trained = train_detector(sources, chosen, out, device=device, reports=reports)
    facts = {
        "detector": str(trained.path),
        "fingerprint": trained.fingerprint,
        "recipe": chosen.name,
        "steps": trained.steps,
        "slices": trained.slices,
    }
    _tell(facts, out, title="Trained detector", as_json=as_json)


def position(
    source: Annotated[
        list[Path],
        typer.Option(
            "--source",
            help="A folder of whole series: index.csv and 16-bit PNGs (HU + 32768). Repeatable.",
        ),
    ],
    out: RunOption,
    recipe: Annotated[str, typer.Option(help="A bundled recipe (small) or a TOML file.")] = "small",
    change: ChangesOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train the body position network on real series, by order, distance and landmarks.

    Run again with the same options after an interruption, it goes on from the last checkpoint.
    """
    from retrieval.position.learning.recipe import load_height_recipe
    from retrieval.position.learning.train import train_position

    chosen = load_height_recipe(recipe, _changes(change))
    with progress_bar("steps") as stepping:
        trained = train_position(
            source, chosen, out, report=lambda done, total, _: stepping(done, total)
        )
    facts = {
        "position": str(trained.path),
        "fingerprint": trained.fingerprint,
        "recipe": chosen.name,
        "steps": trained.steps,
        "series": trained.series,
        "slices": trained.slices,
    }
    _tell(facts, out, title="Trained body position network", as_json=as_json)


def segmentation(
    out: RunOption,
    nodules: Annotated[
        Path | None, typer.Option(help="The folder of lung nodules with masks (LIDC-IDRI).")
    ] = None,
    sarcomas: Annotated[
        Path | None, typer.Option(help="The folder of soft-tissue sarcomas with masks.")
    ] = None,
    source: Annotated[
        list[Path] | None,
        typer.Option(
            "--source",
            help="A folder of whole series to paint lesions into: index.csv and 16-bit PNGs "
            "(HU + 32768). Repeatable.",
        ),
    ] = None,
    marked: Annotated[
        list[Path] | None,
        typer.Option(
            "--marked",
            help="An archive whose RECIST marks have no masks: pseudo masks are made of its train "
            "split, in rounds (recipe weak). Repeatable.",
        ),
    ] = None,
    recipe: Annotated[
        str, typer.Option(help="A bundled recipe (small, refine, weak) or a TOML file.")
    ] = "small",
    change: ChangesOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train the mask network on lesions with masks, painted lesions, phantoms and bare marks.

    Run again with the same options after an interruption, it goes on from the last checkpoint.
    """
    from retrieval.segmentation.learning.recipe import load_mask_recipe
    from retrieval.segmentation.learning.train import MaskSources, train_segmentation
    from retrieval.training.loop import Reports

    chosen = load_mask_recipe(recipe, _changes(change))
    sources = MaskSources(nodules, sarcomas, tuple(source or ()), tuple(marked or ()))
    with progress_bar("phantoms made") as making, progress_bar("steps") as stepping:
        reports = Reports(making, lambda done, total, _: stepping(done, total))
        trained = train_segmentation(sources, chosen, out, reports=reports)
    facts = {
        "segmentation": str(trained.path),
        "fingerprint": trained.fingerprint,
        "recipe": chosen.name,
        "steps": trained.steps,
        "lesions": dict(trained.lesions),
    }
    _tell(facts, out, title="Trained mask network", as_json=as_json)


def multitask(
    out: RunOption,
    nodules: Annotated[
        Path | None, typer.Option(help="The folder of lung nodules with masks and ratings.")
    ] = None,
    sarcomas: Annotated[
        Path | None, typer.Option(help="The folder of soft-tissue sarcomas with masks.")
    ] = None,
    source: Annotated[
        list[Path] | None,
        typer.Option("--source", help="Whole series to paint lesions into. Repeatable."),
    ] = None,
    archive: Annotated[
        list[Path] | None,
        typer.Option(
            "--archive", help="An archive whose detections the refinement learns from. Repeatable."
        ),
    ] = None,
    detector: Annotated[
        Path | None, typer.Option(help="The detector whose maps are read. Default: the bundled.")
    ] = None,
    recipe: Annotated[str, typer.Option(help="A bundled recipe (small) or a TOML file.")] = "small",
    change: ChangesOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Train heads for masks, tags and refined scores on a detector that stays as it is.

    Run again with the same options after an interruption, it goes on from the last checkpoint.
    """
    need_extra(Extra.TRAIN)
    from retrieval.detection.detector import LesionDetector
    from retrieval.multitask.learning.recipe import load_multitask_recipe
    from retrieval.multitask.learning.train import MultitaskSources, train_heads
    from retrieval.segmentation.learning.train import MaskSources
    from retrieval.training.loop import Reports

    chosen = load_multitask_recipe(recipe, _changes(change))
    masks = MaskSources(nodules, sarcomas, tuple(source or ()))
    sources = MultitaskSources(masks, tuple(_opened(archive or [])))
    with progress_bar("lesions") as making, progress_bar("steps") as stepping:
        reports = Reports(making, lambda done, total, _: stepping(done, total))
        loaded = LesionDetector.load(detector)
        trained = train_heads(loaded, sources, chosen, out, reports=reports)
    facts = {
        "heads": str(trained.path),
        "fingerprint": trained.fingerprint,
        "detector": loaded.fingerprint,
        "recipe": chosen.name,
        "steps": trained.steps,
        "lesions": dict(trained.lesions),
        "refinement": dict(trained.refinement),
    }
    _tell(facts, out, title="Trained heads", as_json=as_json)


def _opened(archives: list[Path]) -> list[Archive]:
    from retrieval.sources.archive import open_archive

    return [open_archive(folder) for folder in archives]


def _changes(texts: list[str] | None) -> dict[str, str]:
    return dict(_change(text) for text in texts or [])


def _change(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise TrainError(f"--set {text!r} is not a change: write section.key=value")
    return key.strip(), value.strip()


def _tell(facts: dict[str, Any], out: Path, *, title: str, as_json: bool) -> None:
    """Answers; of the processes of one run on several GPUs the first alone does."""
    if os.environ.get("RANK", "0") != "0":
        return
    if as_json:
        answer_json(facts)
    else:
        answer_fields(facts, title=title)
        say(f"loss curve: {out / 'loss_curve.png'}")
