"""Boxes, RECIST marks and lesions: geometry, parsing, JSON."""

from __future__ import annotations

import json
import math
from datetime import date

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from retrieval.lesion import Box, Lesion, LesionError, LesionType, Recist, Split
from retrieval.tag import Tag, TagSource

NUMBER = st.floats(-500, 500)
SIDE = st.floats(0.5, 300)
BOX = st.builds(lambda x, y, w, h: Box(x, y, x + w, y + h), NUMBER, NUMBER, SIDE, SIDE)


@given(
    first=st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 8)] * 2),
    second=st.tuples(*[st.integers(0, 12)] * 2, *[st.integers(1, 8)] * 2),
)
def test_overlap_counts_the_cells_both_cover(
    first: tuple[int, ...], second: tuple[int, ...]
) -> None:
    boxes, masks = [], []
    for x, y, width, height in (first, second):
        mask = np.zeros((24, 24), bool)
        mask[y : y + height, x : x + width] = True
        boxes.append(Box(x, y, x + width, y + height))
        masks.append(mask)
    overlap, union = (masks[0] & masks[1]).sum(), (masks[0] | masks[1]).sum()
    assert boxes[0].overlap_area(boxes[1]) == overlap
    assert boxes[0].iou(boxes[1]) == pytest.approx(overlap / union)


@given(BOX, BOX, NUMBER, NUMBER)
def test_iou_is_symmetric_and_moves_along(a: Box, b: Box, dx: float, dy: float) -> None:
    assert 0 <= a.iou(b) <= 1 + 1e-9
    assert a.iou(b) == b.iou(a)
    assert a.iou(a) == pytest.approx(1)
    assert a.shifted(dx, dy).iou(b.shifted(dx, dy)) == pytest.approx(a.iou(b), abs=1e-6)


@given(BOX, st.floats(0.2, 4), st.floats(0, 30))
def test_box_arithmetic(box: Box, factor: float, padding: float) -> None:
    assert box.area == pytest.approx(box.width * box.height)
    assert box.scaled(factor, 2 * factor).area == pytest.approx(2 * factor**2 * box.area)
    grown = box.padded(padding)
    assert grown.width == pytest.approx(box.width + 2 * padding)
    assert grown.center == pytest.approx(box.center)
    assert Box.parse(",".join(map(repr, box.to_list()))) == box


def test_around_is_a_centred_square() -> None:
    assert Box.around((10, 20), 6) == Box(7, 17, 13, 23)


@pytest.mark.parametrize("edges", [(5, 0, 5, 9), (6, 0, 5, 9), (0, 9, 5, 1), (0, 0, 5, math.nan)])
def test_impossible_boxes_are_refused(edges: tuple[float, ...]) -> None:
    with pytest.raises(LesionError, match="box"):
        Box(*edges)


@pytest.mark.parametrize("text", ["1,2,3", "1,2,3,4,5", "a,b,c,d", ""])
def test_unreadable_boxes_are_refused(text: str) -> None:
    with pytest.raises(LesionError, match="write x1,y1,x2,y2"):
        Box.parse(text)


def test_a_box_must_have_its_centre_on_the_image() -> None:
    Box(-5, -5, 5, 5).check_on_image(4, 4)
    Box(1, 0, 6, 1).check_on_image(rows=2, columns=4)
    for outside in (Box(-9, 0, 2, 4), Box(0, 1, 1, 6), Box(4, 0, 5, 1)):
        with pytest.raises(LesionError, match="outside the image of 4 x 3 pixels"):
            outside.check_on_image(rows=3, columns=4)


@given(st.lists(st.tuples(NUMBER, NUMBER), min_size=4, max_size=4), st.floats(0.1, 3))
def test_recist_marks(points: list[tuple[float, float]], spacing: float) -> None:
    mark = Recist(tuple(points))
    long_mm, short_mm = mark.diameters_mm((spacing, spacing))
    lengths = [math.dist(*points[:2]) * spacing, math.dist(*points[2:]) * spacing]
    assert (short_mm, long_mm) == pytest.approx(sorted(lengths))
    box = mark.box()
    array = np.array(points)
    assert box.to_list() == pytest.approx([*(array.min(0) - 5), *(array.max(0) + 5)])
    assert Recist.parse(",".join(repr(v) for point in points for v in point)) == mark


