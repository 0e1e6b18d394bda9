"""``lesion-search index``: build, add, remove, info, verify, export, import, sync, approximate."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from retrieval.lesion import LesionSearchError
from service.commands.indexing.approximate import approximate
from service.commands.indexing.mapping import map_
from service.commands.indexing.marks import marks
from service.commands.indexing.measuring import (
    MeasureFlag,
    answer_failures,
    measure,
    measure_lesions,
)
from service.commands.indexing.sync import sync
from service.commands.indexing.tables import export, import_
from service.commands.option_groups import with_groups
from service.commands.options import (
    ArchiveOption,
    AssumeHuFlag,
    EncoderOption,
    IndexOption,
    JsonFlag,
    MilvusOptions,
)
from service.console import answer, answer_fields, answer_json, progress_bar, say

if TYPE_CHECKING:
    from index.catalog.reader import EncoderBinding
    from index.lesion_index import LesionIndex
    from retrieval.embedding.patch_encoder import PatchEncoder
    from retrieval.sources.archive import Archive
    from service.jobs.bulk_embedding import BulkReport
    from service.jobs.indexing import IndexingReport

Readers = Annotated[int, typer.Option(min=1, help="Threads that read slices and cut patches.")]
RayOption = Annotated[
    str | None,
    typer.Option("--ray", help="Embed on the Ray cluster at HOST:PORT; 'local' starts one here."),
]
RayGpus = Annotated[
    float, typer.Option("--ray-gpus", min=0.0, help="GPUs each worker of the cluster asks for.")
]


class IndexCommandError(LesionSearchError):
    """An index command that cannot be carried out."""


def register(app: typer.Typer) -> None:
    """Adds the group of commands."""
    group = typer.Typer(help="Build an index of lesions and keep it.", rich_markup_mode=None)
    for command in (build, add, remove, info, verify, export):
        group.command()(with_groups(command))
    group.command("import")(import_)
    group.command()(with_groups(sync))
    group.command()(measure)
    group.command()(marks)
    group.command()(approximate)
    group.command("map")(map_)
    app.add_typer(group, name="index")


def build(
    archive: ArchiveOption,
    out: Annotated[Path, typer.Option("--out", help="The index's folder.")],
    encoder: EncoderOption = None,
    readers: Readers = 2,
    ray: RayOption = None,
    ray_gpus: RayGpus = 0.0,
    assume_hu: AssumeHuFlag = False,
    measure_too: MeasureFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Index every lesion of an archive. Run again, it goes on where it was."""
    options = IndexOptions(readers, ray, ray_gpus, assume_hu, measure_too)
    _fill(archive, out, encoder, options, as_json=as_json)


def add(
    archive: ArchiveOption,
    index: IndexOption,
    encoder: EncoderOption = None,
    readers: Readers = 2,
    ray: RayOption = None,
    ray_gpus: RayGpus = 0.0,
    assume_hu: AssumeHuFlag = False,
    measure_too: MeasureFlag = False,
    as_json: JsonFlag = False,
) -> None:
    """Add an archive's lesions to an index that exists."""
    from index.lesion_index import LesionIndex

    LesionIndex.open(index, read_only=True).close()
    options = IndexOptions(readers, ray, ray_gpus, assume_hu, measure_too)
    _fill(archive, index, encoder, options, as_json=as_json)


@dataclass(frozen=True)
class IndexOptions:
    """How an index is filled: threads, or a cluster of Ray; ``assume_hu`` judges no values.

    With ``measure`` every lesion is measured after that.
    """

    readers: int = 2
    ray: str | None = None
    ray_gpus: float = 0.0
    assume_hu: bool = False
    measure: bool = False


IN_TWO_THREADS = IndexOptions()


def _fill(
    archive: Path, out: Path, encoder: Path | None, options: IndexOptions, *, as_json: bool
) -> None:
    from retrieval.embedding.encoder import BUNDLED_ENCODER
    from retrieval.embedding.external.opening import open_encoder

    report: IndexingReport | BulkReport
    if options.ray is None:
        report = build_index(archive, out, open_encoder(encoder), options)
    else:
        file = BUNDLED_ENCODER if encoder is None else encoder
        report = build_index_on_cluster(archive, out, file, options)
    facts = report.to_json()
    if options.measure:
        facts["measured"] = measure_lesions(out, archive, options.readers).to_json()
    _show_indexing(facts, out, as_json=as_json)


def build_index(
    archive: Path, out: Path, encoder: PatchEncoder, chosen: IndexOptions = IN_TWO_THREADS
) -> IndexingReport:
    """Fills the index at ``out`` from an archive, with a progress bar; makes it if it is new.

    The archive is opened first: a wrong folder leaves no empty index behind.
    """
    from service.engine.lesion_location import PositionLocator
    from service.engine.search_engine import binding_of
    from service.jobs.indexing import IndexingOptions, index_archive

    source = _opened_archive(archive)
    options = IndexingOptions(
        readers=chosen.readers, assume_hu=chosen.assume_hu, locator=PositionLocator()
    )
    with (
        _opened_index(out, binding_of(encoder)) as opened,
        progress_bar("lesions") as progress,
    ):
        report = index_archive(source, opened, encoder, options=options, progress=progress)
    _refuse_nothing(report, archive)
    return report


