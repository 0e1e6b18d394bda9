"""``lesion-search follow``: an indexed lesion found again in a series that nobody has marked."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from service.commands.option_groups import with_groups
from service.commands.options import (
    ImageOptions,
    IndexOption,
    JsonFlag,
    ModelOptions,
    engine_of,
)
from service.console import answer, answer_json, say, warn

if TYPE_CHECKING:
    from rich.table import Table

    from retrieval.image import Slab
    from retrieval.lesion import Lesion
    from retrieval.tracking.following.findings import Following
    from service.decoding.identity import ImageIdentity
    from service.engine.search_engine import SearchEngine

WHOLE_SERIES_MM = 1e6
"""A depth that no series reaches."""

AcceptOption = Annotated[
    int | None,
    typer.Option(
        help="Accept the candidate of this rank: it becomes a lesion with a confirmed link."
    ),
]
KeepFlag = Annotated[
    bool,
    typer.Option(
        "--keep/--no-keep", help="Keep the search in the index, so that a timeline can rest on it."
    ),
]


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("follow")(with_groups(follow))


def follow(
    *,
    image: Annotated[
        Path,
        typer.Argument(
            help="A series: a folder of 16-bit PNGs (HU + 32768) or of DICOM, or a volume: NIfTI, "
            "NRRD, MetaImage."
        ),
    ],
    lesion: Annotated[str, typer.Option(help="The indexed lesion's id.")],
    index: IndexOption,
    reading: ImageOptions,
    models: ModelOptions,
    accept: AcceptOption = None,
    study: Annotated[
        str | None,
        typer.Option(help="The series' study. Default: what its files say."),
    ] = None,
    keep: KeepFlag = True,
    register_scans: Annotated[
        bool,
        typer.Option(
            "--register/--no-register",
            help="Register both scans where SimpleITK and the lesion's slices are at hand.",
        ),
    ] = True,
    dls: Annotated[
        str | None,
        typer.Option(
            "--dls", help="Print the JSON of the Deep Longitudinal Study under this pair's key."
        ),
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Find an indexed lesion again in a series of its patient that nobody has marked.

    What is found is a proposal. Only --accept makes it a lesion, linked to the one that was
    followed. The search is kept in the index: `track` calls a lesion vanished that was not found
    where all of its place was covered. Coordinates are 0-based: (0, 0) is the centre of the
    top-left pixel.
    """
    from service.engine.following import NOT_KEPT, FollowRequest, keep_search
    from service.engine.following import follow as find

    engine = engine_of(index, models)
    with engine.index:
        identity = _identity(image)
        engine.index.get(lesion)
        slab = _read(image, reading)
        wanted = FollowRequest(
            lesion,
            None if identity is None else identity.patient_id,
            study or (None if identity is None else identity.study_id),
            None if identity is None else identity.study_date,
            _own_slices(engine, lesion),
            register_scans,
        )
        found = find(engine, wanted, slab)
        accepted = None
        if accept is not None:
            accepted = _accept(engine, found, slab, accept, wanted.study_id)
        kept = keep_search(engine, found, slab) if keep else None
    warn([*found.warnings, *([NOT_KEPT] if keep and kept is None else [])])
    if dls is not None:
        answer_json({dls: {"predict target center": found.dls_center()}})
    else:
        show_accepted(found, accepted, as_json=as_json)


def _read(image: Path, reading: ImageOptions) -> Slab:
    from retrieval.sources.query_image import open_query_image

    choice = reading.choice()
    return open_query_image(
        image,
        key_slice_index=choice.key_slice_index,
        spacing_mm=choice.spacing_mm,
        half_depth_mm=WHOLE_SERIES_MM,
        series=choice.series,
        assume_hu=choice.assume_hu,
    )


def _identity(image: Path) -> ImageIdentity | None:
    """Whose the image is by its files, or by DeepLesion's names."""
    from service.decoding.identity import identity_of

    files = sorted(file for file in image.rglob("*") if file.is_file()) if image.is_dir() else []
    files = files or [image]
    names = [f"{file.resolve().parent.name}/{file.name}" for file in files]
    pictures = [name for name in names if name.endswith(".png")]
    return identity_of([] if pictures else files, pictures or names)


def _own_slices(engine: SearchEngine, lesion_id: str) -> Slab | None:
    from retrieval.sources.errors import ArchiveError
    from service.engine.following import OWN_DEPTH_MM
    from service.figures.indexed_pixels import PictureError
    from service.figures.pictures import LesionPictures

    try:
        return LesionPictures(engine.index).neighbourhood(lesion_id, half_depth_mm=OWN_DEPTH_MM)
    except (PictureError, ArchiveError):
        return None


def _accept(
    engine: SearchEngine, found: Following, slab: Slab, rank: int, study: str | None
) -> Lesion:
    from service.http.uploads.accepted_findings import (
        FindingAcceptance,
        NewStudy,
        chosen_finding,
    )
    from service.http.uploads.added_lesions import AddedLesions

    finding = chosen_finding(found, rank)
    acceptance = FindingAcceptance(engine, AddedLesions(engine))
    prepared = acceptance.prepare(finding, slab, found.lesion_id, NewStudy(study))
    return acceptance.store(prepared)


def show_accepted(found: Following, accepted: Lesion | None, *, as_json: bool) -> None:
    """What was found, as JSON or as a table, and the lesion that a candidate became."""
    if as_json:
        document: dict[str, Any] = found.to_json()
        document["accepted"] = None if accepted is None else accepted.to_json()
        answer_json(document)
        return
    _show(found)
    if accepted is not None:
        say(f"accepted: lesion {accepted.lesion_id}, linked to {found.lesion_id}")


def _show(found: Following) -> None:
    """The candidates as a table, and what was covered."""
    covered = found.covered
    where = "no slice" if covered.slices is None else "slices {} to {}".format(*covered.slices)
    answer(
        _table(found),
        f"{found.state.value}: {where} searched, {covered.boxes} boxes compared, "
        f"{covered.share:.0%} of where the lesion may lie. Not a medical device: a proposal, until "
        "a reader accepts it",
    )


def _table(found: Following) -> Table:
    from rich.table import Table

    table = Table(title=f"Lesion {found.lesion_id} sought again", title_justify="left")
    for column in ("rank", "slice", "box", "score", "similarity", "long mm", "detector"):
        table.add_column(column, justify="left" if column == "box" else "right")
    for rank, one in enumerate(found.candidates, start=1):
        table.add_row(
            str(rank),
            str(one.key_slice_index),
            ", ".join(f"{edge:.1f}" for edge in one.box.to_list()),
            f"{one.score:.2f}",
            f"{one.similarity:.3f}",
            "" if one.long_mm is None else f"{one.long_mm:.1f}",
            "" if one.detector_score is None else f"{one.detector_score:.2f}",
        )
    return table
