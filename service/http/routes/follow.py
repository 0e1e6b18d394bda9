"""The HTTP route that finds an indexed lesion again in a series that nobody has marked."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Form, Request
from pydantic import Field

from retrieval.grid import Grid
from retrieval.image import Slab
from retrieval.sources.errors import ArchiveError
from service.engine.following import (
    NOT_KEPT,
    OWN_DEPTH_MM,
    FollowRequest,
    follow,
    keep_search,
)
from service.figures.indexed_pixels import PictureError
from service.http.dependencies import PROBLEMS, Service
from service.http.forms import IDENTIFIER, ImageForm
from service.http.guards.access import require_writer
from service.http.guards.audit import note
from service.http.routes.lesions import CONFLICT
from service.http.schemas.following import FollowOut
from service.http.state import ServiceState
from service.http.uploads.accepted_findings import (
    FindingAcceptance,
    NewStudy,
    chosen_finding,
)
from service.http.uploads.query_images import EVERY_SLICE_MM, image_of

follow_router = APIRouter(responses=PROBLEMS, tags=["lesions"])


class FollowForm(ImageForm):
    """A series, the lesion that is sought in it, and whether a candidate is accepted."""

    lesion_id: str
    patient_id: str | None = Field(
        default=None, description="whose series it is; what the files say if absent"
    )
    study_id: str | None = Field(
        default=None, pattern=IDENTIFIER, description="of the series; what the files say if absent"
    )
    study_date: date | None = None
    accept: int | None = Field(
        default=None,
        ge=1,
        description="the rank of the candidate that a reader accepts: it becomes a lesion with a "
        "confirmed link",
    )
    keep: bool = Field(
        default=False,
        description="keep the search in the index, so that a timeline can rest on it; needs the "
        "study of the series",
    )


@follow_router.post("/v1/follow", response_model=FollowOut, responses={**CONFLICT})
def follow_lesion(
    request: Request,
    service: Service,
    form: Annotated[FollowForm, Form(media_type="multipart/form-data")],
) -> dict[str, Any]:
    """Find an indexed lesion again in a series of its patient; a proposal, until it is accepted.

    Looking needs a key that reads, accepting and keeping one that writes.
    """
    if form.accept is not None or form.keep:
        require_writer(request.scope)
    note("lesion", form.lesion_id)
    note("patient", service.engine.index.get(form.lesion_id).lesion.patient_id)
    accepted = None
    with service.computing():
        image = image_of(service, form, half_depth_mm=EVERY_SLICE_MM)
        slab = image.slab.as_displayed() if form.grid is Grid.DISPLAY else image.slab
        said = image.identity
        patient = form.patient_id or (None if said is None else said.patient_id)
        study = form.study_id or (None if said is None else said.study_id)
        day = form.study_date or (None if said is None else said.study_date)
        own = _own_slices(service, form.lesion_id)
        wanted = FollowRequest(form.lesion_id, patient, study, day, own)
        found = follow(service.engine, wanted, slab)
        acceptance = FindingAcceptance(service.engine, service.added)
        if form.accept is not None:
            finding = chosen_finding(found, form.accept)
            accepted = acceptance.prepare(finding, slab, form.lesion_id, NewStudy(study, day))
    lesion = kept = None
    if accepted is not None or form.keep:
        with service.writing():
            lesion = None if accepted is None else acceptance.store(accepted)
            kept = keep_search(service.engine, found, slab) if form.keep else None
    if lesion is not None:
        note("lesion", lesion.lesion_id)
    if form.keep and kept is None:
        found = replace(found, warnings=(*found.warnings, NOT_KEPT))
    return {
        **found.to_json(),
        "kept": kept is not None,
        "grid": form.grid,
        "accepted": None if lesion is None else lesion.to_json(),
    }


def _own_slices(service: ServiceState, lesion_id: str) -> Slab | None:
    try:
        return service.pictures.neighbourhood(lesion_id, half_depth_mm=OWN_DEPTH_MM)
    except (PictureError, ArchiveError):
        return None
