"""A head on rated nodules of the test split, each term beside diameter and densities."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from retrieval.evaluation.labels.terms import TermQuestion, TermScores, score_term
from retrieval.labels.appearance.densities import CALCIUM_PLACE, COUNT, NAMES, WIDTH_PLACE
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
    patients: NDArray[np.str_],
    generator: Generator,
    *,
    resamples: int = 1000,
) -> list[TermScores]:
    """The scores of every term on the key slices of the test split.

    Args:
        head: fitted on other patients.
        lesions: all of the archive.
        patients: the patient of each lesion.
        generator: draws the resamples.
        resamples: how many.
    """
    tested = (lesions.splits == Split.TEST.value) & lesions.is_key
    _, owners = np.unique(patients[tested], return_inverse=True)
    told = head.probabilities(lesions.features[tested]).astype(np.float64)
    first = lesions.features.shape[1] - COUNT
    floors = {
        name: lesions.features[tested][:, first + place].astype(np.float64)
        for name, place in FLOORS.items()
    }
    return [
        score_term(
            TermQuestion(
                term.name, lesions.truth[term.name][tested], told[:, column], term.threshold
            ),
            floors,
            owners.astype(np.int64),
            generator,
            resamples=resamples,
        )
        for column, term in enumerate(head.terms)
        if term.name in lesions.truth
    ]
