"""The HTTP routes that change the index: a lesion added, removed, its tags corrected."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, Response

from index.measured import measures_added
from index.tags import correct_tag
from service.engine.measuring import MEASURED_DEPTH_MM
from service.http.dependencies import PROBLEMS, Service
from service.http.forms import LesionForm
from service.http.guards.audit import note
from service.http.schemas.search import LesionOut, Problem, TagCorrection
from service.http.uploads.added_lesions import KEPT_DEPTH_MM
from service.http.uploads.query_images import image_of

CONFLICT: dict[int | str, dict[str, Any]] = {
    409: {"model": Problem, "description": "An archive's lesion has this id"}
}

lesion_router = APIRouter(responses=PROBLEMS, tags=["lesions"])


@lesion_router.post(
    "/v1/lesions", response_model=LesionOut, status_code=201, responses={**CONFLICT}
)
def add(
    response: Response,
    service: Service,
    form: Annotated[LesionForm, Form(media_type="multipart/form-data")],
) -> dict[str, Any]:
    """Index a marked lesion; when this answers it can be found, and a kill does not lose it."""
    query = form.query()
    depth = max(KEPT_DEPTH_MM, service.engine.encoder.spec.half_depth_mm)
    if measures_added(service.engine.index):
        depth = MEASURED_DEPTH_MM
    with service.computing():
        image = image_of(service, form, half_depth_mm=depth)
        prepared = service.added.prepare(image.slab, query, form.fields())
    with service.writing():
        lesion = service.added.store(prepared)
    note("patient", lesion.patient_id)
    note("lesion", lesion.lesion_id)
    response.headers["Location"] = f"/v1/lesions/{lesion.lesion_id}"
    return lesion.to_json()


@lesion_router.delete("/v1/lesions/{lesion_id}", status_code=204)
def remove(service: Service, lesion_id: str) -> None:
    """Remove a lesion with its matches, at once and for good; an archive's pixels stay."""
    note("patient", service.engine.index.get(lesion_id).lesion.patient_id)
    with service.writing():
        service.added.remove(lesion_id)


@lesion_router.put("/v1/lesions/{lesion_id}/tags", response_model=LesionOut)
def correct(service: Service, lesion_id: str, correction: TagCorrection) -> dict[str, Any]:
    """Say that a lesion has a term or has not; this wins over every other source and is kept."""
    term = service.engine.words.reader.vocabulary.named(correction.term).name
    with service.writing():
        lesion = correct_tag(service.engine.index, lesion_id, term, correction.holds)
    note("lesion", lesion_id)
    note("patient", lesion.patient_id)
    return lesion.to_json()
