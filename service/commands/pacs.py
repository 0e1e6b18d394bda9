"""``lesion-search pacs``: query, add and report by DICOMweb reference."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.lesion import Box, LesionSearchError, LesionType, Recist, parse_numbers
from service.commands.options import EncoderOption, IndexOption, JsonFlag, MatcherOption
from service.console import answer_fields, answer_json, say, warn
from service.figures.tables.result import show_result

if TYPE_CHECKING:
    from service.engine.search_engine import SearchEngine
    from service.pacs.client import PacsClient
    from service.pacs.report import PacsReports
    from service.pacs.search import PacsQuery

PacsOption = Annotated[
    str | None,
    typer.Option("--pacs", help="URL of the DICOMweb service. Default: LESION_SEARCH_PACS_URL."),
]
KeyOption = Annotated[
    Path | None,
    typer.Option("--key", help="The pseudonym key. Default: LESION_SEARCH_PACS_PSEUDONYM_KEY."),
]
SeriesOption = Annotated[str, typer.Option("--series", help="SeriesInstanceUID of the CT series.")]
StudyOption = Annotated[
    str | None, typer.Option("--study", help="Its StudyInstanceUID; looked up if absent.")
]
InstanceOption = Annotated[
    str | None, typer.Option("--instance", help="SOPInstanceUID of the key slice.")
]
KeySliceOption = Annotated[
    int | None,
    typer.Option("--key-slice", help="Position of the key slice, from 0, feet to head."),
]
BoxOption = Annotated[
    str | None, typer.Option("--box", help="x1,y1,x2,y2 in 0-based pixels of the key slice.")
]
RecistOption = Annotated[
    str | None, typer.Option("--recist", help="x1,y1,...,x4,y4, long diameter first.")
]


class PacsCommandError(LesionSearchError):
    """Options of ``pacs`` that do not go together."""


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(
        help="Query by reference to a PACS, over DICOMweb, and report back to it. Credentials "
        "come from LESION_SEARCH_PACS_USER and ..._PASSWORD, or ..._TOKEN.",
        rich_markup_mode=None,
    )
    for command in (query, add, report):
        group.command()(command)
    app.add_typer(group, name="pacs")


def query(
    index: IndexOption,
    series: SeriesOption,
    study: StudyOption = None,
    instance: InstanceOption = None,
    key_slice: KeySliceOption = None,
    box: BoxOption = None,
    recist: RecistOption = None,
    point: Annotated[
        str | None, typer.Option(help="x,y: the detector's best box that holds it.")
    ] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many similar lesions.")] = 10,
    where: Annotated[
        str | None, typer.Option(help="A filter, as 'type=liver and long_mm=10..30'.")
    ] = None,
    pacs: PacsOption = None,
    key: KeyOption = None,
    encoder: EncoderOption = None,
    matcher: MatcherOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Find similar lesions, and this one in the patient's other studies in the PACS.

    Without box, mark and point the detector proposes. Follow-ups come from the index, from
    structured reports in the PACS, or from the detector; the answer says which.
    """
    asked = _query((study, series, instance, key_slice), (box, recist, point), k=k, where=where)
    from service.pacs.search import search_pacs

    client = _client(pacs, key)
    engine = _engine(index, encoder, matcher)
    with engine.index:
        found = search_pacs(engine, client, asked)
    warn(found.result.warnings)
    if as_json:
        answer_json(found.to_json())
        return
    show_result(found.result)
    for other in found.studies:
        what = other.note or f"{other.lesions} lesions"
        say(f"study {other.study_id}: from {other.source.value}, {what}")


