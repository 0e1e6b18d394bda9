"""A linear head on the features of rated nodules."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from retrieval.labels.appearance.learning.fitting import (
    FitRows,
    Fitted,
    fit_term,
    linear_network,
    standardised,
)
from retrieval.labels.appearance.weights_file import TagHead
from retrieval.lesion import LesionType, Split


@dataclass(frozen=True)
class RatedLesions:
    """Lesions with what is known of their terms.

    Attributes:
        features: (lesions, features) of ``features_of``.
        truth: 1, 0 or NaN of each lesion for each term.
        splits: (lesions,) values of Split.
        is_key: (lesions,) whether the row is a lesion's key slice; other rows only train.
        patients: (lesions,) the patient of each.
    """

    features: NDArray[np.float32]
    truth: Mapping[str, NDArray[np.float64]]
    splits: NDArray[np.str_]
    is_key: NDArray[np.bool_]
    patients: NDArray[np.str_]

    @property
    def owners(self) -> NDArray[np.int64]:
        """The patient of each lesion, as a number."""
        numbers: NDArray[np.int64] = np.unique(self.patients, return_inverse=True)[1]
        return numbers.astype(np.int64)


def fit_head(
    lesions: RatedLesions, *, encoder: str, name: str
) -> tuple[TagHead, dict[str, Fitted]]:
    """The head of the training and validation patients, with what was chosen for each term."""
    rows = FitRows(
        lesions.splits == Split.TRAIN.value,
        lesions.splits == Split.VALIDATION.value,
        lesions.is_key,
        lesions.owners,
    )
    inputs, mean, spread = standardised(lesions.features, rows.both)
    fits = {term: fit_term(term, inputs, holds, rows) for term, holds in lesions.truth.items()}
    network = linear_network(fits, mean, spread)
    terms = tuple(one.term for one in fits.values())
    head = TagHead(network, terms, encoder=encoder, name=name, types=(LesionType.LUNG,))
    return head, fits


def with_claims(head: TagHead, above: Mapping[str, bool]) -> TagHead:
    """The head that predicts only the terms that are above their baselines."""
    terms = tuple(replace(one, is_predicted=above.get(one.name, False)) for one in head.terms)
    return TagHead(head.network, terms, encoder=head.encoder, name=head.name, types=head.types)
