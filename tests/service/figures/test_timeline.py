"""The timeline figure: every mark, state and number of a made-up patient is on it, none overlap."""

from __future__ import annotations

import csv
from datetime import date

import numpy as np
import pytest

from retrieval.image import Slab
from retrieval.lesion import Box, Lesion, LesionType
from retrieval.tracking.edges import MatchTerms
from retrieval.tracking.matcher import LocationSource
from retrieval.tracking.response.recist import patient_response
from retrieval.tracking.states import LinkState, OrderedBy
from retrieval.tracking.track_types import RESEARCH_USE, PatientTracks, StudyOrder, Track, TrackLink
from service.engine.patient_tracks import PatientReport
from service.figures.query import save_figure
from service.figures.tables.tracks import TrackTableError, write_tracks_csv
from service.figures.timeline import MOST_ROWS, draw_timeline
from service.figures.timeline_sheet import PICTURE

STUDIES = ("p_01", "p_02", "p_03")
TERMS = MatchTerms(0.9, 1.0, 1.0, 0.0, LocationSource.GIVEN, 0.0, True, {"intercept": 0.0})


class Slices:
    """A slice of noise for every lesion."""

    def slab(self, lesion_id: str) -> Slab:
        noise = np.random.default_rng(0).normal(40, 30, (1, 64, 64))
        return Slab(noise.astype(np.float32), (1.0, 1.0), 5.0)


def mark(name: str, study: int, long_mm: float | None, *, day: date | None = None) -> Lesion:
    return Lesion(
        lesion_id=name,
        patient_id="p",
        study_id=STUDIES[study],
        series_id="s",
        key_slice_index=1,
        box=Box(20, 24, 40, 36),
        long_mm=long_mm,
        short_mm=None if long_mm is None else long_mm - 2,
        lesion_type=LesionType.LIVER,
        study_date=day,
    )


def report(tracks, links=(), days=(None, None, None), *, warnings=()):
    ordered_by = OrderedBy.NUMBER if None in days else OrderedBy.DATE
    order = StudyOrder(STUDIES, days, ordered_by, frozenset(STUDIES[1:]))
    whole = PatientTracks("p", order, tuple(tracks), tuple(links))
    return PatientReport(whole, patient_response(whole), warnings)


@pytest.fixture
def eventful():
    """Grows; merges into it; new and gone again; split off; a gap; doubt between two tracks."""
    a = [mark(f"a{n}", n, 20.0 + 10 * n) for n in range(3)]
    b = mark("b0", 0, 12.0)
    c = mark("c1", 1, 11.0)
    d = mark("d2", 2, 9.0)
    e = [mark("e0", 0, 15.0), mark("e2", 2, None)]
    f = [mark("f0", 0, 30.0), mark("f1", 1, 33.0)]
    tracks = [
        Track("T1", tuple(a)),
        Track("T2", (b,), merged_into="T1"),
        Track("T3", (c,), new_in=STUDIES[1], vanished_in=STUDIES[2]),
        Track("T4", (d,), split_from="T1"),
        Track("T5", tuple(e)),
        Track("T6", tuple(f), vanished_in=STUDIES[2]),
    ]
    links = [
        TrackLink("a0", "a1", LinkState.MERGED, 0.91, TERMS),
        TrackLink("b0", "a1", LinkState.MERGED, 0.4, TERMS),
        TrackLink("a1", "a2", LinkState.CONFIRMED, 1.0, TERMS),
        TrackLink("a1", "d2", LinkState.SPLIT, 0.3, TERMS),
        TrackLink("e0", "e2", LinkState.UNCERTAIN, 0.57, TERMS),
        TrackLink("c1", "d2", LinkState.UNCERTAIN, 0.44, TERMS),
        TrackLink("f0", "f1", LinkState.MATCHED, 0.99, TERMS),
    ]
    return report(tracks, links, warnings=("the matcher was calibrated with no encoder",))


def words_of(figure):
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    return [text.get_text() for text in texts]


def picture_places(figure):
    return [axes.get_position() for axes in figure.axes if axes.images]


