"""A patient over time as one figure: a line for each lesion track, pictures along it, response."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from retrieval.patch import PatchSpec
from retrieval.tracking.response.growth import TrackGrowth
from retrieval.tracking.states import LinkState, OrderedBy, Tone
from retrieval.tracking.timeline_table import TimelineCell, TimelineLine
from retrieval.tracking.track_types import PatientTracks, StudyOrder, Track
from service.engine.growth import LesionForecast
from service.engine.patient_tracks import PatientReport
from service.figures.colours import (
    QUERY_COLOUR,
    TONE_COLOURS,
)
from service.figures.forecast.column import draw_fans
from service.figures.pictures import LesionPictures
from service.figures.query import FAINT, MARGIN, Panel, display_window
from service.figures.response_chart import draw_response
from service.figures.result_panels import size_text
from service.figures.timeline_sheet import COLUMN, HEADER, PICTURE, ROW, Place, TimelineSheet

MOST_ROWS = 12
"""Larger patients show their targets and their largest lesions; CSV and JSON hold all."""

PICTURE_WIDTHS_MM = (80, 120, 200)
PICTURE_PX = 160


def draw_timeline(
    report: PatientReport, pictures: LesionPictures, *, forecasts: Sequence[LesionForecast] = ()
) -> Figure:
    """The figure of one patient: studies from left to right, one line a lesion track.

    ``forecasts`` of lesions of the tracks stand as fans after the last study.

    Raises:
        LesionSearchError: the pixels of a lesion are no longer there.
    """
    tracks = report.tracks
    shown = _shown_tracks(report)
    sheet = TimelineSheet(len(tracks.order.study_ids), len(shown), with_fans=bool(forecasts))
    _draw_header(sheet, tracks, len(shown))
    drawer = _Rows(sheet, report, shown, pictures)
    for row, track in enumerate(shown):
        drawer.draw(row, track)
    drawer.draw_links_between_rows()
    if forecasts:
        draw_fans(sheet, shown, forecasts)
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
    """Draws the rows of a timeline table; knows where each lesion's picture stands."""

    def __init__(
        self,
        sheet: TimelineSheet,
        report: PatientReport,
        shown: list[Track],
        pictures: LesionPictures,
    ) -> None:
        self._sheet = sheet
        self._growth = {growth.track_id: growth for growth in report.response.growth}
        self._targets = {target.track_id for target in report.response.targets}
        self._table = report.timeline
        self._row_of = {row.track_id: row for row in self._table.rows}
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
        """One row: its name, its lines, a picture or a word for each study."""
        self._label(row, track)
        cells = self._row_of[track.track_id].cells
        for column, cell in enumerate(cells):
            for lesion in cell.lesions:
                self._places[lesion.lesion_id] = (row, self._sheet.place(row, column))
        for line in self._row_of[track.track_id].lines:
            self._line(line)
        marked = [column for column, cell in enumerate(cells) if cell.lesions]
        for column, cell in enumerate(cells):
            if cell.lesions:
                self._picture(row, column, cell)
            elif cell.word:
                self._word(row, column, cell, last=marked[-1])
        if row:
            self._sheet.rule(HEADER + row * ROW - 0.02)

    def draw_links_between_rows(self) -> None:
        """Merges, splits and doubtful matches that join two lines."""
        for line in self._table.joins:
            if {line.earlier, line.later} <= set(self._places):
                (_, start), (_, end) = self._places[line.earlier], self._places[line.later]
                dashed = line.tone is Tone.DOUBT
                self._sheet.line(start, end, TONE_COLOURS[line.tone], dashed=dashed)

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

    def _line(self, line: TimelineLine) -> None:
        (_, start), (_, end) = self._places[line.earlier], self._places[line.later]
        self._sheet.line(start, end, TONE_COLOURS[line.tone], dashed=line.tone is Tone.DOUBT)
        if line.score is not None:
            word = "yes" if line.state is LinkState.CONFIRMED else f"{line.score:.2f}"
            x = end.x - COLUMN / 2
            self._sheet.text(x, end.y - 0.06, word, FAINT, ha="center", va="bottom", fontsize=7)

    def _picture(self, row: int, column: int, cell: TimelineCell) -> None:
        place, lesion = self._sheet.place(row, column), cell.lesions[0]
        colour = TONE_COLOURS[cell.tone]
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
        self._sheet.text(place.x, above, cell.word, colour, **style)
        change = "" if cell.change_pct is None else f"{cell.change_pct:+.0f} %"
        facts = "\n".join([size_text(lesion), *(cell.notes or (change,))])
        below = place.y + PICTURE / 2 + 0.06
        self._sheet.text(place.x, below, facts, ha="center", fontsize=8.4)

    def _word(self, row: int, column: int, cell: TimelineCell, *, last: int) -> None:
        place, colour = self._sheet.place(row, column), TONE_COLOURS[cell.tone]
        if cell.tone is Tone.ABSENT:
            self._sheet.line(self._sheet.place(row, last), place, colour)
        if cell.tone is not Tone.JOINT:
            self._sheet.dot(place, colour)
        weight = "normal" if cell.tone is Tone.UNKNOWN else "bold"
        style = {"ha": "center", "fontsize": 8.4, "fontweight": weight}
        self._sheet.text(place.x, place.y + 0.13, cell.word, colour, **style)


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