def add(
    index: IndexOption,
    series: SeriesOption,
    study: StudyOption = None,
    instance: InstanceOption = None,
    key_slice: KeySliceOption = None,
    box: BoxOption = None,
    recist: RecistOption = None,
    lesion_type: Annotated[str, typer.Option("--type", help="The lesion's type.")] = "unknown",
    pacs: PacsOption = None,
    key: KeyOption = None,
    encoder: EncoderOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Index a lesion of the PACS under the ids of the pseudonym key."""
    asked = _query((study, series, instance, key_slice), (box, recist, None))
    kind = LesionType.parse(lesion_type)
    from service.pacs.indexing import index_lesion

    client = _client(pacs, key)
    engine = _engine(index, encoder, None)
    with engine.index:
        lesion, _ = index_lesion(engine, client, asked, lesion_type=kind)
    if as_json:
        answer_json(lesion.to_json())
    else:
        answer_fields(lesion.to_json(), title="Indexed")


def report(
    index: IndexOption,
    series: SeriesOption,
    study: StudyOption = None,
    instance: InstanceOption = None,
    key_slice: KeySliceOption = None,
    box: BoxOption = None,
    recist: RecistOption = None,
    all_tracks: Annotated[
        bool,
        typer.Option("--all-tracks", help="All tracks that the index has of the patient instead."),
    ] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Write the report here.")] = None,
    store: Annotated[bool, typer.Option("--store", help="Store it in the PACS.")] = False,
    pacs: PacsOption = None,
    key: KeyOption = None,
    encoder: EncoderOption = None,
    matcher: MatcherOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Write a lesion and its follow-ups as a DICOM structured report (TID 1500).

    The report holds the PACS's own identifiers, never pseudonyms. Several reports, one for each
    latest study of some track, are written as OUT, OUT-2, OUT-3 and so on.
    """
    if out is None and not store:
        raise PacsCommandError("give --out FILE, --store, or both")
    asked = _query((study, series, instance, key_slice), (box, recist, None))
    client = _client(pacs, key)
    engine = _engine(index, encoder, matcher)
    with engine.index:
        made = _reports(engine, client, asked, all_tracks=all_tracks)
    if store:
        client.store(made.datasets)
    files = [] if out is None else _write(made, out)
    document = {**made.to_json(stored=store), "files": files}
    if as_json:
        answer_json(document)
    else:
        answer_fields(document, title="Reported")


def _reports(
    engine: SearchEngine, client: PacsClient, asked: PacsQuery, *, all_tracks: bool
) -> PacsReports:
    from service.pacs.report import report_of_patient, report_of_query
    from service.pacs.search import search_pacs

    if all_tracks:
        return report_of_patient(engine, client, asked.reference)
    return report_of_query(search_pacs(engine, client, asked))


def _write(made: PacsReports, out: Path) -> list[str]:
    files = []
    for number, dataset in enumerate(made.datasets, start=1):
        path = out if number == 1 else out.with_stem(f"{out.stem}-{number}")
        dataset.save_as(path, enforce_file_format=True)
        files.append(str(path))
    return files


def _query(
    image: tuple[str | None, str, str | None, int | None],
    mark: tuple[str | None, str | None, str | None],
    **options: Any,
) -> PacsQuery:
    """The query of the options; a missing extra is said before anything else is done."""
    from service.extras import Extra, need_extra

    need_extra(Extra.DICOM)
    from index.filters.lesion_filter import LesionFilter
    from service.pacs.search import PacsQuery
    from service.pacs.series import PacsReference

    study, series, instance, key_slice = image
    if instance is not None and key_slice is not None:
        raise PacsCommandError("give --instance or --key-slice, not both")
    box, recist, point = mark
    where = options.pop("where", None)
    return PacsQuery(
        PacsReference(series, study, instance, key_slice),
        None if box is None else Box.parse(box),
        None if recist is None else Recist.parse(recist),
        None if point is None else _point(point),
        where=LesionFilter() if where is None else LesionFilter.parse(where),
        **options,
    )


def _point(text: str) -> tuple[float, float]:
    x, y = parse_numbers(text, count=2, name="point", form="x,y")
    return x, y


def _client(url: str | None, key: Path | None) -> PacsClient:
    from service.pacs.client import PacsClient
    from service.pacs.settings import PacsSettings

    named: dict[str, Any] = {"url": url, "pseudonym_key": key}
    return PacsClient(PacsSettings(**{n: value for n, value in named.items() if value is not None}))


def _engine(index: Path, encoder: Path | None, matcher: Path | None) -> SearchEngine:
    from service.engine.model_files import ModelFiles
    from service.engine.search_engine import open_engine

    return open_engine(index, ModelFiles(encoder, matcher))
