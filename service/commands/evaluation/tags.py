"""``lesion-search evaluate tags``: terms read from phrases, and terms told from images."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.lesion import LesionSearchError
from service.commands.options import EncoderOption, JsonFlag, ResamplesOption, SeedOption
from service.console import answer, answer_json

if TYPE_CHECKING:
    from numpy.random import Generator


class EvaluateTagsError(LesionSearchError):
    """Options of ``evaluate tags`` that name no protocol."""


def tags(
    phrases: Annotated[
        Path | None, typer.Option(help="LesaNet's hand-labelled phrases: terms read from text.")
    ] = None,
    terms: Annotated[
        Path | None,
        typer.Option(help="A file with `term_list`: only these terms count. Default: all."),
    ] = None,
    archive: Annotated[
        Path | None, typer.Option("--archive", help="Rated nodules: terms told from the image.")
    ] = None,
    head: Annotated[
        Path | None, typer.Option(help="A head of `train tags`. Default: the bundled one.")
    ] = None,
    encoder: EncoderOption = None,
    resamples: ResamplesOption = 1000,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Evaluate terms of phrases (micro F1, exact sets) or of images (AUC, F1), beside baselines.

    Only test-split nodules count, whose patients neither encoder nor head has seen.
    """
    import numpy as np

    if (phrases is None) == (archive is None):
        raise EvaluateTagsError("give either --phrases or --archive")
    generator = np.random.default_rng(seed)
    if phrases is not None:
        document = _of_phrases(phrases, terms, (generator, resamples))
    else:
        document = _of_images(Path(str(archive)), head, encoder, (generator, resamples))
    if as_json:
        answer_json(document)
    else:
        answer(*_lines(document))


def _of_phrases(file: Path, terms: Path | None, drawing: tuple[Generator, int]) -> dict[str, Any]:
    from retrieval.evaluation.labels.phrases import load_phrases, score_phrases, simple_readings
    from retrieval.labels.text.reading import text_reader

    labelled, reader = load_phrases(file), text_reader()
    counted: Sequence[str] = list(reader.vocabulary.terms)
    if terms is not None:
        try:
            counted = json.loads(terms.read_text(encoding="utf-8"))["term_list"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise EvaluateTagsError(f"{terms} has no `term_list` ({error})") from error
    found: dict[str, list[Sequence[str]]] = {"this reader": []}
    for one in labelled:
        found["this reader"].append(reader.read(one.text).relevant)
        for method, read in simple_readings(reader.vocabulary, one.text).items():
            found.setdefault(method, []).append(sorted(read))
    generator, resamples = drawing
    return {
        "phrases": len(labelled),
        "terms": len(counted),
        "methods": {
            method: score_phrases(labelled, read, counted, generator, resamples=resamples).to_json()
            for method, read in found.items()
        },
    }


def _of_images(
    archive: Path, head: Path | None, encoder: Path | None, drawing: tuple[Generator, int]
) -> dict[str, Any]:
    from retrieval.embedding.encoder import LesionEncoder
    from retrieval.evaluation.labels.rated import score_rated
    from retrieval.labels.appearance.weights_file import BUNDLED_HEAD, TagHead
    from retrieval.lesion import Split
    from retrieval.sources.archive import open_archive
    from service.commands.models.train_tags import rated_lesions

    loaded, chosen = LesionEncoder.load(encoder), TagHead.load(head or BUNDLED_HEAD)
    chosen.check_encoder(loaded.fingerprint)
    lesions = rated_lesions(open_archive(archive), loaded, only=Split.TEST)
    generator, resamples = drawing
    scores = score_rated(chosen, lesions, generator, resamples=resamples)
    above = [one.average_precision for one in scores if one.is_above]
    return {
        "head": chosen.name,
        "encoder": loaded.fingerprint,
        "terms": [one.to_json() for one in scores],
        "predicted": [one.name for one in chosen.terms if one.is_predicted],
        "mean_average_precision_above_baselines": sum(above) / len(above) if above else None,
    }


def _lines(document: dict[str, Any]) -> list[str]:
    if "methods" in document:
        return [
            f"{method}: F1 {_told(one['f1'])}, exact {_told(one['exact'])}"
            for method, one in document["methods"].items()
        ]
    return [
        f"{one['term']}: AUC {_told(one['auc'])}, F1 {_told(one['f1'])}, best baseline "
        f"{max(one['baselines'].values()):.3f}: "
        f"{'predicted' if one['term'] in document['predicted'] else 'not predicted'}"
        for one in document["terms"]
    ]


def _told(estimate: dict[str, Any]) -> str:
    if estimate["value"] is None or estimate["low"] is None:
        return str(estimate["value"])
    return f"{estimate['value']:.3f} ({estimate['low']:.3f} to {estimate['high']:.3f})"
