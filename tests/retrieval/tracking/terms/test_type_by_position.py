"""Types by position: certain where known, likely where located, silent where nothing is known."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from retrieval.lesion import Box, Lesion, LesionType
from retrieval.tracking.terms.type_by_position import TYPES, type_by_position


def lesion(**fields: object) -> Lesion:
    return Lesion("a", "P", "1", "1", 1, Box(0, 0, 9, 9)).with_changes(**fields)


def test_a_known_type_is_certain_and_nothing_known_says_nothing() -> None:
    types = type_by_position()
    known = types.likelihood(lesion(lesion_type=LesionType.LIVER, location=(0.5, 0.5, 0.1)))
    assert known[TYPES.index(LesionType.LIVER)] == known.sum() == 1.0
    assert types.likelihood(lesion()).tolist() == [1.0] * 8
    assert types.share.sum() == pytest.approx(1.0)


def test_a_location_tells_by_the_distributions_widened_by_its_error() -> None:
    types = type_by_position()
    where, error = (0.3, 0.4, 0.6), (0.01, 0.02, 0.05)
    found = types.likelihood(lesion(location=where, location_error=error))
    density = np.array(
        [
            stats.multivariate_normal.pdf(where, mean, cov + np.diag(np.square(error)))
            for mean, cov in zip(types.mean, types.cov, strict=True)
        ]
    )
    assert found == pytest.approx(density / density.max())


def test_the_likeliest_type_of_a_place_is_the_organ_there_and_a_coarse_place_tells_less() -> None:
    types = type_by_position()

    def posterior(error: float) -> np.ndarray:
        errors = (error,) * 3
        place = types.likelihood(lesion(location=(0.25, 0.45, 0.6), location_error=errors))
        return place * types.share / (place * types.share).sum()

    sharp, coarse = posterior(0.01), posterior(0.5)
    assert TYPES[int(sharp.argmax())] is LesionType.LIVER
    assert sharp.max() > 0.6
    assert np.abs(coarse - types.share).max() < 0.15
