"""``lesion-search track``: the lesion tracks of one patient, or of all."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from retrieval.lesion import LesionSearchError
from service.commands.options import IndexOption, JsonFlag, MatcherOption
from service.console import answer, answer_json, say, warn

if TYPE_CHECKING:
    from index.lesion_index import LesionIndex
    from retrieval.tracking.response.recist import PatientResponse
    from retrieval.tracking.searched import SearchedStudy
    from retrieval.tracking.track_types import PatientTracks, Track
    from service.engine.patient_tracks import MarkPolicy, PatientReport


class TrackCommandError(LesionSearchError):
    """Options of ``track`` that do not go together."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("track")(track)


def track(
    index: IndexOption,
    patient: Annotated[str | None, typer.Option(help="One patient. Default: all.")] = None,
    matcher: MatcherOption = None,
    complete: Annotated[
        bool,
        typer.Option(
            "--complete",
            help="Treat every study as completely marked: a lesion without a mark is new or "
            "vanished. Default: only the studies declared so with `index marks`.",
        ),
    ] = False,
    incomplete: Annotated[
        bool,
        typer.Option(
            "--incomplete",
            help="Treat the marks of every study as incomplete, whatever the index says.",
        ),
    ] = False,
    searched: Annotated[
        list[Path] | None,
        typer.Option(
            help="An answer of `follow --json`: a lesion that was not found where all of its place "
            "was covered is new or vanished. May be given several times."
        ),
    ] = None,
    csv: Annotated[
        Path | None, typer.Option(help="Also write one row for each lesion and track end.")
    ] = None,
    figure: Annotated[
        Path | None, typer.Option(help="Also draw one patient's timeline: .png, .svg or .pdf.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Join each patient's lesions into tracks; sizes, growth and RECIST 1.1 response over time."""
    from index.lesion_index import LesionIndex
    from retrieval.tracking.matcher import load_matcher
    from service.engine.patient_tracks import report_of

    if figure is not None and patient is None:
        raise TrackCommandError("a figure shows one patient: name one with --patient")
    marks = _mark_policy(complete=complete, incomplete=incomplete)
    model, answers = load_matcher(matcher), _searched(searched or [])
    with LesionIndex.open(index, read_only=True) as opened:
        patients = opened.patients() if patient is None else [patient]
        found = [
            report_of(opened, one, model=model, marks=marks, searched=answers) for one in patients
        ]
        if figure is not None:
            _save_timeline(opened, found[0], figure)
    if csv is not None:
        _save_rows(found, csv)
    warn(warning for one in found for warning in one.warnings)
    if not as_json:
        _show(found)
    elif patient is None:
        answer_json({"patients": [one.to_json() for one in found]})
    else:
        answer_json(found[0].to_json())


def _mark_policy(*, complete: bool, incomplete: bool) -> MarkPolicy:
    from service.engine.patient_tracks import MarkPolicy

    if complete and incomplete:
        raise TrackCommandError("marks are complete or incomplete: give one of both options")
    if complete:
        return MarkPolicy.COMPLETE
    return MarkPolicy.INCOMPLETE if incomplete else MarkPolicy.RECORDED


def _searched(files: list[Path]) -> list[SearchedStudy]:
    from retrieval.tracking.searched import SearchedStudy

    found = []
    for file in files:
        try:
            found.append(SearchedStudy.of_document(json.loads(file.read_text(encoding="utf-8"))))
        except (OSError, ValueError) as wrong:
            raise TrackCommandError(f"{file}: {wrong}") from None
    return found


def _save_timeline(index: LesionIndex, report: PatientReport, path: Path) -> None:
    from service.figures.pictures import LesionPictures
    from service.figures.query import save_figure
    from service.figures.timeline import draw_timeline

    save_figure(draw_timeline(report, LesionPictures(index)), path)
    say(f"figure: {path}")


def _save_rows(reports: list[PatientReport], path: Path) -> None:
    from service.figures.tables.tracks import write_tracks_csv

    write_tracks_csv([report.tracks for report in reports], path)
    say(f"table: {path}")


def _show(reports: list[PatientReport]) -> None:
    from retrieval.tracking.track_types import RESEARCH_USE

    for report in reports:
        told = (_response_line(report.response), _volume_line(report.response))
        answer(_table(report.tracks), *(line for line in told if line))
    answer(RESEARCH_USE)


def _table(tracks: PatientTracks) -> Table:
    """One row a track: its long diameter in mm in each study."""
    ordered_by = tracks.order.ordered_by.value.replace("_", " ")
    title = f"Patient {tracks.patient_id}, long mm by study, in order of {ordered_by}"
    table = Table(title=title, title_justify="left")
    table.add_column("track")
    table.add_column("type")
    for study_id in tracks.order.study_ids:
        table.add_column(study_id, justify="right")
    table.add_column("what became of it", overflow="fold")
    for one in tracks.tracks:
        sizes = {lesion.study_id: lesion.long_mm for lesion in one.lesions}
        cells = [_size(sizes, study_id) for study_id in tracks.order.study_ids]
        table.add_row(one.track_id, one.lesions[0].lesion_type.value, *cells, _what_became(one))
    return table


def _response_line(response: PatientResponse) -> str:
    """Sums of target diameters and the category of every study after the baseline."""
    if not response.studies:
        return "one study: no response\n"
    if not response.targets:
        return "RECIST 1.1: no measurable target lesion at the baseline\n"
    steps = [f"baseline {response.baseline_sum_mm:.1f} mm"]
    for study in response.studies:
        bound = "at least " if study.not_evaluable_tracks else ""
        size = "" if study.sum_mm is None else f"{bound}{study.sum_mm:.1f} mm; "
        category = "no category" if study.category is None else study.category.value
        steps.append(f"{study.study_id} {category} ({size}{study.reason})")
    targets = ", ".join(target.track_id for target in response.targets)
    return f"RECIST 1.1, sum of {targets}: " + "; ".join(steps) + "\n"


def _volume_line(response: PatientResponse) -> str:
    """Sums of target volumes beside the diameters; empty where no volume was measured."""
    volumes = response.volumes
    if not volumes.tracks:
        return ""
    start = volumes.baseline_sum_mm3
    steps = ["baseline not measured" if start is None else f"baseline {start:.0f} mm3"]
    for study in volumes.studies:
        if study.sum_mm3 is None or study.change is None:
            missing = ", ".join(study.not_measured_tracks) or "the baseline"
            steps.append(f"{study.study_id} not told (no volume of {missing})")
        else:
            change = study.change_from_baseline_pct or 0.0
            size = f"{study.sum_mm3:.0f} mm3, {change:+.0f} %"
            steps.append(f"{study.study_id} {study.change.value} ({size})")
    return f"By measured volume, no category of RECIST: {'; '.join(steps)}\n"


def _size(sizes: dict[str, float | None], study_id: str) -> str:
    if study_id not in sizes:
        return ""
    size = sizes[study_id]
    return "marked" if size is None else f"{size:.1f}"


def _what_became(track: Track) -> str:
    facts = {
        "new in": track.new_in,
        "vanished by": track.vanished_in,
        "merged into": track.merged_into,
        "split from": track.split_from,
    }
    return ", ".join(f"{what} {where}" for what, where in facts.items() if where is not None)
