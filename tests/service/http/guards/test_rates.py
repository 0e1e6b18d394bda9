"""Token buckets against a plain count of what should be let through."""

from __future__ import annotations

import numpy as np
import pytest

from service.http.guards.rates import MAX_CLIENTS, TokenBuckets, network_of


class Clock:
    """Time that the test sets."""

    now = 0.0

    def __call__(self):
        return self.now


def test_a_burst_passes_then_one_a_refill():
    clock = Clock()
    buckets = TokenBuckets(2.0, 5, clock=clock)
    assert [buckets.take("a") for _ in range(5)] == [0.0] * 5
    assert buckets.take("a") == pytest.approx(0.5)
    assert buckets.take("b") == 0.0
    clock.now = 0.5
    assert buckets.take("a") == 0.0
    assert buckets.take("a") > 0


def test_over_any_time_no_client_gets_more_than_burst_and_refill():
    rng = np.random.default_rng(0)
    clock = Clock()
    buckets = TokenBuckets(3.0, 4, clock=clock)
    passed = []
    for wait in rng.exponential(0.1, 2000):
        clock.now += wait
        if buckets.take("a") == 0:
            passed.append(clock.now)
    for first in range(0, len(passed), 7):
        for last in range(first, len(passed), 11):
            allowed = 4 + 3.0 * (passed[last] - passed[first])
            assert last - first + 1 <= allowed + 1e-6
    assert len(passed) > 0.9 * 3.0 * clock.now


def test_refused_requests_do_not_push_the_next_one_away():
    clock = Clock()
    buckets = TokenBuckets(1.0, 1, clock=clock)
    buckets.take("a")
    for clock.now in (0.2, 0.4, 0.6, 0.8):
        assert buckets.take("a") == pytest.approx(1 - clock.now)
    clock.now = 1.0
    assert buckets.take("a") == 0


def test_the_number_of_buckets_is_bounded():
    buckets = TokenBuckets(1.0, 1, clock=Clock())
    for client in range(MAX_CLIENTS + 500):
        buckets.take(str(client))
    assert len(buckets._buckets) == MAX_CLIENTS


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("10.0.0.1", "10.0.0.2", False),
        ("2001:db8:1:2::1", "2001:db8:1:2:ffff::9", True),
        ("2001:db8:1:2::1", "2001:db8:1:3::1", False),
        ("::ffff:10.0.0.1", "::ffff:10.0.0.2", False),
        ("testclient", "testclient", True),
    ],
)
def test_who_counts_as_one_client(one, other, same):
    assert (network_of(one) == network_of(other)) is same
