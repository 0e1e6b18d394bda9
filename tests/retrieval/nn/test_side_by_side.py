from __future__ import annotations

import threading

import pytest
import torch

from retrieval.nn.side_by_side import side_by_side


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


def test_results_keep_their_order_and_the_threads_of_torch_stay(two_threads) -> None:
    seen = set()

    def work(number: int) -> tuple[int, int]:
        seen.add(threading.get_ident())
        return number * number, torch.get_num_threads()

    found = side_by_side(work, range(20))
    assert [square for square, _ in found] == [n * n for n in range(20)]
    assert threading.get_ident() not in seen
    assert torch.get_num_threads() == 2


def test_an_error_is_the_callers(two_threads) -> None:
    def work(number: int) -> float:
        return 1 / number

    with pytest.raises(ZeroDivisionError):
        side_by_side(work, [1, 0])
    assert torch.get_num_threads() == 2


def test_one_thread_computes_in_the_callers_own(two_threads) -> None:
    torch.set_num_threads(1)
    assert set(side_by_side(lambda _: threading.get_ident(), range(3))) == {threading.get_ident()}


def test_a_single_item_may_have_one_thread(two_threads) -> None:
    def threads(_: int) -> int:
        return torch.get_num_threads()

    assert side_by_side(threads, [0]) == [2]
    assert side_by_side(threads, [0], one_thread_for_one=True) == [1]
    assert side_by_side(threads, [], one_thread_for_one=True) == []
    assert torch.get_num_threads() == 2
