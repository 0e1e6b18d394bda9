"""``lesion-search index sync``: a Milvus collection brought level with the catalog."""

from __future__ import annotations

from typing import Annotated

import typer

from retrieval.lesion import LesionSearchError
from service.commands.options import IndexOption, JsonFlag, MilvusOptions
from service.console import answer, answer_json, progress_bar


class SyncCommandError(LesionSearchError):
    """A sync that does not say with what."""


def sync(
    *,
    index: IndexOption,
    milvus: MilvusOptions,
    replace: Annotated[
        bool,
        typer.Option("--replace", help="Drop what another index or encoder filled, and fill anew."),
    ] = False,
    as_json: JsonFlag = False,
) -> None:
    """Bring a Milvus collection level with an index. Run again, it goes on where it was."""
    from index.milvus.storage import sync_index

    settings = milvus.settings()
    if settings is None:
        raise SyncCommandError(
            "no Milvus server is named: give --milvus http://HOST:19530, or set "
            "LESION_SEARCH_MILVUS_URI"
        )
    with progress_bar("lesions to Milvus") as progress:
        report = sync_index(index, settings, replace=replace, progress=progress)
    if as_json:
        place = {"index": str(index), "uri": settings.shown_uri, "collection": settings.collection}
        answer_json({**place, **report.to_json()})
        return
    answer(
        f"{report.lesions} lesions in {settings.collection} at {settings.shown_uri}: "
        f"{report.inserted} inserted, {report.deleted} deleted, {report.compared} compared"
    )
