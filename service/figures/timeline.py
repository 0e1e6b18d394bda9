"""A patient over time as one figure: a line for each lesion track, pictures along it, response."""

from __future__ import annotations

from itertools import pairwise

from matplotlib.figure import Figure

from retrieval.lesion import Lesion
from retrieval.patch import PatchSpec
from retrieval.tracking.response.growth import TrackGrowth
from retrieval.tracking.track_types import (
    LinkState,
    OrderedBy,
    PatientTracks,
    StudyOrder,
    Track,
    TrackLink,
)
from service.engine.patient_tracks import PatientReport
from service.figures.pictures import LesionPictures
from service.figures.query import (
    DOUBT_COLOUR,
    FAINT,
    FOLLOW_UP_COLOUR,
    HIT_COLOUR,
    MARGIN,
    QUERY_COLOUR,
    Panel,
    display_window,
)
from service.figures.response_chart import draw_response
from service.figures.result_panels import size_text
from service.figures.timeline_sheet import COLUMN, HEADER, PICTURE, ROW, Place, TimelineSheet

MOST_ROWS = 12
"""Larger patients show their targets and their largest lesions; CSV and JSON hold all."""

PICTURE_WIDTHS_MM = (80, 120, 200)
PICTURE_PX = 160

SURE_COLOUR = FOLLOW_UP_COLOUR
NEW_COLOUR = HIT_COLOUR
JOINT_COLOUR = "#bc8cff"
DOUBT_STATES = {LinkState.UNCERTAIN}
JOINT_STATES = {LinkState.MERGED, LinkState.SPLIT}


def draw_timeline(report: PatientReport, pictures: LesionPictures) -> Figure:
    """The figure of one patient: studies from left to right, one line a lesion track.

    Raises:
        LesionSearchError: the pixels of a lesion are no longer there.
    """
    tracks = report.tracks
    shown = _shown_tracks(report)
    sheet = TimelineSheet(len(tracks.order.study_ids), len(shown))
    _draw_header(sheet, tracks, len(shown))
    drawer = _Rows(sheet, report, shown, pictures)
    for row, track in enumerate(shown):
        drawer.draw(row, track)
    drawer.draw_links_between_rows()
    draw_response(sheet, report.response)
    _draw_foot(sheet, report, drawer.width_mm)
    return sheet.figure


def _shown_tracks(report: PatientReport) -> list[Track]:
    targets = [target.track_id for target in report.response.targets]

    def worth(track: Track) -> tuple[bool, float]:
        largest = max((lesion.long_mm or 0.0 for lesion in track.lesions), default=0.0)
        return (track.track_id in targets, largest)

    kept = sorted(report.tracks.tracks, key=worth, reverse=True)[:MOST_ROWS]
    return [track for track in report.tracks.tracks if track in kept]


def _draw_header(sheet: TimelineSheet, tracks: PatientTracks, shown: int) -> None:
    order = tracks.order
    title = f"Patient {tracks.patient_id}"
    sheet.text(MARGIN, 0.2, title, fontsize=14, fontweight="bold")
    facts = [
        f"{len(order.study_ids)} studies, {len(tracks.tracks)} lesion tracks"
        + (f", the {shown} largest shown" if shown < len(tracks.tracks) else ""),
        "ordered by study date"
        if order.ordered_by is OrderedBy.DATE
        else "ordered by study number: not every study has a date",
    ]
    sheet.text(MARGIN, 0.49, " · ".join(facts), FAINT, fontsize=9.5)
    for column, study_id in enumerate(order.study_ids):
        x = sheet.column_x(column)
        sheet.text(x, 0.83, study_id, ha="center", fontsize=10, fontweight="bold")
        sheet.text(x, 1.02, _when(order, column), FAINT, ha="center", fontsize=8.4)
    sheet.rule(HEADER - 0.06)


def _when(order: StudyOrder, column: int) -> str:
    day = order.dates[column]
    if day is None:
        return "no date"
    before = order.dates[column - 1] if column else None
    return day.isoformat() + (f"  (+{(day - before).days} d)" if before is not None else "")


