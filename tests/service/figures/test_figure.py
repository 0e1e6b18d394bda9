from __future__ import annotations

import numpy as np
import pytest

from retrieval.image import Slab
from retrieval.lesion import Box, LesionType
from retrieval.tracking.states import FOLLOW_UP_WORDS
from service.engine.query import LesionQuery
from service.figures.pictures import LesionPictures
from service.figures.query import (
    DISPLAY_SPEC,
    HIT_COLOUR,
    FigureError,
    Panel,
    display_window,
    draw_query_figure,
    save_figure,
)
from service.figures.result_panels import draw_result, draw_words_result


@pytest.fixture
def panel():
    rng = np.random.default_rng(0)
    slab = Slab(rng.normal(40, 30, (1, 64, 64)).astype(np.float32), (1.0, 1.0), 5.0)
    return Panel("1   0.912", ("liver",), slab, Box(20, 24, 40, 36), LesionType.LIVER)


def words_of(figure):
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    return " | ".join(text.get_text() for text in texts)


@pytest.mark.parametrize("hits", [0, 1, 4, 5, 8])
@pytest.mark.parametrize("follow_ups", [0, 1, 7])
def test_every_panel_is_drawn_inside_the_page_and_none_overlap(panel, hits, follow_ups):
    figure = draw_query_figure(panel, [panel] * hits, [panel] * follow_ups)
    assert len(figure.axes) == 1 + hits + follow_ups
    places = [axes.get_position() for axes in figure.axes]
    for number, place in enumerate(places):
        assert 0 <= place.x0 < place.x1 <= 1
        assert 0 <= place.y0 < place.y1 <= 1
        assert not any(place.overlaps(other) for other in places[number + 1 :])


def test_the_box_is_drawn_in_the_panels_own_millimetres(panel):
    axes = draw_query_figure(panel, [panel]).axes[1]
    (box,) = [patch for patch in axes.patches if not patch.get_fill()]
    assert box.get_width() == pytest.approx(20 / DISPLAY_SPEC.mm_px)
    assert box.get_height() == pytest.approx(12 / DISPLAY_SPEC.mm_px)


def test_the_scale_bar_is_twenty_millimetres(panel):
    axes = draw_query_figure(panel, []).axes[0]
    xs = axes.lines[0].get_xdata()
    assert (xs[1] - xs[0]) * DISPLAY_SPEC.mm_px == pytest.approx(20)
    assert "20 mm" in [text.get_text() for text in axes.texts]


@pytest.mark.parametrize(
    ("lesion_type", "window"),
    [
        (LesionType.LUNG, "lung"),
        (LesionType.LIVER, "liver"),
        (LesionType.BONE, "bone"),
        (LesionType.KIDNEY, "soft tissue"),
        (LesionType.UNKNOWN, "soft tissue"),
    ],
)
def test_the_window_is_the_one_a_reader_would_choose(lesion_type, window):
    assert display_window(lesion_type)[0] == window


def test_no_hits_are_said_in_words(panel):
    assert "no similar lesion" in words_of(draw_query_figure(panel, []))


def test_a_result_is_drawn_with_its_numbers(engine, archive):
    lesion = archive.lesions[0]
    result = engine.search(LesionQuery(lesion_id=lesion.lesion_id, k=3))
    slab = archive.slab(lesion, half_depth_mm=0)
    words = words_of(draw_result(result, slab, LesionPictures(engine.index), query_lesion=lesion))
    for hit in result.hits:
        assert f"{hit.similarity:.3f}" in words
        assert hit.lesion.patient_id in words
    for follow_up in result.follow_ups:
        state = FOLLOW_UP_WORDS[follow_up.state].label
        assert f"{follow_up.role} {follow_up.study_id}" in words
        said = state if follow_up.lesion is None else f"{state} · score {follow_up.score:.2f}"
        assert said in words
    assert "not a medical device" in words


def test_a_search_by_words_is_drawn_with_what_was_understood_and_why(engine):
    result = engine.search(LesionQuery.parse(text="liver lesion, not calcified, gromp", k=2))
    words = words_of(draw_words_result(result, LesionPictures(engine.index)))
    assert "must: liver" in words
    assert "not understood: gromp" in words
    for hit in result.hits:
        assert f"{hit.rank}    match {hit.match:.2f}" in words
    assert result.hits
    assert "not a medical device" in words


def test_what_is_not_known_of_a_hit_is_said_so(engine):
    result = engine.search(LesionQuery.parse(text="granuloma", k=1))
    words = words_of(draw_words_result(result, LesionPictures(engine.index)))
    assert "not known: granuloma" in words
    assert "nothing" not in words


def test_a_vector_has_no_figure(engine, archive):
    vector = engine.index.get(archive.lesions[0].lesion_id).vector
    result = engine.search(LesionQuery(vector=tuple(vector)))
    slab = archive.slab(archive.lesions[0], half_depth_mm=0)
    with pytest.raises(FigureError, match="no picture"):
        draw_result(result, slab, LesionPictures(engine.index))


def test_the_suffix_decides_and_others_are_refused(panel, tmp_path):
    figure = draw_query_figure(panel, [])
    save_figure(figure, tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text().lstrip().startswith("<?xml")
    assert HIT_COLOUR in (tmp_path / "a.svg").read_text()
    with pytest.raises(FigureError, match=r"\.png"):
        save_figure(figure, tmp_path / "a.gif")
