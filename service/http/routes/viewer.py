"""The HTTP routes a viewer needs: slices around a lesion, and the patients of the index."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request, Response

from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from index.reports import IndexedPatient
from service.figures.etags import cached, etag_of, file_version, not_modified
from service.http.dependencies import PROBLEMS, After, Limit, Service
from service.http.guards.audit import note
from service.http.schemas.viewer import LesionSlicesOut, PatientPage
from service.http.slices import SLICE_RESPONSES, LesionSlices, ShownStack, slice_response

Contains = Annotated[
    str, Query(max_length=64, description="a part of the id: `53` finds patient 000053")
]

viewer_router = APIRouter(responses=PROBLEMS, tags=["viewer"])


@viewer_router.get("/v1/lesions/{lesion_id}/slices", response_model=LesionSlicesOut)
def slices(service: Service, lesion_id: str) -> dict[str, Any]:
    """What the archive has around a lesion's key slice."""
    record = service.engine.index.get(lesion_id)
    note("patient", record.lesion.patient_id)
    with service.computing():
        series = service.pictures.pixels.series(record)
        rows, columns = series.read(series.key_slice_index).shape
    stack = ShownStack(
        slices=len(series.files),
        rows=rows,
        columns=columns,
        spacing_mm_px=record.source.spacing_mm_px,
        slice_interval_mm=record.source.slice_interval_mm,
        first_slice_index=min(series.files),
        key_slice_index=series.key_slice_index,
        feet_first=series.feet_first,
    )
    return LesionSlices(stack, record.lesion.box).to_json()


@viewer_router.get(
    "/v1/lesions/{lesion_id}/slices/{slice_index}",
    response_class=Response,
    responses={**SLICE_RESPONSES, 304: {"description": "The client has this slice already"}},
)
def lesion_slice(request: Request, service: Service, lesion_id: str, slice_index: int) -> Response:
    """One slice of the lesion's series, by the series' own number."""
    record = service.engine.index.get(lesion_id)
    note("patient", record.lesion.patient_id)
    series = service.pictures.pixels.series(record)
    path = series.files.get(slice_index)
    if path is None:
        raise HTTPException(404, f"slice {slice_index} is not in the archive beside this lesion")
    etag = etag_of("slice", path, file_version(path))
    if (unchanged := not_modified(request, etag)) is not None:
        return unchanged
    with service.computing():
        return slice_response(series.read(slice_index), cached(etag))


@viewer_router.get("/v1/patients", response_model=PatientPage)
def patients(
    service: Service, after: After = "", limit: Limit = 50, contains: Contains = ""
) -> dict[str, Any]:
    """The patients of the index in the order of their ids, page by page."""
    everyone = service.engine.index.patients()
    later = [name for name in everyone if name > after and contains in name]
    page = later[:limit]
    note("patient", *page)
    return {
        "patients": [one.to_json() for one in _counted(service.engine.index, page)],
        "next_after": page[-1] if len(later) > limit else None,
    }


def _counted(index: LesionIndex, patients: list[str]) -> list[IndexedPatient]:
    """Studies and lesions of each patient."""
    if not patients:
        return []
    wanted = LesionFilter(patients=frozenset(patients))
    studies: dict[str, list[str]] = {patient: [] for patient in patients}
    for lesion in index.page("", index.count(wanted), wanted):
        studies[lesion.patient_id].append(lesion.study_id)
    return [
        IndexedPatient(patient, len(set(theirs)), len(theirs))
        for patient, theirs in studies.items()
    ]
