"""The HTTP routes of held uploads: CT sent once, scrolled through and searched from."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Response

from index.filters.lesion_filter import LesionFilter
from retrieval.grid import Grid
from service.decoding.identity import IdentifiedImage, ImageIdentity
from service.http.dependencies import PROBLEMS, Service
from service.http.forms import FileForm
from service.http.schemas.search import Problem
from service.http.schemas.viewer import UploadOut
from service.http.slices import (
    SLICE_RESPONSES,
    HeldUpload,
    ShownStack,
    UploadIdentity,
    slice_response,
)
from service.http.state import ServiceState
from service.http.uploads.query_images import EVERY_SLICE_MM, read_files

upload_router = APIRouter(responses=PROBLEMS, tags=["uploads"])


@upload_router.post(
    "/v1/uploads",
    response_model=UploadOut,
    status_code=201,
    responses={413: {"model": Problem, "description": "Larger than what is held"}},
)
def hold(
    service: Service, form: Annotated[FileForm, Form(media_type="multipart/form-data")]
) -> dict[str, Any]:
    """Hold CT in memory for a while, to look through it and search from it by its id."""
    with service.computing():
        image = read_files(service, form, half_depth_mm=EVERY_SLICE_MM)
    return held_json(service, image, form.grid)


def held_json(service: ServiceState, image: IdentifiedImage, grid: Grid) -> dict[str, Any]:
    """Holds an image; the document of an upload in a grid."""
    slab = image.slab
    upload_id = service.uploads.hold(slab, image.identity)
    if grid is Grid.DISPLAY:
        slab = slab.as_displayed()
    return HeldUpload(
        ShownStack.of(slab),
        grid,
        tuple(slab.notes),
        upload_id,
        _identity(service, image.identity),
        service.uploads.limits.seconds,
    ).to_json()


def _identity(service: ServiceState, identity: ImageIdentity | None) -> UploadIdentity | None:
    """Whose the upload is, and how many lesions the index has of that patient."""
    if identity is None:
        return None
    patient = identity.patient_id
    wanted = LesionFilter(patients=frozenset([patient])) if patient is not None else None
    indexed = 0 if wanted is None else service.engine.index.count(wanted)
    return UploadIdentity(identity, indexed, identity.is_reportable)


@upload_router.get(
    "/v1/uploads/{upload_id}/slices/{slice_index}",
    response_class=Response,
    responses=SLICE_RESPONSES,
)
def held_slice(
    service: Service, upload_id: str, slice_index: int, grid: Grid = Grid.FILE
) -> Response:
    """One slice of a held upload, by its number and turned as the grid has it."""
    slab = service.uploads.get(upload_id)
    if grid is Grid.DISPLAY:
        slab = slab.as_displayed()
    if slice_index not in slab.slice_numbers:
        raise HTTPException(404, f"the upload has no slice {slice_index}")
    return slice_response(slab.file_plane(slice_index), {"Cache-Control": "private, no-store"})


@upload_router.delete("/v1/uploads/{upload_id}", status_code=204)
def drop(service: Service, upload_id: str) -> None:
    """Forget a held upload now."""
    service.uploads.drop(upload_id)
