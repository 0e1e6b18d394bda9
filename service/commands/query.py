"""``lesion-search query``: one lesion in, similar lesions and follow-ups out."""

from __future__ import annotations

import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from retrieval.lesion import Box, Lesion, LesionSearchError, Recist, parse_numbers
from service.commands.options import (
    ApproximateFlag,
    CollectionOption,
    DetectorOption,
    EncoderOption,
    IndexOption,
    JsonFlag,
    MatcherOption,
    MilvusOption,
    SpacingOption,
    milvus_settings,
    parse_spacing,
)
from service.console import answer_json, say, warn

if TYPE_CHECKING:
    from retrieval.image import Slab
    from service.engine.results import SearchResult
    from service.engine.search_engine import SearchEngine, SearchOptions


class QueryCommandError(LesionSearchError):
    """Options of ``query`` that do not make one query."""


@dataclass(frozen=True)
class ImageQuery:
    """An image on disk with its lesion marked, or left to the detector.

    ``point`` and ``candidate`` choose among the detector's proposals.
    """

    path: Path
    box: Box | None = None
    recist: Recist | None = None
    point: tuple[float, float] | None = None
    candidate: int | None = None
    key_slice_index: int | None = None
    spacing_mm: tuple[float, float, float] | None = None


@dataclass(frozen=True)
class Answered:
    """A result with the picture it was asked with."""

    result: SearchResult
    slab: Slab | None
    lesion: Lesion | None = None


def register(app: typer.Typer) -> None:
    """Adds the command."""
    app.command("query")(query)


def query(
    index: IndexOption,
    image: Annotated[
        Path | None,
        typer.Argument(
            help="A 16-bit PNG (HU + 32768) or a folder of them, a DICOM file or a folder with "
            "one series, or NIfTI."
        ),
    ] = None,
    lesion: Annotated[str | None, typer.Option(help="Search with an indexed lesion.")] = None,
    box: Annotated[str | None, typer.Option(help="x1,y1,x2,y2 in 0-based pixels.")] = None,
    recist: Annotated[
        str | None, typer.Option(help="x1,y1,...,x4,y4 in 0-based pixels, long diameter first.")
    ] = None,
    point: Annotated[
        str | None, typer.Option(help="x,y: the detector's best proposal that holds it.")
    ] = None,
    candidate: Annotated[
        int | None, typer.Option(min=1, help="Search with this proposal of the detector.")
    ] = None,
    key_slice: Annotated[
        int | None, typer.Option("--key-slice", help="The slice the box is drawn on.")
    ] = None,
    spacing: SpacingOption = None,
    patient: Annotated[
        str | None, typer.Option(help="Whose image it is: kept out of the hits, and followed up.")
    ] = None,
    study: Annotated[str | None, typer.Option(help="The study the image is from.")] = None,
    k: Annotated[int, typer.Option("-k", min=1, help="How many similar lesions.")] = 10,
    where: Annotated[
        str | None, typer.Option(help="A filter, as 'type=liver and long_mm=10..30'.")
    ] = None,
    encoder: EncoderOption = None,
    matcher: MatcherOption = None,
    detector: DetectorOption = None,
    milvus: MilvusOption = None,
    collection: CollectionOption = "lesions",
    approximate: ApproximateFlag = False,
    figure: Annotated[
        Path | None, typer.Option(help="Also draw the result: .png, .svg or .pdf.")
    ] = None,
    as_json: JsonFlag = False,
) -> None:
    """Find similar lesions of other patients, and the same lesion in the patient's other studies.

    Without --box or --recist the detector proposes where the lesion is. Coordinates are 0-based:
    (0, 0) is the centre of the top-left pixel.
    """
    from index.filters.lesion_filter import LesionFilter
    from service.engine.model_files import ModelFiles
    from service.engine.search_engine import open_engine
    from service.figures.tables.result import show_result

    if (image is None) == (lesion is None):
        raise QueryCommandError("give either an IMAGE or --lesion with an indexed lesion's id")
    options: SearchOptions = {
        "patient_id": patient,
        "study_id": study,
        "k": k,
        "where": None if where is None else LesionFilter.parse(where),
    }
    asked = None
    if image is not None:
        asked = ImageQuery(
            image,
            None if box is None else Box.parse(box),
            None if recist is None else Recist.parse(recist),
            None if point is None else _point(point),
            candidate,
            key_slice,
            None if spacing is None else parse_spacing(spacing),
        )
    engine = open_engine(
        index,
        ModelFiles(encoder, matcher, detector),
        milvus=milvus_settings(milvus, collection),
        approximate=approximate,
    )
    with engine.index:
        if asked is not None:
            answered = search_image(engine, asked, options)
        else:
            answered = search_indexed(engine, str(lesion), options, with_picture=bool(figure))
        if figure is not None:
            save_result_figure(engine, answered, figure)
    warn(answered.result.warnings)
    if as_json:
        answer_json(answered.result.to_json())
    else:
        show_result(answered.result)


def search_image(engine: SearchEngine, asked: ImageQuery, options: SearchOptions) -> Answered:
    """Reads the image and searches; the time of reading is in the result."""
    from retrieval.sources.query_image import open_query_image

    start = time.perf_counter()
    slab = open_query_image(
        asked.path,
        key_slice_index=asked.key_slice_index,
        spacing_mm=asked.spacing_mm,
        half_depth_mm=engine.half_depth_mm(detecting=asked.box is None and asked.recist is None),
    )
    read_ms = (time.perf_counter() - start) * 1000
    found = engine.search(
        slab,
        asked.box,
        recist=asked.recist,
        point=asked.point,
        candidate=asked.candidate,
        **options,
    )
    return Answered(found.with_read_time(read_ms), slab)


def search_indexed(
    engine: SearchEngine, lesion_id: str, options: SearchOptions, *, with_picture: bool
) -> Answered:
    """Searches with an indexed lesion; its pixels are read only for a picture."""
    from service.figures.pictures import LesionPictures

    record = engine.index.get(lesion_id)
    slab = LesionPictures(engine.index).slab(lesion_id) if with_picture else None
    return Answered(engine.search_lesion(lesion_id, **options), slab, record.lesion)


def save_result_figure(engine: SearchEngine, answered: Answered, path: Path) -> None:
    """Draws the result and writes it; says where on stderr."""
    from service.figures.pictures import LesionPictures
    from service.figures.query import save_figure
    from service.figures.result_panels import draw_result

    assert answered.slab is not None
    pictures = LesionPictures(engine.index)
    drawn = draw_result(answered.result, answered.slab, pictures, query_lesion=answered.lesion)
    save_figure(drawn, path)
    say(f"figure: {path}")


def _point(text: str) -> tuple[float, float]:
    x, y = parse_numbers(text, count=2, name="point", form="x,y")
    return x, y
