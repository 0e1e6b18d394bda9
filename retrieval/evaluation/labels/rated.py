"""A head on rated nodules of the test split, each term beside diameter and densities."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from retrieval.evaluation.labels.terms import TermQuestion, TermScores, score_term
from retrieval.labels.appearance.densities import CALCIUM_PLACE, NAMES, WIDTH_PLACE
from retrieval.labels.appearance.image_numbers import COUNT
from retrieval.labels.appearance.learning.fitting import Fitted
from retrieval.labels.appearance.learning.nodule_head import RatedLesions
from retrieval.labels.appearance.weights_file import TagHead
from retrieval.lesion import Split

FLOORS = {
    "diameter of the box": WIDTH_PLACE,
    "share above 200 HU": CALCIUM_PLACE,
    "median density": NAMES.index("quantile 0.5"),
}
"""Single numbers that a term must be told better than."""


def score_rated(
    head: TagHead,
    lesions: RatedLesions,
    generator: Generator,
    *,
    resamples: int = 1000,
) -> list[TermScores]:
    """The scores of every term on the key slices of the test split.

    Args:
        head: fitted on other patients.
        lesions: all of the archive.
        generator: draws the resamples.
        resamples: how many.
    """
    tested = (lesions.splits == Split.TEST.value) & lesions.is_key
    told = head.probabilities(lesions.features[tested]).astype(np.float64)
    baselines = baselines_of(lesions, tested)
    return [
        score_term(
            TermQuestion(
                term.name, lesions.truth[term.name][tested], told[:, column], term.threshold
            ),
            baselines,
            lesions.owners[tested],
            generator,
            resamples=resamples,
        )
        for column, term in enumerate(head.terms)
        if term.name in lesions.truth
    ]


def score_held_out(
    fits: Mapping[str, Fitted],
    lesions: RatedLesions,
    generator: Generator,
    *,
    resamples: int = 1000,
) -> list[TermScores]:
    """The scores of the terms that take no vector, on key slices outside the test split.

    Each lesion is told by a fit without its patient's fold, so that many more lesions than the
    test split has can show whether such a term is above its baselines. Arguments are those of
    ``score_rated``.
    """
    judged = (lesions.splits != Split.TEST.value) & lesions.is_key
    baselines = baselines_of(lesions, judged)
    found = []
    for name, fit in fits.items():
        if fit.held_out is None:
            continue
        logits = fit.term.slope * fit.held_out[judged] + fit.term.offset
        told = 1.0 / (1.0 + np.exp(-logits))
        asked = TermQuestion(name, lesions.truth[name][judged], told, fit.term.threshold)
        owners = lesions.owners[judged]
        found.append(score_term(asked, baselines, owners, generator, resamples=resamples))
    return found


def baselines_of(lesions: RatedLesions, rows: NDArray[np.bool_]) -> dict[str, NDArray[np.float64]]:
    """Each of ``FLOORS`` of the rows, (rows,)."""
    first = lesions.features.shape[1] - COUNT
    return {
        name: lesions.features[rows][:, first + place].astype(np.float64)
        for name, place in FLOORS.items()
    }