def build_index_on_cluster(
    archive: Path, out: Path, encoder_file: Path, chosen: IndexOptions
) -> BulkReport:
    """``build_index`` on a Ray cluster, which is sent the file of one of the product's encoders."""
    from retrieval.embedding.encoder import LesionEncoder
    from service.engine.search_engine import binding_of
    from service.jobs.bulk_embedding import BulkOptions, index_archive_on_cluster
    from service.jobs.ray_cluster import connected

    source = _opened_archive(archive)
    binding = binding_of(LesionEncoder.load(encoder_file))
    options = BulkOptions(gpus_per_worker=chosen.ray_gpus, assume_hu=chosen.assume_hu)
    with (
        connected(str(chosen.ray)) as cluster,
        _opened_index(out, binding) as opened,
        progress_bar("lesions") as progress,
    ):
        report = index_archive_on_cluster(
            source, opened, encoder_file, cluster=cluster, options=options, progress=progress
        )
    _refuse_nothing(report.indexing, archive)
    return report


def _opened_archive(archive: Path) -> Archive:
    from retrieval.sources.archive import open_archive

    source = open_archive(archive.resolve())
    if not source.lesions:
        raise IndexCommandError(
            f"{archive} has no sound lesion: `lesion-search check {archive}` says why"
        )
    for note in source.notes:
        say(f"{archive}: {note}")
    if source.problems:
        say(
            f"{len(source.problems)} bad rows are left out: `lesion-search check {archive}` "
            "names them"
        )
    return source


@contextmanager
def _opened_index(out: Path, binding: EncoderBinding) -> Iterator[LesionIndex]:
    """The index at ``out``; a new one into which nothing came is taken away again."""
    from index.lesion_index import LesionIndex

    is_new = not out.exists() or not any(out.iterdir())
    opening = LesionIndex.create(out, binding) if is_new else LesionIndex.open(out, binding=binding)
    with opening as opened:
        yield opened
        is_empty = opened.count() == 0
    if is_new and is_empty:
        shutil.rmtree(out)


def _refuse_nothing(report: IndexingReport, archive: Path) -> None:
    if report.failed and not report.added and not report.already_there:
        first = report.failed[0]
        raise IndexCommandError(
            f"none of the {len(report.failed)} lesions of {archive} could be read; the first: "
            f"{first.reason}"
        )


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


def verify(
    *,
    index: IndexOption,
    milvus: MilvusOptions,
    pixels: Annotated[
        bool, typer.Option(help="Read every key slice and compare it with its hash.")
    ] = True,
    as_json: JsonFlag = False,
) -> None:
    """Check every page, checksum, vector and key slice of an index; exit 1 if anything is wrong.

    With --milvus the vectors compared are the server's. Pixels that a kill or a full disk has
    left behind in the index's folder are removed.
    """
    from index.lesion_index import LesionIndex
    from service.jobs.pixel_check import PixelReport, compare_pixels

    with LesionIndex.open(index, milvus=milvus.settings()) as opened:
        report = opened.verify()
        compared = PixelReport()
        if pixels:
            with progress_bar("lesions") as progress:
                compared = compare_pixels(opened, progress=progress)
    report = replace(report, problems=(*report.problems, *compared.problems))
    if as_json:
        answer_json({**report.to_json(), "pixels": compared.to_json()})
    else:
        if pixels:
            answer(
                f"key slices: {compared.compared} compared, {compared.unknown} without a hash, "
                f"{compared.elsewhere} not on this machine"
            )
        answer(
            f"{report.lesions} lesions and {report.vectors} vectors: "
            f"{'sound' if report.sound else f'{len(report.problems)} problems'}"
        )
        for problem in report.problems:
            answer(f"{problem.what}: {problem.remedy}")
    if not report.sound:
        raise typer.Exit(1)


def _ids_where(opened: LesionIndex, where: str) -> set[str]:
    from index.filters.lesion_filter import LesionFilter

    wanted = LesionFilter.parse(where)
    ids: list[str] = []
    while page := opened.page(ids[-1] if ids else "", 1000, wanted):
        ids += [lesion.lesion_id for lesion in page]
    return set(ids)


def _show_indexing(facts: dict[str, Any], out: Path, *, as_json: bool) -> None:
    if as_json:
        answer_json({"index": str(out), **facts})
        return
    measured = facts.pop("measured", None)
    answer_failures({"index": out, **facts}, "Indexed")
    if measured is not None:
        answer_failures(measured, "Measured")
