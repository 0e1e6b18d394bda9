"""The map between file grid and display grid: exact, both ways, for all 48 orders and flips."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.grid import GridError, GridMap
from retrieval.image import Slab
from retrieval.lesion import Box, LesionError, Recist
from retrieval.patch import PatchSpec, extract_patch
from retrieval.sources.axes import OrientationError, to_display

LENGTHS = (0.7, 0.8, 2.5)
"""mm along x, y and the slices of the display grid."""

SIZE = (5, 6, 7)
"""(slices, rows, columns) of the display grid."""

maps = st.builds(
    GridMap,
    st.permutations([0, 1, 2]).map(tuple),
    st.tuples(*[st.sampled_from([1, -1])] * 3),
    st.tuples(*[st.integers(0, 600)] * 3),
)
coordinates = st.integers(-8000, 8000).map(lambda number: number / 16)
points = st.tuples(coordinates, coordinates)


def stored(values, axes, step):
    """The display volume as a file (k, j, i) whose axes have that order and those directions."""
    turned = values[:: step[2], :: step[1], :: step[0]]
    display_axis_of = [axes.index(axis) for axis in range(3)]
    steps_mm = np.zeros((3, 3))
    for file_axis, display in enumerate(display_axis_of):
        steps_mm[file_axis, display] = LENGTHS[display] * step[display]
    return turned.transpose([2 - display_axis_of[axis] for axis in (2, 1, 0)]), steps_mm


ALL_48 = [
    (axes, step)
    for axes in itertools.permutations(range(3))
    for step in itertools.product([1, -1], repeat=3)
]


@pytest.mark.parametrize(("axes", "step"), ALL_48)
def test_all_48_orders_and_flips_come_to_one_display_and_every_voxel_keeps_its_place(axes, step):
    values = np.random.default_rng(5).integers(-1000, 1000, SIZE).astype(np.int16)
    file, steps_mm = stored(values, axes, step)
    turned = to_display("ct", file, steps_mm)
    np.testing.assert_array_equal(turned.values, values)
    assert (*turned.spacing_mm_px, turned.slice_interval_mm) == pytest.approx(LENGTHS)
    grid, slab = turned.grid, turned.slab("ct")
    for position, row, column in np.ndindex(SIZE):
        number = grid.to_file_slice(position)
        assert grid.to_display_slice(number) == position
        x, y = grid.to_file_point((column, row))
        place = {grid.axes[2]: number}
        low, high = sorted(axis for axis in range(3) if axis != grid.axes[2])
        place |= {low: int(x), high: int(y)}
        assert file[place[2], place[1], place[0]] == values[position, row, column]
        assert np.all(slab.hu[position, row, column] == values[position, row, column])
    assert slab.slice_numbers == range(SIZE[0])
    expected = (LENGTHS[1], LENGTHS[0]) if grid.rows_first else LENGTHS[:2]
    assert slab.file_spacing_mm_px == pytest.approx(expected)


@pytest.mark.parametrize(("axes", "step"), ALL_48)
def test_a_box_of_the_file_cuts_the_same_patch_from_every_order_and_flip(axes, step):
    values = np.random.default_rng(6).normal(0, 300, (5, 40, 44)).astype(np.float32)
    spec = PatchSpec(size_px=16, mm_px=1.0, slices=3, slice_interval_mm=2.0)
    box = Box(12.0, 20.0, 21.0, 26.0)
    upright = Slab(values, LENGTHS[:2], LENGTHS[2], 1)
    file, steps_mm = stored(values, axes, step)
    turned = to_display("ct", file, steps_mm)
    slab = turned.slab("ct", key_slice=turned.grid.to_file_slice(1))
    patch = extract_patch(slab, turned.grid.to_file_box(box), spec)
    np.testing.assert_array_equal(patch.hu, extract_patch(upright, box, spec).hu)
    rows, columns = (44, 40) if turned.grid.rows_first else (40, 44)
    with pytest.raises(LesionError, match=f"outside the image of {columns} x {rows} pixels"):
        extract_patch(slab, Box.around((columns + 3.0, 4.0), 3.0), spec)


@given(maps, points, points)
def test_points_and_marks_go_there_and_back(grid, first, second):
    assert grid.to_display_point(grid.to_file_point(first)) == first
    mark = Recist((first, second, second, first))
    assert grid.to_display_recist(grid.to_file_recist(mark)) == mark
    assert GridMap.from_json(grid.to_json()) == grid


@given(maps, points, st.integers(1, 4000), st.integers(1, 4000), st.integers(0, 900))
def test_boxes_and_slices_go_there_and_back(grid, corner, width, height, position):
    box = Box(*corner, corner[0] + width / 16, corner[1] + height / 16)
    there = grid.to_file_box(box)
    assert there.area == box.area
    assert grid.to_display_box(there) == box
    assert grid.to_display_slice(grid.to_file_slice(position)) == position
    assert grid.with_slices_from(7).to_file_slice(position) == grid.to_file_slice(position) + 7


def test_what_is_no_map_and_no_orientation_is_refused():
    with pytest.raises(GridError, match="permutation"):
        GridMap(axes=(0, 1, 1))
    with pytest.raises(GridError, match="1 or -1"):
        GridMap(step=(1, 1, 2))
    values = np.zeros((5, 6, 7), np.int16)
    with pytest.raises(OrientationError, match="lengths above 0"):
        to_display("ct", values, np.diag([1.0, 0.0, 1.0]))
    with pytest.raises(OrientationError, match=r"oblique by 30\.0 degrees"):
        to_display("ct", values, [[0.866, 0.5, 0], [-0.5, 0.866, 0], [0, 0, 1]])
    with pytest.raises(OrientationError, match="two axes that run along the same"):
        to_display("ct", values, [[1, 0, 0], [1, 0.01, 0], [0, 0, 1]])
    coronal = [[1, 0, 0], [0, 0, -1], [0, 1, 0]]
    with pytest.raises(OrientationError, match="a single coronal slice"):
        to_display("ct", values[:1], coronal)
    with pytest.raises(OrientationError, match="a single sagittal slice"):
        to_display("ct", values[:1], [[0, 1, 0], [0, 0, -1], [1, 0, 0]])
