"""Sub-volumes reach 30 mm beyond their key slices, and never over a gap."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.sources.mining.header import headers_of
from retrieval.sources.mining.stacks import SliceStack, stacks_of
from tests.service.dicom_samples import SeriesLabels, ct_series


def stack_at(heights_mm: list[float]) -> SliceStack:
    datasets = ct_series(
        np.zeros((len(heights_mm), 4, 4)),
        SeriesLabels("P", "1", None),
        spacing_mm_px=(1.0, 1.0),
        interval_mm=1.0,
    )
    for dataset, height in zip(datasets, heights_mm, strict=True):
        dataset.ImagePositionPatient[2] = height
    (stack,) = stacks_of([header for one in datasets for header in headers_of(one)])
    return stack


@pytest.mark.parametrize("interval", [0.7, 1.0, 2.5, 5.0, 7.0, 20.0])
def test_a_sub_volume_reaches_30_mm_and_one_slice_at_most_beyond(interval):
    stack = stack_at([interval * n for n in range(200)])
    ((run, keys),) = stack.sub_volumes([100])
    assert keys == [100]
    below, above = stack.depths_mm[100] - stack.depths_mm[[run.start, run.stop - 1]]
    assert 30 - 0.01 <= below < 30 + interval
    assert 30 - 0.01 <= -above < 30 + interval


def test_it_ends_with_the_series_and_at_a_gap():
    stack = stack_at([*range(20), 120.0, 121.0, 500.0])
    runs = [list(run) for run, _ in stack.sub_volumes([2, 21, 22])]
    assert runs == [list(range(20)), [20, 21], [22]]
    assert stack.interval_mm == pytest.approx(1.0)
    assert stack.number_of(22) == 1


def test_neighbours_share_one_up_to_what_memory_holds():
    stack = stack_at([float(n) for n in range(900)])
    assert [keys for _, keys in stack.sub_volumes([100, 150, 155, 400])] == [[100, 150, 155], [400]]
    runs = stack.sub_volumes(range(0, 900, 10))
    assert max(len(run) for run, _ in runs) <= 256
    for run, keys in runs:
        assert all(max(key - 30, 0) in run and min(key + 30, 899) in run for key in keys)
