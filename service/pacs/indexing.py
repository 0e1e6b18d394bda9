"""A lesion of the PACS into the index, so that later queries find it and follow it."""

from __future__ import annotations

from dataclasses import replace

from index.catalog.reader import LesionRecord
from index.measured import measures_added
from index.reports import AddReport
from retrieval.lesion import ImageSource, Lesion, LesionType
from retrieval.pixel_hash import pixel_hash
from retrieval.tracking.following.findings import Finding
from service.engine.lesion_location import located
from service.engine.measuring import MEASURED_DEPTH_MM, with_sizes
from service.engine.patient_tracks import Decision, decide
from service.engine.query import LesionQuery, QueryError
from service.engine.query_box import MarkedBox, embed_boxes
from service.engine.recognition import PACS_ARCHIVE, recognise
from service.engine.search_engine import SearchEngine
from service.pacs.client import PacsClient
from service.pacs.errors import PacsError
from service.pacs.follow_ups import pacs_lesion
from service.pacs.patient import PatientInPacs
from service.pacs.search import PacsQuery
from service.pacs.series import PacsReference, find_series, read_slab


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


def accept_finding(
    engine: SearchEngine,
    pacs: PacsClient,
    prior_id: str,
    finding: Finding,
    reference: PacsReference,
) -> Lesion:
    """A place that following a lesion proposed in a series becomes a lesion with a confirmed link.

    One that is indexed there already is linked instead. A new one is taken back where the link
    contradicts another decision.

    Raises:
        UnknownLesionError: the index does not hold the lesion that was followed.
        MatchConflictError: another decision contradicts the link; nothing is stored.
        PacsError: the PACS cannot bring the slice.
    """
    prior = engine.index.get(prior_id).lesion
    keyed = replace(reference, sop_uid=None, key_slice_index=finding.key_slice_index)
    asked = LesionQuery(box=finding.box, patient_id=prior.patient_id)
    slab = read_slab(pacs, find_series(pacs, keyed), finding.key_slice_index, half_depth_mm=0.0)
    known = recognise(engine.index, slab, finding.box, asked).record
    if known is not None:
        decide(engine.index, (prior_id, known.lesion.lesion_id), Decision.CONFIRM)
        return known.lesion
    lesion, _ = index_lesion(engine, pacs, PacsQuery(keyed, asked), lesion_type=prior.lesion_type)
    try:
        decide(engine.index, (prior_id, lesion.lesion_id), Decision.CONFIRM)
    except BaseException:
        engine.index.remove([lesion.lesion_id])
        raise
    return lesion
