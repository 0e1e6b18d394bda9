"""``lesion-search track``: the lesion tracks of one patient, or of all."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from service.commands.options import IndexOption, JsonFlag
from service.console import answer, answer_json

if TYPE_CHECKING:
    from index.track_types import PatientTracks, Track


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("track")(track)


def track(
    index: IndexOption,
    patient: Annotated[str | None, typer.Option(help="One patient. Default: all.")] = None,
    as_json: JsonFlag = False,
) -> None:
    """Join each patient's lesions into tracks: what persists, what is new, what has vanished."""
    from index.lesion_index import LesionIndex
    from service.patient_tracks import tracks_of

    with LesionIndex.open(index, read_only=True) as opened:
        patients = opened.patients() if patient is None else [patient]
        found = [tracks_of(opened, patient_id) for patient_id in patients]
    if not as_json:
        for one in found:
            answer(_table(one))
    elif patient is None:
        answer_json({"patients": [one.to_json() for one in found]})
    else:
        answer_json(found[0].to_json())


def _table(tracks: PatientTracks) -> Table:
    """One row a track: its long diameter in mm in each study."""
    table = Table(title=f"Patient {tracks.patient_id}, long mm by study", title_justify="left")
    table.add_column("track")
    table.add_column("type")
    for study_id in tracks.order.study_ids:
        table.add_column(study_id, justify="right")
    table.add_column("what became of it", overflow="fold")
    for one in tracks.tracks:
        sizes = {lesion.study_id: lesion.long_mm for lesion in one.lesions}
        cells = [_size(sizes, study_id) for study_id in tracks.order.study_ids]
        table.add_row(one.track_id, one.lesions[0].lesion_type.value, *cells, _course(one))
    return table


def _size(sizes: dict[str, float | None], study_id: str) -> str:
    if study_id not in sizes:
        return ""
    size = sizes[study_id]
    return "marked" if size is None else f"{size:.1f}"


def _course(track: Track) -> str:
    facts = {
        "new in": track.new_in,
        "vanished by": track.vanished_in,
        "merged into": track.merged_into,
        "split from": track.split_from,
    }
    return ", ".join(f"{what} {where}" for what, where in facts.items() if where is not None)
