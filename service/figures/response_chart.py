"""The sum of target diameters under a timeline, with the RECIST category of each study."""

from __future__ import annotations

import textwrap
from typing import Any

from retrieval.tracking.response.recist import (
    PARTIAL_RESPONSE_PCT,
    PatientResponse,
    ResponseCategory,
    StudyResponse,
)
from service.figures.colours import DOUBT_COLOUR, QUERY_COLOUR
from service.figures.query import BACKGROUND, FAINT, MARGIN, PANEL_EDGE, TEXT
from service.figures.timeline_sheet import COLUMN, LABELS, TimelineSheet

CATEGORY_COLOURS = {
    ResponseCategory.COMPLETE_RESPONSE: "#56d364",
    ResponseCategory.PARTIAL_RESPONSE: "#56d364",
    ResponseCategory.STABLE_DISEASE: "#58a6ff",
    ResponseCategory.PROGRESSIVE_DISEASE: "#ff7b72",
    ResponseCategory.NOT_EVALUABLE: DOUBT_COLOUR,
}

# Inches from the top of the band.
PLOT_TOP, PLOT_HEIGHT, CHIP_TOP = 0.34, 1.2, 1.68


def draw_response(sheet: TimelineSheet, response: PatientResponse) -> None:
    """Draws the band below the rows: baseline, sums and categories, each under its study."""
    top = sheet.chart_top
    sheet.rule(top)
    sheet.text(MARGIN, top + 0.36, "Sum of target", fontsize=9.5, fontweight="bold")
    sheet.text(MARGIN, top + 0.54, "diameters, mm", fontsize=9.5, fontweight="bold")
    studies = response.tracks.order.study_ids
    baseline = studies.index(response.baseline_study)
    if not response.targets or response.baseline_sum_mm is None:
        words = "no measurable target lesion at the baseline: no sum"
        sheet.text(MARGIN + LABELS, top + 0.36, words, FAINT, fontsize=9.5)
    else:
        targets = ", ".join(target.track_id for target in response.targets)
        note = "\n".join(textwrap.wrap(f"targets {targets}", 22))
        sheet.text(MARGIN, top + 0.78, note, FAINT, fontsize=8, linespacing=1.35)
        _draw_sums(sheet, response, baseline)
    sheet.text(sheet.column_x(baseline), top + CHIP_TOP, "baseline", FAINT, ha="center", fontsize=9)
    for study in response.studies:
        _draw_category(sheet, study, studies.index(study.study_id))


def _draw_sums(sheet: TimelineSheet, response: PatientResponse, baseline: int) -> None:
    studies = response.tracks.order.study_ids
    axes = sheet.axes(
        MARGIN + LABELS, sheet.chart_top + PLOT_TOP, len(studies) * COLUMN, PLOT_HEIGHT
    )
    axes.set_xlim(-0.5, len(studies) - 0.5)
    start_mm = response.baseline_sum_mm or 0.0
    sums = [(baseline, start_mm, True)]
    sums += [
        (studies.index(one.study_id), one.sum_mm, not one.not_evaluable_tracks)
        for one in response.studies
        if one.sum_mm is not None
    ]
    partial_mm = start_mm * (1 + PARTIAL_RESPONSE_PCT / 100)
    highest = max(mm for _, mm, _ in sums)
    axes.set_ylim(0, highest * 1.35)
    axes.axhline(partial_mm, color=PANEL_EDGE, lw=1, ls=(0, (4, 3)))
    small: dict[str, Any] = {"color": FAINT, "fontsize": 7, "va": "bottom", "ha": "right"}
    axes.text(len(studies) - 0.52, partial_mm, f"{PARTIAL_RESPONSE_PCT:.0f} %", **small)
    complete = [(column, mm) for column, mm, known in sums if known]
    axes.plot(*zip(*complete, strict=True), color=QUERY_COLOUR, lw=2)
    for column, mm, known in sums:
        fill = QUERY_COLOUR if known else BACKGROUND
        axes.plot([column], [mm], "o", ms=6, mfc=fill, mec=QUERY_COLOUR)
        words = f"{mm:.1f}" if known else f"at least {mm:.1f}"
        axes.text(column, mm + highest * 0.09, words, color=TEXT, fontsize=9, ha="center")
    axes.set_xticks([])
    axes.set_yticks([])
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    axes.spines["bottom"].set_color(PANEL_EDGE)


def _draw_category(sheet: TimelineSheet, study: StudyResponse, column: int) -> None:
    x, top = sheet.column_x(column), sheet.chart_top + CHIP_TOP
    if study.category is None:
        sheet.text(x, top, "no category", FAINT, ha="center", fontsize=9)
    else:
        colour = CATEGORY_COLOURS[study.category]
        chip = {"boxstyle": "round,pad=0.35", "fc": colour, "ec": "none"}
        bold = {"fontsize": 10.5, "fontweight": "bold", "ha": "center"}
        sheet.text(x, top, study.category.value, BACKGROUND, bbox=chip, **bold)
    reason = "\n".join(textwrap.wrap(study.reason, 24)[:4])
    sheet.text(x, top + 0.36, reason, FAINT, ha="center", fontsize=7.4, linespacing=1.3)
