"""Search by words on lesions of patients that nothing was trained on: mean average precision.

    python benchmarks/word_search_quality.py --nodules NODULES --phantoms FIT UNSEEN --out F.json

Nodules: the test patients, with the tags that the bundled head gives them. Phantoms: a head is
trained on FIT, its terms are judged on all of FIT's patients, each told by a head that was fitted
without its fold of them, and UNSEEN, whose types are hidden, is searched. A term is searched if its
head is worth a tag there (``evaluate tags``); the others are listed. Each term is typed as a
search; a lesion that no hit names ranks last. Chance is the share of the lesions that have the
term. Intervals are 95 %, over resampled patients.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit, logit

from index.catalog.reader import EncoderBinding, LesionRecord
from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from retrieval.embedding.encoder import LesionEncoder
from retrieval.evaluation.labels.rated import baselines_of
from retrieval.evaluation.labels.terms import TermQuestion, average_precision_of, score_term
from retrieval.labels.appearance.learning.nodule_head import RatedLesions, fit_head, with_claims
from retrieval.labels.appearance.learning.ratings import rated_terms
from retrieval.labels.appearance.lesion_features import lesion_features
from retrieval.labels.appearance.prediction import predicted_tags
from retrieval.labels.appearance.weights_file import TagHead
from retrieval.labels.place import place_tags
from retrieval.labels.vocabulary.bundled import vocabulary
from retrieval.lesion import ImageSource, Lesion, LesionType, Split
from retrieval.sources.archive import open_archive
from retrieval.tag import strongest
from service.engine.words.search import WordSearch

RESAMPLES = 1000
FOLDS = 5
SOURCE = ImageSource("archive", "image.png", (1.0, 1.0), 1.0)
Truth = dict[str, NDArray[np.float64]]


@dataclass(frozen=True)
class Asked:
    """Lesions to be searched: with tags, vectors, and what is true of each term."""

    lesions: Sequence[Lesion]
    vectors: NDArray[np.float32]
    truth: Truth


def main() -> None:
    """Prints and writes the scores of both collections."""
    options = argparse.ArgumentParser()
    options.add_argument("--nodules", type=Path)
    options.add_argument("--phantoms", type=Path, nargs=2, metavar=("FIT", "UNSEEN"))
    options.add_argument("--out", type=Path)
    given = options.parse_args()
    encoder = LesionEncoder.load()
    found: dict[str, Any] = {"encoder": encoder.fingerprint}
    if given.nodules is not None:
        found["nodules"] = of_nodules(given.nodules, encoder)
    if given.phantoms is not None:
        fit, unseen = given.phantoms
        found["phantoms"] = of_phantoms(fit, unseen, encoder)
    text = json.dumps(found, indent=1)
    print(text)
    if given.out is not None:
        given.out.write_text(text + "\n", encoding="utf-8")


def of_nodules(path: Path, encoder: LesionEncoder) -> dict[str, Any]:
    """The bundled head's terms on the nodules of the test patients."""
    head = TagHead.load()
    head.check_encoder(encoder.fingerprint)
    archive = open_archive(path)
    rated = [
        one
        for one in archive.lesions
        if one.split is Split.TEST
        and "texture" in archive.attributes.get(one.lesion_id, {})
        and archive.attributes[one.lesion_id].get("next_slice") != 1
    ]
    lesions, features = read(path, rated, encoder)
    rows = [archive.attributes[one.lesion_id] for one in lesions]
    names = sorted({name for row in rows for name in row})
    truth = rated_terms({n: np.array([row.get(n, np.nan) for row in rows]) for n in names})
    return scored(tagged(lesions, features, head, truth), head)


def of_phantoms(fit: Path, unseen: Path, encoder: LesionEncoder) -> dict[str, Any]:
    """Terms of a head trained on one set of phantoms, searched on another."""
    lesions, features = read(fit, open_archive(fit).lesions, encoder)
    patients = np.array([one.patient_id for one in lesions])
    known = Known(features, phantom_terms(fit, lesions), patients)
    head, _ = fit_head(known.parted(0), encoder=encoder.fingerprint, name="phantoms")
    head = with_claims(head, worth_a_tag(known, encoder.fingerprint))
    asked, features = read(unseen, open_archive(unseen).lesions, encoder)
    truth = phantom_terms(unseen, asked)
    hidden = [one.with_changes(lesion_type=LesionType.UNKNOWN) for one in asked]
    return scored(tagged(hidden, features, head, truth), head)


@dataclass(frozen=True)
class Known:
    """Phantoms of which every term is known: features, truth and patients of the lesions."""

    features: NDArray[np.float32]
    truth: Truth
    patients: NDArray[np.str_]

    def parted(self, fold: int) -> RatedLesions:
        """The lesions with one fold of the patients as test and the next as validation."""
        folds = (np.unique(self.patients, return_inverse=True)[1] - fold) % FOLDS
        names = {0: Split.TEST.value, 1: Split.VALIDATION.value}
        splits = np.array([names.get(one, Split.TRAIN.value) for one in folds.tolist()])
        keys = np.ones(len(folds), np.bool_)
        return RatedLesions(self.features, self.truth, splits, keys, self.patients)


