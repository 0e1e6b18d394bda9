"""``lesion-search fit-matcher``: calibrates the matcher for an encoder on an archive's tracks."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from retrieval.lesion import LesionSearchError
from service.commands.options import (
    ArchiveOption,
    EncoderOption,
    FoldsOption,
    JsonFlag,
    ResamplesOption,
    SeedOption,
    parse_splits,
)
from service.console import answer_fields, answer_json, progress_bar


class FitMatcherError(LesionSearchError):
    """Options of ``fit-matcher`` that cannot be obeyed."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("fit-matcher")(fit_matcher_command)


def fit_matcher_command(
    archive: ArchiveOption,
    out: Annotated[
        Path, typer.Option("--out", help="The weights, .json; their card is written beside, .md.")
    ],
    encoder: EncoderOption = None,
    split: Annotated[
        str,
        typer.Option(
            help="Split to fit on: train, val, test, several with commas, or all. Best are those "
            "the encoder was not trained on and that are not evaluated afterwards."
        ),
    ] = "val",
    folds: FoldsOption = 4,
    seed: SeedOption = 0,
    resamples: ResamplesOption = 1000,
    realistic: Annotated[
        bool,
        typer.Option(
            help="First make phantom patients as hard as real ones: scattered locations, missing "
            "marks, inaccurate boxes, marks that cannot be recognised."
        ),
    ] = False,
    spread: Annotated[
        Path | None,
        typer.Option(
            help="With --realistic: an archive of nodules with their next slices (validation "
            "split). Vectors are rotated by the angles found there."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Fit the matcher's weights to lesion tracks that are known, with the encoder in use."""
    from retrieval.embedding.external.opening import open_encoder
    from retrieval.evaluation.tracking.archive_tracks import TrackingOptions, evaluate_patients
    from retrieval.evaluation.tracking.matcher_card import matcher_card
    from retrieval.sources.archive import open_archive
    from retrieval.tracking.fitting.on_archive import save_matcher
    from retrieval.tracking.fitting.realistic import FittingRecipe, fit_by_recipe

    if out.suffix != ".json":
        raise FitMatcherError(f"--out {out.name} must end in .json: the card takes the same name")
    if spread is not None and not realistic:
        raise FitMatcherError("--spread turns the vectors of --realistic patients: give both")
    splits = parse_splits(split)
    source, loaded = open_archive(archive), open_encoder(encoder)
    nodules = None if spread is None else open_archive(spread)
    name = source.root.name
    with progress_bar("lesions") as progress:
        recipe = FittingRecipe(splits, realistic, nodules, seed, progress)
        fitted = fit_by_recipe(source, loaded, recipe, source=f"archive {name}, split {split}")
    model = fitted.model
    options = TrackingOptions(model, splits, folds=folds, seed=seed, resamples=resamples)
    report = evaluate_patients(
        fitted.patients, archive_name=name, encoder_name=loaded.name, options=options
    )
    save_matcher(model, out)
    out.with_suffix(".md").write_text(matcher_card(model, report), encoding="utf-8")
    facts = {
        "matcher": str(out),
        "card": str(out.with_suffix(".md")),
        "encoder": model.encoder,
        "fitted_on": model.fitted_on,
        "abstain": list(model.abstain),
        "left_out": dict(report.left_out),
    }
    answer_json(facts) if as_json else answer_fields(facts, title="Matcher")
