"""``lesion-search query``: one lesion in, similar lesions and follow-ups out."""

from __future__ import annotations

import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.lesion import Lesion, LesionSearchError
from service.commands.option_groups import with_groups
from service.commands.options import (
    HitOptions,
    ImageOptions,
    IndexOption,
    JsonFlag,
    MarkOptions,
    ModelOptions,
    PatientOptions,
    VectorOptions,
    VocabularyOption,
    engine_of,
)
from service.console import answer_json, say, warn

if TYPE_CHECKING:
    from retrieval.image import Slab
    from service.engine.query import LesionQuery
    from service.engine.results import SearchResult
    from service.engine.search_engine import SearchEngine


class QueryCommandError(LesionSearchError):
    """Options of ``query`` that do not make one query."""


@dataclass(frozen=True)
class Answered:
    """A result with the picture it was asked with."""

    result: SearchResult
    slab: Slab | None
    lesion: Lesion | None = None


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("query")(with_groups(query))


def query(
    *,
    index: IndexOption,
    image: Annotated[
        Path | None,
        typer.Argument(
            help="A 16-bit PNG (HU + 32768) or a folder of them, a DICOM file or a folder with "
            "one series, or a volume: NIfTI, NRRD, MetaImage."
        ),
    ] = None,
    lesion: Annotated[str | None, typer.Option(help="Search with an indexed lesion.")] = None,
    mark: MarkOptions,
    reading: ImageOptions,
    whose: PatientOptions,
    hits: HitOptions,
    models: ModelOptions,
    vectors: VectorOptions,
    vocabulary: VocabularyOption = None,
    figure: Annotated[
        Path | None, typer.Option(help="Also draw the result: .png, .svg or .pdf.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Find similar lesions of other patients, and the same lesion in the patient's other studies.

    With --text alone the hits are the lesions that fit the words, with the reasons for each.

    Without --box or --recist the detector proposes where the lesion is. Coordinates are 0-based:
    (0, 0) is the centre of the top-left pixel.
    """
    from service.engine.query import LesionQuery

    if image is not None and lesion is not None:
        raise QueryCommandError("give either an IMAGE or --lesion with an indexed lesion's id")
    if image is None and lesion is None and hits.text is None:
        raise QueryCommandError(
            "give an IMAGE, --lesion with an indexed lesion's id, or words with --text"
        )
    asked = LesionQuery.parse(
        **asdict(mark),
        **asdict(hits),
        lesion_id=lesion,
        patient_id=whose.patient,
        study_id=whose.study,
        study_date=whose.study_date,
        key_slice_index=reading.key_slice,
        spacing=reading.spacing,
        series=reading.series,
        assume_hu=reading.assume_hu,
    )
    detecting = image is not None and not asked.is_marked
    engine = engine_of(index, models, vectors, detecting=detecting, vocabulary=vocabulary)
    with engine.index:
        if image is not None:
            answered = search_image(engine, asked, image)
        elif lesion is not None:
            answered = search_indexed(engine, asked, with_picture=bool(figure))
        else:
            answered = Answered(engine.search(asked), None)
        if figure is not None:
            save_result_figure(engine, answered, figure)
    warn(answered.result.warnings)
    if as_json:
        answer_json(answered.result.to_json())
    else:
        from service.figures.tables.result import show_result

        show_result(answered.result)


def search_image(engine: SearchEngine, asked: LesionQuery, path: Path) -> Answered:
    """Reads the image and searches; the time of reading is in the result."""
    from retrieval.sources.query_image import open_query_image

    start = time.perf_counter()
    slab = open_query_image(
        path,
        key_slice_index=asked.image.key_slice_index,
        spacing_mm=asked.image.spacing_mm,
        half_depth_mm=engine.half_depth_mm(detecting=not asked.is_marked),
        series=asked.image.series,
        assume_hu=asked.image.assume_hu,
    )
    read_ms = (time.perf_counter() - start) * 1000
    return Answered(engine.search(asked, slab).with_read_time(read_ms), slab)


def search_indexed(engine: SearchEngine, asked: LesionQuery, *, with_picture: bool) -> Answered:
    """Searches with an indexed lesion; its pixels are read only for a picture."""
    lesion_id = str(asked.lesion_id)
    record = engine.index.get(lesion_id)
    slab = None
    if with_picture:
        from service.figures.pictures import LesionPictures

        slab = LesionPictures(engine.index).slab(lesion_id)
    return Answered(engine.search(asked), slab, record.lesion)


def save_result_figure(engine: SearchEngine, answered: Answered, path: Path) -> None:
    """Draws the result and writes it; says where on stderr."""
    from service.figures.pictures import LesionPictures
    from service.figures.query import save_figure
    from service.figures.result_panels import draw_result, draw_words_result

    pictures = LesionPictures(engine.index)
    if answered.slab is None:
        drawn = draw_words_result(answered.result, pictures)
    else:
        drawn = draw_result(answered.result, answered.slab, pictures, query_lesion=answered.lesion)
    save_figure(drawn, path)
    say(f"figure: {path}")
