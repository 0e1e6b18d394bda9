"""``lesion-search index``: build, add, remove, info, verify, export, import, sync."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.table import Table

from retrieval.lesion import LesionSearchError
from service.commands.options import ArchiveOption, EncoderOption, IndexOption, JsonFlag
from service.commands.sync import sync
from service.console import answer, answer_fields, answer_json, progress_bar, say

if TYPE_CHECKING:
    from index.lesion_index import LesionIndex
    from retrieval.embedding.encoder import LesionEncoder
    from service.indexing import IndexingReport

Readers = Annotated[int, typer.Option(min=1, help="Threads that read slices and cut patches.")]

DAMAGED = 1


class IndexCommandError(LesionSearchError):
    """An index command that cannot be carried out."""


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(help="Build an index of lesions and keep it.", rich_markup_mode=None)
    for command in (build, add, remove, info, verify, export):
        group.command()(command)
    group.command("import")(import_)
    group.command()(sync)
    app.add_typer(group, name="index")


def build(
    archive: ArchiveOption,
    out: Annotated[Path, typer.Option("--out", help="The index's folder.")],
    encoder: EncoderOption = None,
    readers: Readers = 2,
    as_json: JsonFlag = False,
) -> None:
    """Index every lesion of an archive. Run again, it goes on where it was."""
    from retrieval.embedding.encoder import LesionEncoder

    loaded = LesionEncoder.load(encoder)
    report = build_index(archive, out, loaded, readers=readers)
    _show_indexing(report, out, as_json=as_json)


def build_index(
    archive: Path, out: Path, encoder: LesionEncoder, *, readers: int = 2
) -> IndexingReport:
    """Fills the index at ``out`` from an archive, with a progress bar; makes it if it is new.

    The archive is opened first: a wrong folder leaves no empty index behind.
    """
    from index.lesion_index import LesionIndex
    from retrieval.sources.deeplesion import DeepLesionArchive
    from service.engine import binding_of
    from service.indexing import IndexingOptions, index_archive

    source = DeepLesionArchive.open(archive.resolve())
    if not source.lesions:
        raise IndexCommandError(
            f"{archive} has no sound lesion: `lesion-search check {archive}` says why"
        )
    if source.problems:
        say(
            f"{len(source.problems)} bad rows are left out: `lesion-search check {archive}` "
            "names them"
        )
    binding = binding_of(encoder)
    is_new = not out.exists() or not any(out.iterdir())
    opened = LesionIndex.create(out, binding) if is_new else LesionIndex.open(out, binding=binding)
    options = IndexingOptions(readers=readers)
    with opened, progress_bar("lesions") as progress:
        report = index_archive(source, opened, encoder, options=options, progress=progress)
    if report.failed and not report.added and not report.already_there:
        first = report.failed[0]
        raise IndexCommandError(
            f"none of the {len(report.failed)} lesions of {archive} could be read; the first: "
            f"{first.reason}"
        )
    return report


def add(
    archive: ArchiveOption,
    index: IndexOption,
    encoder: EncoderOption = None,
    readers: Readers = 2,
    as_json: JsonFlag = False,
) -> None:
    """Add an archive's lesions to an index that exists."""
    from index.lesion_index import LesionIndex
    from retrieval.embedding.encoder import LesionEncoder

    LesionIndex.open(index, read_only=True).close()
    report = build_index(archive, index, LesionEncoder.load(encoder), readers=readers)
    _show_indexing(report, index, as_json=as_json)


def remove(
    index: IndexOption,
    lesions: Annotated[list[str] | None, typer.Argument(help="Ids of lesions.")] = None,
    where: Annotated[
        str | None, typer.Option(help="A filter, as 'patient=000053 and type=liver'.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Remove lesions by their ids, or all that a filter accepts."""
    from index.lesion_index import LesionIndex

    if bool(lesions) == (where is not None):
        raise IndexCommandError("give either the ids of lesions or --where with a filter")
    with LesionIndex.open(index) as opened:
        ids = set(lesions or ()) if where is None else _ids_where(opened, where)
        if unknown := sorted(ids - opened.known(ids)):
            raise IndexCommandError(
                f"lesion {unknown[0]!r} is not in the index {index}, nothing was removed: "
                "check the id"
            )
        removed = opened.remove(ids)
    if as_json:
        answer_json({"removed": removed})
    else:
        answer(f"{removed} lesions removed")


def info(index: IndexOption, as_json: JsonFlag = False) -> None:
    """Say what an index holds and which encoder filled it."""
    from index.lesion_index import LesionIndex

    with LesionIndex.open(index, read_only=True) as opened:
        facts = opened.info().to_json()
    if as_json:
        answer_json(facts)
    else:
        answer_fields(facts, title="Index")


def verify(index: IndexOption, as_json: JsonFlag = False) -> None:
    """Check every page, checksum and vector of an index; exit 1 if anything is wrong."""
    from index.lesion_index import LesionIndex

    with LesionIndex.open(index) as opened:
        report = opened.verify()
    if as_json:
        answer_json(report.to_json())
    else:
        answer(
            f"{report.lesions} lesions and {report.vectors} vectors: "
            f"{'sound' if report.sound else f'{len(report.problems)} problems'}"
        )
        for problem in report.problems:
            answer(f"{problem.what}: {problem.remedy}")
    if not report.sound:
        raise typer.Exit(DAMAGED)


def export(
    index: IndexOption,
    out: Annotated[Path, typer.Option("--out", help="A .parquet file.")],
    as_json: JsonFlag = False,
) -> None:
    """Write every lesion with its vector as a Parquet table."""
    from index.lesion_index import LesionIndex

    with LesionIndex.open(index, read_only=True) as opened:
        written = opened.export(out)
    if as_json:
        answer_json({"file": str(out), "lesions": written})
    else:
        answer(f"{written} lesions written to {out}")


def import_(
    file: Annotated[Path, typer.Argument(help="A .parquet file that `index export` wrote.")],
    out: Annotated[Path, typer.Option("--out", help="The new index's folder.")],
    as_json: JsonFlag = False,
) -> None:
    """Make an index of an exported Parquet table."""
    from index.lesion_index import LesionIndex

    with LesionIndex.from_parquet(file, out) as opened:
        held = opened.count()
    if as_json:
        answer_json({"index": str(out), "lesions": held})
    else:
        answer(f"{held} lesions imported to {out}")


def _ids_where(opened: LesionIndex, where: str) -> set[str]:
    from index.filters import LesionFilter

    wanted = LesionFilter.parse(where)
    ids: list[str] = []
    while page := opened.page(ids[-1] if ids else "", 1000, wanted):
        ids += [lesion.lesion_id for lesion in page]
    return set(ids)


def _show_indexing(report: IndexingReport, out: Path, *, as_json: bool) -> None:
    if as_json:
        answer_json({"index": str(out), **report.to_json()})
        return
    facts = report.to_json()
    failed = facts.pop("failed")
    answer_fields({"index": out, **facts, "failed": len(failed)}, title="Indexed")
    if failed:
        table = Table("lesion", "why it was left out", title="Failed", title_justify="left")
        for failure in failed:
            table.add_row(failure["lesion_id"], failure["reason"])
        answer(table)
