"""Pairing: the rule against DeepLesion's rows, the matching against every possible pairing."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.sources.marks.meaning.pairing import MarkLine, pair_lines, relation


def line(points, source="a", reader=""):
    return MarkLine(np.asarray(points, float), source, reader)


LONG = [[20, 30], [40, 30]]


@pytest.mark.parametrize(
    ("other", "is_pair", "is_alone_pair"),
    [
        ([[29, 24], [29, 37]], True, True),
        ([[29, 24], [31, 37]], True, True),
        ([[25, 24], [33, 37]], False, False),
        ([[29, 33], [29, 45]], False, False),
        ([[29, 33], [29, 38.9]], True, True),
        ([[29, 34], [29, 40]], False, False),
        ([[29, 28], [29, 32]], False, True),
        ([[21, 24], [21, 37]], False, True),
        ([[29, 29], [29, 31]], False, False),
        ([[26, 24], [31, 37]], False, True),
        ([[20, 30], [40, 30]], False, False),
        ([[29, 30], [29, 30]], False, False),
    ],
)
def test_the_rule(other, is_pair, is_alone_pair):
    assert relation(line(LONG), line(other)).is_pair is is_pair
    assert relation(line(other), line(LONG)).is_pair is is_pair
    found = pair_lines([line(LONG), line(other)])
    assert (len(found.pairs) == 1) is is_alone_pair
    assert found.lone == (frozenset() if is_pair else frozenset(found.pairs))


def test_the_wider_bounds_are_for_lines_of_one_file_that_touch_no_third_line():
    sliver = [[29, 28], [29, 32]]
    assert pair_lines([line(LONG), line(sliver)]).pairs == ((0, 1),)
    assert pair_lines([line(LONG), line(sliver, "b")]).pairs == ()
    ticks = [line(LONG), line([[20, 28], [20, 32]]), line([[40, 28], [40, 32]])]
    assert pair_lines(ticks).pairs == ()
    crossed = [line(LONG), line(sliver), line([[25, 24], [33, 37]])]
    assert pair_lines(crossed).pairs == ()


def test_the_rule_holds_for_98_percent_of_deeplesion_s_rows(real_data):
    rows = pd.read_csv(real_data / "DL_info_val_test_9816.csv")
    kept = 0
    for text in rows["Measurement_coordinates"]:
        ends = np.array([float(one) for one in text.split(",")]).reshape(2, 2, 2)
        kept += relation(line(ends[0]), line(ends[1])).is_pair
    assert kept == 9632


def test_of_10857_official_rows_all_lines_pair_rightly_but_21(real_data):
    """Every official row that is there, the lines of one key slice together: none pairs wrongly."""
    on_slice: dict[str, dict[str, list[MarkLine]]] = {}
    for name in ("DL_info_val_test_9816.csv", "DL_info_real_rows.csv"):
        rows = pd.read_csv(real_data / name)
        for slice_name, text in zip(
            rows["File_name"], rows["Measurement_coordinates"], strict=True
        ):
            ends = np.array([float(one) for one in text.split(",")]).reshape(2, 2, 2)
            on_slice.setdefault(slice_name, {})[text] = [line(one) for one in ends]
    right = wrong = 0
    for held in on_slice.values():
        for first, second in pair_lines([one for pair in held.values() for one in pair]).pairs:
            right += first // 2 == second // 2
            wrong += first // 2 != second // 2
    assert sum(map(len, on_slice.values())) == 10857
    assert (right, wrong) == (10836, 0)


def test_lines_of_one_slice_find_their_own_partner(real_data):
    """All lines of each key slice that has two or three lesions, shuffled together."""
    rows = pd.read_csv(real_data / "DL_info_val_test_9816.csv")
    right = total = 0
    for _, held in rows.groupby("File_name"):
        if len(held) < 2:
            continue
        ends = [
            np.array([float(one) for one in text.split(",")]).reshape(2, 2, 2)
            for text in held["Measurement_coordinates"]
        ]
        lines = [line(one) for pair in ends for one in pair]
        order = np.random.default_rng(len(lines)).permutation(len(lines))
        found = pair_lines([lines[n] for n in order])
        pairs = {frozenset(int(order[n]) for n in pair) for pair in found.pairs}
        ours = [n for n, (a, b) in enumerate(ends) if relation(line(a), line(b)).is_pair]
        total += len(ours)
        right += sum(frozenset((2 * n, 2 * n + 1)) in pairs for n in ours)
    assert total > 300
    assert right == total


coordinates = st.floats(0, 60, allow_nan=False, width=32)
segments = st.lists(coordinates, min_size=4, max_size=4).map(
    lambda four: line(np.array(four).reshape(2, 2))
)


@given(st.lists(segments, max_size=6))
def test_the_matching_is_the_heaviest_of_all(lines):
    """Oracle: every set of disjoint pairs."""
    weights = {
        pair: stands.weight + 0.02
        for pair in itertools.combinations(range(len(lines)), 2)
        if (stands := relation(lines[pair[0]], lines[pair[1]])).is_pair
    }

    def best(free: frozenset[int]) -> float:
        if not free:
            return 0.0
        first = min(free)
        rest = free - {first}
        return max(
            best(rest),
            *(weights[first, n] + best(rest - {n}) for n in rest if (first, n) in weights),
            0.0,
        )

    found = pair_lines(lines)
    heavy = [pair for pair in found.pairs if pair not in found.lone]
    total = sum(weights[tuple(sorted(pair))] for pair in heavy)
    assert total == pytest.approx(best(frozenset(range(len(lines)))))
    assert sorted([*itertools.chain(*found.pairs), *found.singles]) == list(range(len(lines)))


def test_a_partner_of_the_same_file_wins_and_two_readers_never_pair():
    cross = [[29, 24], [29, 37]]
    found = pair_lines([line(LONG), line(cross, "b"), line(cross, "a")])
    assert found.pairs == ((0, 2),)
    found = pair_lines([line(LONG, reader="x"), line(cross, reader="y")])
    assert found.pairs == ()


def test_a_line_that_lies_on_another_at_a_wrong_angle_is_told_from_a_lonely_one():
    found = pair_lines([line(LONG), line([[25, 26], [35, 34]]), line([[70, 70], [80, 70]])])
    assert found.skew == {0, 1}
    assert found.singles == (0, 1, 2)