def test_recist_spacing_is_along_x_and_y() -> None:
    mark = Recist(((0, 0), (3, 4), (0, 0), (0, 1)))
    assert mark.diameters_mm((2.0, 0.5)) == pytest.approx((math.hypot(6, 2), 0.5))
    with pytest.raises(LesionError, match="8 are needed"):
        Recist.from_numbers([1.0] * 7)
    with pytest.raises(LesionError, match="four finite points"):
        Recist(((0, 0), (1, 1), (2, 2), (3, math.inf)))


def test_types_and_splits_carry_deeplesions_numbers() -> None:
    assert [LesionType.from_code(code).value for code in range(1, 9)] == [
        "bone",
        "abdomen",
        "mediastinum",
        "liver",
        "lung",
        "kidney",
        "soft tissue",
        "pelvis",
    ]
    for kind in LesionType:
        assert LesionType.from_code(kind.code) is LesionType.parse(kind.value) is kind
        assert LesionType.parse(str(kind.code)) is kind
    assert LesionType.parse(" Soft_Tissue ") is LesionType.SOFT_TISSUE
    assert [Split.from_code(code).value for code in (1, 2, 3, -1)] == [
        "train",
        "val",
        "test",
        "unknown",
    ]
    for bad in (0, 9, -2):
        with pytest.raises(LesionError, match="unknown"):
            LesionType.from_code(bad)
        with pytest.raises(LesionError, match="split"):
            Split.from_code(bad + 10)
    with pytest.raises(LesionError, match="one of bone"):
        LesionType.parse("brain")


@given(
    box=BOX,
    sizes=st.tuples(*[st.none() | st.floats(0, 200)] * 2),
    place=st.none()
    | st.tuples(st.tuples(*[st.floats(0, 1)] * 3), st.none() | st.tuples(*[st.floats(0, 1)] * 3)),
    kind=st.sampled_from(LesionType),
    split=st.sampled_from(Split),
    day=st.none() | st.dates(date(1990, 1, 1), date(2030, 1, 1)),
    tags=st.lists(
        st.builds(Tag, st.text(max_size=8), st.floats(0, 1), st.sampled_from(TagSource)),
        max_size=3,
        unique_by=lambda tag: tag.term,
    ),
    category=st.none() | st.text(min_size=1, max_size=4),
)
def test_lesions_survive_json(
    box: Box,
    sizes: tuple[float | None, float | None],
    place: tuple[tuple[float, float, float], tuple[float, float, float] | None] | None,
    kind: LesionType,
    split: Split,
    day: date | None,
    tags: list[Tag],
    category: str | None,
) -> None:
    location, error = place or (None, None)
    lesion = Lesion("a", "p", "p_1", "p_1_1", 5, box, *sizes, location, kind, split, day)
    lesion = lesion.with_changes(tags=tuple(tags), category=category, location_error=error)
    said = tuple(tag for tag in tags if tag.source is not TagSource.UNLIKELY)
    answer = Lesion.from_json(json.loads(json.dumps(lesion.to_json())))
    assert answer == lesion.with_changes(tags=said), "an unlikely tag is no answer's"


def test_broken_lesion_json_is_named() -> None:
    fields = Lesion("a", "p", "p_1", "p_1_1", 5, Box(0, 0, 1, 1)).to_json()
    without = {name: value for name, value in fields.items() if name != "series_id"}
    with pytest.raises(LesionError, match="lacks the field 'series_id'"):
        Lesion.from_json(without)
    with pytest.raises(LesionError, match="wrong form"):
        Lesion.from_json(fields | {"box": 7})
    for location in ([0.1, 0.2], "top", [0.1, 0.2, "head"]):
        with pytest.raises(LesionError, match="wrong form"):
            Lesion.from_json(fields | {"location": location})


def test_an_error_belongs_to_a_location_and_is_a_length() -> None:
    lesion = Lesion("a", "p", "p_1", "p_1_1", 5, Box(0, 0, 1, 1))
    with pytest.raises(LesionError, match="belongs to a location"):
        lesion.with_changes(location_error=(0.1, 0.1, 0.1))
    for error in ((0.1, 0.1, float("nan")), (0.1, -0.1, 0.1)):
        with pytest.raises(LesionError, match="finite number of 0 or more"):
            lesion.with_changes(location=(0.5, 0.5, 0.5), location_error=error)