def test_every_state_size_and_category_is_in_words(eventful):
    words = words_of(draw_timeline(eventful, Slices()))
    for wanted in (
        "Patient p",
        "new",
        "vanished",
        "merged",
        "merged into T1",
        "split from T1",
        "uncertain",
        "not marked",
        "confirmed by a reader",
        "T1   target",
        "20.0 × 18.0 mm\n",
        "30.0 × 28.0 mm\n+50 %",
        "size unknown\n",
        "0.57",
        RESEARCH_USE,
        "the matcher was calibrated with no encoder",
        "baseline",
    ):
        assert wanted in words, wanted
    assert any("ordered by study number: not every study has a date" in one for one in words)
    for study in eventful.response.studies:
        assert study.category.value in words
    assert f"{eventful.response.baseline_sum_mm:.1f}" in words


def test_each_mark_has_one_picture_on_the_page_and_none_overlap(eventful):
    figure = draw_timeline(eventful, Slices())
    places = picture_places(figure)
    assert len(places) == sum(len(track.lesions) for track in eventful.tracks.tracks)
    for number, place in enumerate(places):
        assert 0 <= place.x0 < place.x1 <= 1
        assert 0 <= place.y0 < place.y1 <= 1
        assert not any(place.overlaps(other) for other in places[number + 1 :])
    width, height = figure.get_size_inches()
    assert places[0].width * width == pytest.approx(PICTURE)
    assert places[0].height * height == pytest.approx(PICTURE)


def test_doubt_is_dashed_and_certainty_is_not(eventful):
    ground = draw_timeline(eventful, Slices()).axes[0]
    dashed = [line for line in ground.lines if line.is_dashed()]
    assert len(dashed) == 1
    (gap,) = dashed
    assert gap.get_ydata()[0] == gap.get_ydata()[1]
    joins = [patch for patch in ground.patches if patch.get_linestyle() == "-"]
    assert len(ground.patches) == 3
    assert len(joins) == 2


def test_dated_studies_show_days_and_growth():
    days = (date(2020, 1, 1), date(2020, 4, 1), date(2020, 7, 1))
    lesions = tuple(mark(f"a{n}", n, 20.0 + 5 * n, day=days[n]) for n in range(3))
    words = words_of(draw_timeline(report([Track("T1", lesions)], (), days), Slices()))
    assert "2020-04-01  (+91 d)" in words
    assert any("ordered by study date" in one for one in words)
    assert any("mm a month\nvolume doubles in" in one for one in words)


def test_two_marks_in_one_study_are_counted():
    lesions = (mark("a0", 0, 12.0), mark("b0", 0, 25.0), mark("a1", 1, 30.0))
    words = words_of(draw_timeline(report([Track("T1", lesions)]), Slices()))
    assert "25.0 × 23.0 mm\n2 marks, the largest shown" in words


def test_a_crowded_patient_shows_the_largest_and_says_so():
    tracks = [
        Track(f"T{n}", (mark(f"a{n}", 0, float(n)), mark(f"b{n}", 1, float(n)))) for n in range(20)
    ]
    figure = draw_timeline(report(tracks), Slices())
    assert len(picture_places(figure)) == 2 * MOST_ROWS
    words = words_of(figure)
    assert any(f"20 lesion tracks, the {MOST_ROWS} largest shown" in one for one in words)
    assert "3.0 × 1.0 mm\n" not in words


def test_a_patient_without_targets_has_no_sum(tmp_path):
    figure = draw_timeline(report([Track("T1", (mark("a0", 0, 5.0),))]), Slices())
    assert any("no measurable target" in one for one in words_of(figure))
    save_figure(figure, tmp_path / "a.png", dots_per_inch=30)
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_the_csv_has_every_mark_and_every_end(eventful, tmp_path):
    path = tmp_path / "tracks.csv"
    count = write_tracks_csv([eventful.tracks], path)
    with path.open(newline="") as stream:
        rows = list(csv.DictReader(stream))
    assert len(rows) == count == sum(len(t.lesions) for t in eventful.tracks.tracks) + 3
    ends = {row["track_id"]: row["state"] for row in rows if not row["lesion_id"]}
    assert ends == {"T2": "merged", "T3": "vanished", "T6": "vanished"}
    first = next(row for row in rows if row["lesion_id"] == "a0")
    assert (first["state"], float(first["long_mm"])) == ("baseline", 20.0)
    with pytest.raises(TrackTableError, match="cannot be written"):
        write_tracks_csv([eventful.tracks], tmp_path / "missing" / "tracks.csv")
