"""``lesion-search demo``: phantom archive, index, one query with its picture, the service."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.lesion import Lesion, LesionSearchError
from service.commands.archives.phantom import draw_phantoms
from service.commands.indexing.index import build_index
from service.commands.options import EncoderOption
from service.commands.query import save_result_figure, search_image
from service.commands.serve import run_service
from service.console import say, warn

if TYPE_CHECKING:
    from retrieval.sources.archive import Archive
    from service.engine.results import Hit

DEMO_PATIENTS = 40
DEMO_SEED = 0
EXAMPLE_HITS = 8
MOST_EXAMPLES = 20
LARGE_MM = 40.0
"""Larger is not clearer."""


class DemoError(LesionSearchError):
    """A demo folder that cannot be used."""


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("demo")(demo)


def demo(
    out: Annotated[Path, typer.Option(help="The folder of the demo.")] = Path("demo"),
    patients: Annotated[int, typer.Option(min=2, help="Phantom patients.")] = DEMO_PATIENTS,
    encoder: EncoderOption = None,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=1, max=65535, help="The port to listen on.")] = 8000,
    no_serve: Annotated[bool, typer.Option("--no-serve", help="End after the query.")] = False,
) -> None:
    """Make a demo: an archive of phantoms, its index, one query with its picture, the page.

    What is done already is kept: a second run goes straight to the query.
    """
    from index.lesion_index import LesionIndex
    from retrieval.embedding.encoder import LesionEncoder
    from service.http.settings import Settings

    loaded = LesionEncoder.load(encoder)
    archive = _phantom_archive(out / "archive", patients)
    report = build_index(out / "archive", out / "index", loaded)
    with LesionIndex.open(out / "index") as opened:
        # Whoever draws a phantom marks all its lesions.
        opened.declare_marks((x.patient_id, x.study_id) for x in archive.lesions)
    say(f"index: {report.added} lesions added, {report.already_there} were there already")
    _show_example(archive, out, encoder)
    if not no_serve:
        run_service(Settings(index=out / "index", encoder=encoder, host=host, port=port))


def possible_examples(lesions: Sequence[Lesion], track_ids: Mapping[str, str]) -> list[Lesion]:
    """Lesions worth asking with: seen in most studies, at the start of their course; large first.

    Raises DemoError where there are no lesions.
    """
    if not lesions:
        raise DemoError("the demo archive holds no lesions: remove its folder and run again")
    seen = Counter(track_ids.get(lesion.lesion_id) for lesion in lesions)
    studies: dict[str, set[str]] = defaultdict(set)
    for lesion in lesions:
        studies[lesion.patient_id].add(lesion.study_id)

    def course(lesion: Lesion) -> tuple[int, bool]:
        track = track_ids.get(lesion.lesion_id)
        return seen[track] if track else 0, lesion.study_id == min(studies[lesion.patient_id])

    best = max(map(course, lesions))
    alike = [lesion for lesion in lesions if course(lesion) == best]
    alike.sort(key=lambda one: (min(one.long_mm or 0.0, LARGE_MM), one.lesion_id), reverse=True)
    return alike[:MOST_EXAMPLES]


def clearest_example(lesions: Sequence[Lesion], hits: Callable[[Lesion], Sequence[Hit]]) -> Lesion:
    """The lesion whose hits are most often of its own type; of several, whose hits are most alike.

    So the example shows what a good answer looks like, not how often there is one: the scores of
    the encoder's card say that.
    """

    def clearness(lesion: Lesion) -> tuple[int, float]:
        found = hits(lesion)
        same = sum(hit.lesion.lesion_type is lesion.lesion_type for hit in found)
        return same, sum(hit.similarity for hit in found) / max(1, len(found))

    return max(lesions, key=clearness)


def _phantom_archive(folder: Path, patients: int) -> Archive:
    from retrieval.sources.archive import open_archive

    draw_phantoms(folder, patients=patients, seed=DEMO_SEED, workers=_processors())
    return open_archive(folder.resolve())


def _show_example(archive: Archive, out: Path, encoder: Path | None) -> None:
    from service.engine.model_files import ModelFiles
    from service.engine.query import LesionQuery
    from service.engine.search_engine import open_engine
    from service.figures.tables.result import show_result

    engine = open_engine(out / "index", ModelFiles(encoder))
    lesion = clearest_example(
        possible_examples(archive.lesions, archive.track_ids),
        lambda one: engine.search(LesionQuery(lesion_id=one.lesion_id, k=EXAMPLE_HITS)).hits,
    )
    path = out / "archive" / archive.source(lesion).image
    box = ",".join(f"{edge:g}" for edge in lesion.box.to_list())
    encoder_option = "" if encoder is None else f" --encoder {encoder}"
    say(
        f"\n$ lesion-search query {path} --index {out / 'index'} --box {box} "
        f"--patient {lesion.patient_id} --study {lesion.study_id} -k {EXAMPLE_HITS} "
        f"--figure {out / 'query.png'}{encoder_option}\n"
    )
    with engine.index:
        asked = LesionQuery(
            lesion.box,
            patient_id=lesion.patient_id,
            study_id=lesion.study_id,
            k=EXAMPLE_HITS,
        )
        answered = search_image(engine, asked, path)
        warn(answered.result.warnings)
        show_result(answered.result)
        save_result_figure(engine, answered, out / "query.png")


def _processors() -> int:
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else 1
