"""The window of a lesion whose type is not known: by what lies in and around it."""

from __future__ import annotations

import numpy as np
import pytest

from service.figures.vocabulary import window_around


@pytest.mark.parametrize(
    ("lung_columns", "window"), [(0, "soft tissue"), (7, "soft tissue"), (9, "lung"), (24, "lung")]
)
def test_a_third_of_lung_is_enough_and_a_rim_is_not(lung_columns, window):
    near = np.full((24, 24), 30.0)
    near[:, :lung_columns] = -850.0
    assert window_around(near) == window


def test_neither_air_outside_the_body_nor_an_empty_cut_is_lung():
    assert window_around(np.full((8, 8), -1000.0)) == "soft tissue"
    assert window_around(np.zeros((0, 4))) == "soft tissue"
