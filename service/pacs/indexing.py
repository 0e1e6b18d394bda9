"""A lesion of the PACS into the index, so that later queries find it and follow it."""

from __future__ import annotations

from index.catalog.reader import LesionRecord
from index.measured import measures_added
from index.reports import AddReport
from retrieval.lesion import ImageSource, Lesion, LesionType
from retrieval.pixel_hash import pixel_hash
from service.engine.lesion_location import located
from service.engine.measuring import MEASURED_DEPTH_MM, with_sizes
from service.engine.query import QueryError
from service.engine.query_box import MarkedBox, embed_boxes
from service.engine.recognition import PACS_ARCHIVE
from service.engine.search_engine import SearchEngine
from service.pacs.client import PacsClient
from service.pacs.errors import PacsError
from service.pacs.follow_ups import pacs_lesion
from service.pacs.patient import PatientInPacs
from service.pacs.search import PacsQuery
from service.pacs.series import find_series, read_slab


def index_lesion(
    engine: SearchEngine, pacs: PacsClient, query: PacsQuery, *, lesion_type: LesionType
) -> tuple[Lesion, AddReport]:
    """Adds the marked lesion under the ids of the configured pseudonym key.

    Raises QueryError without a box or mark, PacsError as a query does.
    """
    series = find_series(pacs, query.reference)
    patient = PatientInPacs(pacs, series)
    if patient.patient_id is None:
        raise PacsError("the PACS tells no PatientID of this study: its patient is not known")
    position = series.position_of(query.reference)
    measures = measures_added(engine.index)
    depth = MEASURED_DEPTH_MM if measures else engine.encoder.spec.half_depth_mm
    slab = read_slab(pacs, series, position, half_depth_mm=depth, assume_hu=query.assume_hu)
    marked = MarkedBox.given(query.lesion, slab)
    if marked is None:
        raise QueryError("give the lesion's box as x1,y1,x2,y2 or its RECIST mark")
    embedding, _ = embed_boxes(engine.encoder, slab, [marked.box])
    lesion = pacs_lesion(patient, series, position, marked.box).with_changes(
        long_mm=marked.long_mm,
        short_mm=marked.short_mm,
        lesion_type=lesion_type,
    )
    lesion = located(lesion, slab, engine.locator)
    source = ImageSource(
        PACS_ARCHIVE,
        lesion.series_id,
        slab.file_spacing_mm_px,
        slab.slice_interval_mm,
        pixel_hash(slab.hu[slab.key_slice]),
    )
    packed = None
    if measures:
        lesion, packed = with_sizes(lesion, slab, marked.box, query.lesion.recist)
    record = LesionRecord(lesion, embedding.vectors[0], source, packed)
    return lesion, engine.index.add([record])
