from __future__ import annotations

import pytest

from retrieval.training.prefetch import ahead


@pytest.mark.parametrize(("first", "last"), [(0, 7), (3, 4), (5, 5), (0, 1)])
def test_every_step_once_in_order_with_its_own_batch(first: int, last: int) -> None:
    found = list(ahead(lambda step: step * step, first, last))
    assert found == [(step, step * step) for step in range(first, last)]


def test_no_more_than_the_depth_is_made_ahead() -> None:
    made: list[int] = []
    steps = ahead(made.append, 0, 10, depth=2)
    next(steps)
    assert max(made) <= 2
    steps.close()


def test_what_goes_wrong_in_a_batch_reaches_the_loop() -> None:
    with pytest.raises(ZeroDivisionError):
        list(ahead(lambda step: 1 // step, 0, 2))
