"""``lesion-search pacs``: query, add and report by DICOMweb reference."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Unpack

import typer

from retrieval.lesion import LesionSearchError, LesionType
from service.commands.follow import AcceptOption, KeepFlag
from service.commands.option_groups import with_groups
from service.commands.options import (
    AssumeHuFlag,
    BoxOptions,
    EncoderOption,
    EncodingOptions,
    HitOptions,
    IndexOption,
    JsonFlag,
    MarkOptions,
    engine_of,
)
from service.console import answer_fields, answer_json, say, warn

if TYPE_CHECKING:
    from service.engine.query import QueryFields
    from service.engine.search_engine import SearchEngine
    from service.pacs.client import PacsClient
    from service.pacs.reports.tracks import PacsReports
    from service.pacs.search import PacsQuery


@dataclass(frozen=True)
class PacsOptions:
    """Which PACS is spoken to, and under which key its identifiers are replaced."""

    pacs: Annotated[
        str | None,
        typer.Option(help="URL of the DICOMweb service. Default: LESION_SEARCH_PACS_URL."),
    ] = None
    key: Annotated[
        Path | None,
        typer.Option(help="The pseudonym key. Default: LESION_SEARCH_PACS_PSEUDONYM_KEY."),
    ] = None

    def client(self) -> PacsClient:
        """The client of the PACS; what is not named comes from the environment."""
        from service.pacs.client import PacsClient
        from service.pacs.settings import PacsSettings

        named: dict[str, Any] = {"url": self.pacs, "pseudonym_key": self.key}
        given = {name: value for name, value in named.items() if value is not None}
        return PacsClient(PacsSettings(**given))


@dataclass(frozen=True)
class ReferenceOptions:
    """Which image of the PACS is meant."""

    series: Annotated[str, typer.Option(help="SeriesInstanceUID of the CT series.")]
    study: Annotated[
        str | None, typer.Option(help="Its StudyInstanceUID; looked up if absent.")
    ] = None
    instance: Annotated[str | None, typer.Option(help="SOPInstanceUID of the key slice.")] = None
    key_slice: Annotated[
        int | None,
        typer.Option("--key-slice", help="Position of the key slice, from 0, feet to head."),
    ] = None
    assume_hu: AssumeHuFlag = False

    def asking(self, **fields: Unpack[QueryFields]) -> PacsQuery:
        """The query of a lesion on the image; a missing extra is said before anything else."""
        from service.extras import Extra, need_extra

        need_extra(Extra.DICOM)
        from service.engine.query import LesionQuery
        from service.pacs.search import PacsQuery
        from service.pacs.series import PacsReference

        if self.instance is not None and self.key_slice is not None:
            raise PacsCommandError("give --instance or --key-slice, not both")
        reference = PacsReference(self.series, self.study, self.instance, self.key_slice)
        return PacsQuery(reference, LesionQuery.parse(**fields), self.assume_hu)


class PacsCommandError(LesionSearchError):
    """Options of ``pacs`` that do not go together."""


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(
        help="Query by reference to a PACS, over DICOMweb, and report back to it. Credentials "
        "come from LESION_SEARCH_PACS_USER and ..._PASSWORD, or ..._TOKEN.",
        rich_markup_mode=None,
    )
    for command in (query, follow, add, report):
        group.command()(with_groups(command))
    app.add_typer(group, name="pacs")


def query(
    *,
    index: IndexOption,
    image: ReferenceOptions,
    mark: MarkOptions,
    hits: HitOptions,
    pacs: PacsOptions,
    models: EncodingOptions,
    as_json: JsonFlag = False,
) -> None:
    """Find similar lesions, and this one in the patient's other studies in the PACS.

    Without box, mark and point the detector proposes. Follow-ups come from the index, from
    structured reports in the PACS, or from the detector; the answer says which.
    """
    from service.figures.tables.result import show_result

    asked = image.asking(**asdict(mark), **asdict(hits))
    from service.pacs.search import search_pacs

    client = pacs.client()
    engine = engine_of(index, models)
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


def follow(
    *,
    index: IndexOption,
    lesion: Annotated[str, typer.Option(help="The indexed lesion's id.")],
    series: Annotated[str, typer.Option(help="SeriesInstanceUID of the series to search.")],
    study: Annotated[
        str | None, typer.Option(help="Its StudyInstanceUID; looked up if absent.")
    ] = None,
    accept: AcceptOption = None,
    keep: KeepFlag = True,
    pacs: PacsOptions,
    models: EncodingOptions,
    as_json: JsonFlag = False,
) -> None:
    """Find an indexed lesion again in a series of its patient in the PACS.

    What is found is a proposal. Only --accept makes it a lesion, linked to the one that was
    followed.
    """
    from service.extras import Extra, need_extra

    need_extra(Extra.DICOM)
    from service.commands.follow import show_accepted
    from service.http.uploads.accepted_findings import chosen_finding
    from service.pacs.indexing import accept_finding
    from service.pacs.search import follow_in_pacs
    from service.pacs.series import PacsReference

    client = pacs.client()
    engine = engine_of(index, models)
    with engine.index:
        reference, accepted = PacsReference(series, study), None
        found = follow_in_pacs(engine, client, lesion, reference, keep=keep)
        if accept is not None:
            chosen = chosen_finding(found, accept)
            accepted = accept_finding(engine, client, lesion, chosen, reference)
    warn(found.warnings)
    show_accepted(found, accepted, as_json=as_json)


def add(
    *,
    index: IndexOption,
    image: ReferenceOptions,
    mark: BoxOptions,
    lesion_type: Annotated[str, typer.Option("--type", help="The lesion's type.")] = "unknown",
    pacs: PacsOptions,
    encoder: EncoderOption = None,
    as_json: JsonFlag = False,
) -> None:
    """Index a lesion of the PACS under the ids of the pseudonym key."""
    asked = image.asking(**asdict(mark))
    kind = LesionType.parse(lesion_type)
    from service.pacs.indexing import index_lesion

    client = pacs.client()
    engine = engine_of(index, EncodingOptions(encoder))
    with engine.index:
        lesion, _ = index_lesion(engine, client, asked, lesion_type=kind)
    if as_json:
        answer_json(lesion.to_json())
    else:
        answer_fields(lesion.to_json(), title="Indexed")


def report(
    *,
    index: IndexOption,
    image: ReferenceOptions,
    mark: BoxOptions,
    all_tracks: Annotated[
        bool,
        typer.Option("--all-tracks", help="All tracks that the index has of the patient instead."),
    ] = False,
    out: Annotated[
        Path | None, typer.Option("--out", help="Write here: a folder, .zip or .dcm.")
    ] = None,
    store: Annotated[bool, typer.Option("--store", help="Store it in the PACS.")] = False,
    pacs: PacsOptions,
    models: EncodingOptions,
    as_json: JsonFlag = False,
) -> None:
    """Write a lesion and its follow-ups as a DICOM structured report (TID 1500).

    Each study has a report of its own; a lesion's tracking UID is the same in all of them. They
    hold the PACS's own identifiers, never pseudonyms. OUT is a folder, a .zip of all, or a .dcm:
    of several studies each is written beside it, with its date in the name.
    """
    if out is None and not store:
        raise PacsCommandError("give --out FILE, --store, or both")
    asked = image.asking(**asdict(mark))
    client = pacs.client()
    engine = engine_of(index, models)
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
    from service.pacs.reports.tracks import report_of_patient, report_of_query
    from service.pacs.search import search_pacs

    if all_tracks:
        return report_of_patient(engine, client, asked.reference)
    return report_of_query(search_pacs(engine, client, asked))


def _write(made: PacsReports, out: Path) -> list[str]:
    from service.pacs.reports.files import write_reports

    return [str(file) for file in write_reports(made.datasets, out)]