def _draw_foot(sheet: TimelineSheet, report: PatientReport, width_mm: int) -> None:
    foot = sheet.height
    document = report.response.to_json()
    policy = document["policy"]
    notes = [
        f"{document['guideline']}; nodes: {policy['nodes']}; marks: {policy['marks']}; "
        f"not assessed: {document['not_assessed']}",
        f"pictures {width_mm} mm wide; dashed grey: uncertain; numbers on lines: probability",
    ]
    for line, note in enumerate(notes):
        sheet.text(MARGIN, foot - 0.78 + 0.16 * line, note.replace("_", " "), FAINT, fontsize=7)
    for warning in report.warnings:
        sheet.text(MARGIN, foot - 0.46, warning, QUERY_COLOUR, fontsize=6.6)
    sheet.text(MARGIN, foot - 0.26, document["notice"], fontsize=8.6, fontweight="bold")


class _Rows:
    """Draws tracks; knows where each lesion's picture stands."""

    def __init__(
        self,
        sheet: TimelineSheet,
        report: PatientReport,
        shown: list[Track],
        pictures: LesionPictures,
    ) -> None:
        self._sheet, self._pictures = sheet, pictures
        self._studies = report.tracks.order.study_ids
        self._growth = {growth.track_id: growth for growth in report.response.growth}
        self._targets = {target.track_id for target in report.response.targets}
        self._links = {(link.earlier, link.later): link for link in report.tracks.links}
        self._slabs = {
            lesion.lesion_id: pictures.slab(lesion.lesion_id)
            for track in shown
            for lesion in track.lesions
        }
        self._places: dict[str, tuple[int, Place]] = {}
        extents = [
            max(lesion.box.width * slab.spacing_mm_px[0], lesion.box.height * slab.spacing_mm_px[1])
            for track in shown
            for lesion in track.lesions
            if (slab := self._slabs[lesion.lesion_id])
        ]
        fitting = [mm for mm in PICTURE_WIDTHS_MM if mm >= 1.4 * max(extents, default=0.0)]
        self.width_mm = fitting[0] if fitting else PICTURE_WIDTHS_MM[-1]
        self._spec = PatchSpec(size_px=PICTURE_PX, mm_px=self.width_mm / PICTURE_PX, slices=1)

    def draw(self, row: int, track: Track) -> None:
        """One row: its name, its line, a picture for each study it was marked in, its end."""
        self._label(row, track)
        marks = self._marks(track)
        for (before, earlier), (column, later) in pairwise(marks):
            link = self._links.get((earlier[0].lesion_id, later[0].lesion_id))
            self._segment(row, (before, column), link)
        previous: Lesion | None = None
        for column, lesions in marks:
            self._appearance(row, column, track, lesions, previous)
            previous = lesions[0]
        self._end(row, track, marks[-1][0])
        if row:
            self._sheet.rule(HEADER + row * ROW - 0.02)

    def draw_links_between_rows(self) -> None:
        """Merges, splits and doubtful matches that join two lines."""
        for link in self._links.values():
            if link.state not in DOUBT_STATES | JOINT_STATES:
                continue
            if not {link.earlier, link.later} <= set(self._places):
                continue
            (row, start), (other, end) = self._places[link.earlier], self._places[link.later]
            if row != other:
                doubtful = link.state in DOUBT_STATES
                colour = DOUBT_COLOUR if doubtful else JOINT_COLOUR
                self._sheet.line(start, end, colour, dashed=doubtful)

    def _marks(self, track: Track) -> list[tuple[int, list[Lesion]]]:
        """(column, lesions) of each study the track was marked in, the largest lesion first."""
        by_column: dict[int, list[Lesion]] = {}
        for lesion in track.lesions:
            by_column.setdefault(self._studies.index(lesion.study_id), []).append(lesion)
        return [
            (column, sorted(lesions, key=lambda x: -(x.long_mm or 0.0)))
            for column, lesions in sorted(by_column.items())
        ]

    def _label(self, row: int, track: Track) -> None:
        top = self._sheet.place(row, 0).y - PICTURE / 2
        is_target = track.track_id in self._targets
        name = f"{track.track_id}   target" if is_target else track.track_id
        colour = QUERY_COLOUR if is_target else FAINT
        self._sheet.text(MARGIN, top, name, colour, fontsize=10.5, fontweight="bold")
        lesion_type = track.lesions[0].lesion_type
        window, _ = display_window(lesion_type)
        words = [lesion_type.value, *_growth_words(self._growth[track.track_id])]
        words.append(f"({window} window)")
        self._sheet.text(MARGIN, top + 0.23, "\n".join(words), fontsize=8.4, linespacing=1.4)

    def _segment(self, row: int, columns: tuple[int, int], link: TrackLink | None) -> None:
        start, end = (self._sheet.place(row, column) for column in columns)
        doubtful = link is None or link.state in DOUBT_STATES
        colour = DOUBT_COLOUR if doubtful else SURE_COLOUR
        if link is not None and link.state in JOINT_STATES:
            colour = JOINT_COLOUR
        self._sheet.line(start, end, colour, dashed=doubtful)
        for column in range(columns[0] + 1, columns[1]):
            gap = self._sheet.place(row, column)
            self._sheet.dot(gap, DOUBT_COLOUR)
            self._sheet.text(gap.x, gap.y + 0.12, "not marked", FAINT, ha="center", fontsize=8.4)
        if link is not None:
            word = "yes" if link.state is LinkState.CONFIRMED else f"{link.score:.2f}"
            x = end.x - COLUMN / 2
            self._sheet.text(x, end.y - 0.06, word, FAINT, ha="center", va="bottom", fontsize=7)

    def _appearance(
        self, row: int, column: int, track: Track, lesions: list[Lesion], previous: Lesion | None
    ) -> None:
        place = self._sheet.place(row, column)
        lesion = lesions[0]
        for one in lesions:
            self._places[one.lesion_id] = (row, place)
        word, colour = self._state(track, lesion, previous)
        panel = Panel(
            "",
            slab=self._slabs[lesion.lesion_id],
            box=lesion.box,
            lesion_type=lesion.lesion_type,
            colour=colour,
        )
        self._sheet.picture(place, panel, self._spec)
        above = place.y - PICTURE / 2 - 0.05
        style = {"ha": "center", "va": "bottom", "fontsize": 8.4, "fontweight": "bold"}
        self._sheet.text(place.x, above, word, colour, **style)
        words = [size_text(lesion), _change(previous, lesion)]
        if len(lesions) > 1:
            words[1] = f"{len(lesions)} marks, the largest shown"
        below = place.y + PICTURE / 2 + 0.06
        self._sheet.text(place.x, below, "\n".join(words), ha="center", fontsize=8.4)

    def _state(self, track: Track, lesion: Lesion, previous: Lesion | None) -> tuple[str, str]:
        """The word above a picture, and the colour of its frame."""
        if previous is None:
            if track.split_from is not None:
                return f"split from {track.split_from}", JOINT_COLOUR
            return ("new", NEW_COLOUR) if track.new_in == lesion.study_id else ("", SURE_COLOUR)
        states = {
            link.state for (_, later), link in self._links.items() if later == lesion.lesion_id
        }
        if LinkState.MERGED in states:
            return "merged", JOINT_COLOUR
        link = self._links.get((previous.lesion_id, lesion.lesion_id))
        if link is None or link.state in DOUBT_STATES:
            return "uncertain", DOUBT_COLOUR
        if link.state is LinkState.CONFIRMED:
            return "confirmed by a reader", SURE_COLOUR
        return "", SURE_COLOUR

    def _end(self, row: int, track: Track, last: int) -> None:
        if track.merged_into is None and track.vanished_in is None:
            return
        start, end = self._sheet.place(row, last), self._sheet.place(row, last + 1)
        if track.merged_into is not None:
            word, colour = f"merged into {track.merged_into}", JOINT_COLOUR
        else:
            word, colour = "vanished", DOUBT_COLOUR
            self._sheet.line(start, end, colour)
            self._sheet.dot(end, colour)
        self._sheet.text(
            end.x, end.y + 0.13, word, colour, ha="center", fontsize=8.4, fontweight="bold"
        )


def _growth_words(growth: TrackGrowth) -> list[str]:
    words = []
    if growth.change_pct is not None and growth.change_mm is not None:
        words.append(f"{growth.change_mm:+.1f} mm, {growth.change_pct:+.0f} %")
    if growth.growth_mm_per_month is not None:
        words.append(f"{growth.growth_mm_per_month:+.1f} mm a month")
    days = growth.volume_doubling_days
    if days is not None:
        words.append(f"volume {'doubles' if days > 0 else 'halves'} in {abs(days):.0f} d")
    return words


def _change(previous: Lesion | None, lesion: Lesion) -> str:
    if previous is None or not previous.long_mm or lesion.long_mm is None:
        return ""
    return f"{100 * (lesion.long_mm / previous.long_mm - 1):+.0f} %"