def worth_a_tag(known: Known, encoder: str) -> dict[str, bool]:
    """Which terms are worth a tag, each lesion told by a head without its fold of the patients."""
    told = {term: np.zeros(len(known.patients)) for term in known.truth}
    for fold in range(FOLDS):
        parted = known.parted(fold)
        head, _ = fit_head(parted, encoder=encoder, name="phantoms")
        tested = parted.splits == Split.TEST.value
        found = head.probabilities(known.features[tested]).astype(np.float64)
        for column, term in enumerate(head.terms):
            # A fold's own threshold becomes a half, so that one threshold holds for all folds.
            shift = np.log(term.threshold / (1.0 - term.threshold))
            told[term.name][tested] = expit(logit(found[:, column]) - shift)
    generator = np.random.default_rng(0)
    every = known.parted(0)
    baselines = baselines_of(every, np.ones(len(every.patients), np.bool_))
    return {
        term: score_term(
            TermQuestion(term, known.truth[term], scores, 0.5), baselines, every.owners, generator
        ).is_predicted
        for term, scores in told.items()
    }


def phantom_terms(path: Path, lesions: Sequence[Lesion]) -> Truth:
    """What is true of phantoms: their type with all it implies, and what they were painted with.

    A lesion of the liver is one of the abdomen, for the vocabulary as for whoever types the word.
    """
    known = vocabulary()
    attributes = open_archive(path).attributes
    rows = [attributes.get(one.lesion_id, {}) for one in lesions]

    def drawn(name: str, least: float) -> NDArray[np.float64]:
        return np.array([float(row.get(name, 0.0) > least) for row in rows])

    def holds(kind: LesionType, term: LesionType) -> bool:
        return kind is term or (
            kind is not LesionType.UNKNOWN and term.value in known.ancestors(kind.value)
        )

    truth = {
        kind.value: np.array([float(holds(one.lesion_type, kind)) for one in lesions])
        for kind in LesionType
        if kind is not LesionType.UNKNOWN
    }
    return truth | {
        "calcified": drawn("calcification", 0.0),
        "ground-glass opacity": drawn("ground_glass", 0.0),
        "necrosis": drawn("necrosis", 0.0),
        "spiculated": drawn("spiculation", 0.0),
        "lobular": drawn("lobulation", 0.5),
        "indistinct": drawn("margin_softness", 0.3),
    }


def read(
    path: Path, lesions: Sequence[Lesion], encoder: LesionEncoder
) -> tuple[list[Lesion], NDArray[np.float32]]:
    """The lesions that can be read, with their features."""
    groups = list(lesion_features(open_archive(path), lesions, encoder))
    kept = [lesion for group in groups for lesion in group.lesions]
    return kept, np.concatenate([group.features for group in groups])


def tagged(
    lesions: Sequence[Lesion], features: NDArray[np.float32], head: TagHead, truth: Truth
) -> Asked:
    """Lesions with the tags of their type and of their image."""
    known = vocabulary()
    own = predicted_tags(head, features, known)
    named = [
        one.with_changes(tags=strongest([*place_tags(one, known), *tags]))
        for one, tags in zip(lesions, own, strict=True)
    ]
    return Asked(named, features[:, : LesionEncoder.load().dimension], truth)


def scored(asked: Asked, head: TagHead) -> dict[str, Any]:
    """The average precision of each term that is worth a tag, and their mean."""
    searched = [one.name for one in head.terms if one.is_predicted and one.name in asked.truth]
    ranks = {term: ranks_of(asked, term) for term in searched}
    owners = np.unique([one.patient_id for one in asked.lesions], return_inverse=True)[1]
    places = [np.flatnonzero(owners == owner) for owner in range(owners.max() + 1)]

    def mean_over(rows: NDArray[np.int64]) -> float:
        found = [average_precision_of(-ranks[t][rows], asked.truth[t][rows] == 1) for t in searched]
        return float(np.nanmean(found))

    generator = np.random.default_rng(0)
    drawn = [
        mean_over(
            np.concatenate([places[one] for one in generator.integers(0, len(places), len(places))])
        )
        for _ in range(RESAMPLES)
    ]
    every = np.arange(len(asked.lesions))
    terms = {
        term: {
            "lesions": int(np.nansum(asked.truth[term])),
            "average_precision": average_precision_of(-ranks[term], asked.truth[term] == 1),
            "chance": float(np.nanmean(asked.truth[term])),
        }
        for term in searched
    }
    return {
        "lesions": len(asked.lesions),
        "patients": len(places),
        "mean_average_precision": mean_over(every),
        "low": float(np.quantile(drawn, 0.025)),
        "high": float(np.quantile(drawn, 0.975)),
        "chance": float(np.mean([one["chance"] for one in terms.values()])),
        "terms": terms,
        "not_searched": [one.name for one in head.terms if one.name not in terms],
    }


def ranks_of(asked: Asked, term: str) -> NDArray[np.float64]:
    """The rank of each lesion in a search for the term; lesions that are no hit come last."""
    count = len(asked.lesions)
    with tempfile.TemporaryDirectory() as folder:
        binding = EncoderBinding("searched", "searched", asked.vectors.shape[1])
        with LesionIndex.create(Path(folder) / "index", binding) as index:
            index.add(
                LesionRecord(lesion, vector / np.linalg.norm(vector), SOURCE)
                for lesion, vector in zip(asked.lesions, asked.vectors, strict=True)
            )
            search = WordSearch(index)
            hits = search.hits(search.parse(term), LesionFilter(), count)
    rank = {hit.lesion.lesion_id: float(hit.rank) for hit in hits}
    return np.array([rank.get(one.lesion_id, count + 1.0) for one in asked.lesions])


if __name__ == "__main__":
    main()
