"""``lesion-search train tags``: the head that predicts terms, with its card."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.lesion import LesionSearchError, Split
from service.commands.options import EncoderOption, JsonFlag, ResamplesOption, SeedOption
from service.console import answer_fields, answer_json, progress_bar, say

if TYPE_CHECKING:
    from retrieval.embedding.encoder import LesionEncoder
    from retrieval.labels.appearance.learning.nodule_head import RatedLesions
    from retrieval.sources.archive import Archive


class TrainTagsError(LesionSearchError):
    """Options of ``train tags`` that make no head."""


def tags(
    archive: Annotated[Path, typer.Option("--archive", help="An archive with ratings or labels.")],
    out: Annotated[Path, typer.Option("--out", help="The folder of the head and its card.")],
    labels: Annotated[
        Path | None,
        typer.Option(
            help="LesaNet's label file, for the whole DeepLesion archive: the recipe of all its "
            "terms. Without it the head learns from an archive's nodule ratings."
        ),
    ] = None,
    encoder: EncoderOption = None,
    resamples: ResamplesOption = 1000,
    seed: SeedOption = 0,
    as_json: JsonFlag = False,
) -> None:
    """Train the head that predicts terms from an image, and measure each term beside its baselines.

    Patients of the test split are never trained on. A term that is not above its baselines there is
    kept in the head and never predicted.
    """
    from retrieval.embedding.encoder import LesionEncoder
    from retrieval.sources.archive import open_archive

    source, loaded = open_archive(archive), LesionEncoder.load(encoder)
    out.mkdir(parents=True, exist_ok=True)
    if labels is not None:
        facts = _relational(source, archive / "DL_info.csv", loaded, labels, out)
    else:
        facts = _rated(source, loaded, out, (resamples, seed))
    if as_json:
        answer_json(facts)
    else:
        answer_fields({key: facts[key] for key in ("head", "fingerprint", "terms")}, title="Head")
        say(f"card: {out / 'tags.md'}")


def _rated(
    source: Archive, encoder: LesionEncoder, out: Path, drawing: tuple[int, int]
) -> dict[str, Any]:
    import numpy as np

    from retrieval.evaluation.labels.rated import score_held_out, score_rated
    from retrieval.labels.appearance.learning.card import card_of
    from retrieval.labels.appearance.learning.nodule_head import fit_head, with_claims

    lesions = rated_lesions(source, encoder)
    head, fits = fit_head(lesions, encoder=encoder.fingerprint, name="nodules-2")
    resamples, seed = drawing
    generator = np.random.default_rng(seed)
    scores = score_rated(head, lesions, generator, resamples=resamples)
    others = score_held_out(fits, lesions, generator, resamples=resamples)
    head = with_claims(head, {one.term: one.is_predicted for one in (*scores, *others)})
    fingerprint = head.save(out / "tags.safetensors")
    documents, left_out = ([one.to_json() for one in found] for found in (scores, others))
    tested = (lesions.splits == Split.TEST.value) & lesions.is_key
    patients = len(set(lesions.patients[tested]))
    told = f"{int(tested.sum())} nodules of {patients} patients of the test split"
    (out / "tags.md").write_text(card_of(head, documents, left_out, told), encoding="utf-8")
    chosen = {
        term: {"features": one.features, "validation_auc": one.validation_auc}
        for term, one in fits.items()
    }
    facts = {
        "head": str(out / "tags.safetensors"),
        "fingerprint": fingerprint,
        "encoder": encoder.fingerprint,
        "terms": [one.name for one in head.terms if one.is_predicted],
        "not_predicted": [one.name for one in head.terms if not one.is_predicted],
        "chosen": chosen,
        "scores": documents,
        "held_out": left_out,
    }
    (out / "tags.json").write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
    return facts


def rated_lesions(
    source: Archive, encoder: LesionEncoder, *, only: Split | None = None
) -> RatedLesions:
    """The archive's rated lesions, of one split or of all."""
    import numpy as np

    from retrieval.labels.appearance.learning.nodule_head import RatedLesions
    from retrieval.labels.appearance.learning.ratings import rated_terms
    from retrieval.labels.appearance.lesion_features import lesion_features

    rated = [
        one
        for one in source.lesions
        if "texture" in source.attributes.get(one.lesion_id, {}) and only in (None, one.split)
    ]
    if not rated:
        raise TrainTagsError(
            f"{source.root} has no nodule ratings (attributes.csv with texture, margin, ...): "
            "import one with `lesion-search import lung-nodules`, or give --labels"
        )
    with progress_bar("lesions") as progress:
        groups = list(lesion_features(source, rated, encoder, progress))
    kept = [lesion for group in groups for lesion in group.lesions]
    rows = [source.attributes[lesion.lesion_id] for lesion in kept]
    names = sorted({name for row in rows for name in row})
    ratings = {name: np.array([row.get(name, np.nan) for row in rows]) for name in names}
    return RatedLesions(
        features=np.concatenate([group.features for group in groups]),
        truth=rated_terms(ratings),
        splits=np.array([lesion.split.value for lesion in kept]),
        is_key=ratings.get("next_slice", np.zeros(len(kept))) != 1,
        patients=np.array([lesion.patient_id for lesion in kept]),
    )


def _relational(
    source: Archive, table: Path, encoder: LesionEncoder, labels: Path, out: Path
) -> dict[str, Any]:
    """LesaNet's recipe: every term of the label file, from the lesions that the archive holds."""
    import numpy as np

    from retrieval.labels.appearance.learning.relational import (
        RelationalRecipe,
        exclusive_matrix,
        label_matrix,
        train_relational,
    )
    from retrieval.labels.appearance.lesion_features import lesion_features
    from retrieval.labels.appearance.weights_file import HeadTerm, TagHead
    from retrieval.labels.lesanet_files import lesion_ids_of_rows, load_labels
    from retrieval.labels.vocabulary.bundled import vocabulary

    known, ids = vocabulary(), lesion_ids_of_rows(table)
    mined = {ids[one.row]: one for one in load_labels(labels) if one.row in ids}
    train = [
        lesion
        for lesion in source.lesions
        if lesion.lesion_id in mined and mined[lesion.lesion_id].part == "train"
    ]
    if not train:
        raise TrainTagsError(
            f"none of the lesions in {table} has a label of LesaNet's training part: the archive "
            "must have the rows of the full DL_info.csv in their order"
        )
    with progress_bar("lesions") as progress:
        groups = list(lesion_features(source, train, encoder, progress))
    read = [mined[lesion.lesion_id] for group in groups for lesion in group.lesions]
    terms = sorted({term for one in read for term in one.relevant})
    matrix = label_matrix(
        [one.relevant for one in read],
        [one.uncertain for one in read],
        [one.irrelevant for one in read],
        terms,
        known,
    )
    features = np.concatenate([group.features for group in groups])
    with progress_bar("steps") as progress:
        network = train_relational(
            features, matrix, exclusive_matrix(terms, known), RelationalRecipe(), progress
        )
    head = TagHead(
        network,
        tuple(HeadTerm(term) for term in terms),
        encoder=encoder.fingerprint,
        name="lesanet-recipe",
    )
    fingerprint = head.save(out / "tags.safetensors")
    told = "nothing yet: run `lesion-search evaluate tags --archive A --labels F --head H`"
    (out / "tags.md").write_text(f"# Tags head\n\nMeasured on {told}.\n", encoding="utf-8")
    return {
        "head": str(out / "tags.safetensors"),
        "fingerprint": fingerprint,
        "encoder": encoder.fingerprint,
        "terms": terms,
        "lesions": len(read),
    }
