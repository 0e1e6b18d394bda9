"""The HTTP routes that give DICOM structured reports (TID 1500) as files."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

from fastapi import APIRouter, Form, HTTPException, Response
from pydantic import Field

from retrieval.lesion import LesionType
from service.decoding.identity import IdentifiedImage
from service.engine.measuring import MEASURED_DEPTH_MM, measure_marked
from service.engine.patient_tracks import UnknownPatientError
from service.engine.query import LesionQuery
from service.extras import Extra, need_extra
from service.http.dependencies import PROBLEMS, Service
from service.http.forms import ImageForm
from service.http.guards.audit import note
from service.http.uploads.query_images import image_of

if TYPE_CHECKING:
    from service.pacs.reports.own import ReportFile

report_router = APIRouter(responses=PROBLEMS, tags=["reports"])

DICOM_FILE: dict[int | str, dict[str, Any]] = {
    200: {
        "content": {"application/dicom": {}, "application/zip": {}},
        "description": "A report, or a zip of one for each study",
    }
}


class ReportForm(ImageForm):
    """A lesion to report: DICOM images and a mark on one of them."""

    box: str | None = Field(default=None, examples=["210,188,243,221"])
    recist: str | None = Field(default=None, description="x1,y1,...,x4,y4, long diameter first")
    point: str | None = Field(default=None, description="x,y; only with `measured`")
    measured: bool = Field(
        default=False,
        description="outline the lesion and report the network's diameters and volume, called "
        "estimated; otherwise the mark itself",
    )
    lesion_type: str = Field(default="unknown", examples=["liver"])

    def query(self) -> LesionQuery:
        """The mark; raises LesionSearchError."""
        return LesionQuery.parse(box=self.box, recist=self.recist, point=self.point, grid=self.grid)


@report_router.post("/v1/report", response_class=Response, responses={**DICOM_FILE})
def report_mark(
    service: Service, form: Annotated[ReportForm, Form(media_type="multipart/form-data")]
) -> Response:
    """A marked lesion as a DICOM report: its diameters, and its volume where it was measured.

    The report names the patient's id and the images by their UIDs, and no person. Research use
    only.
    """
    need_extra(Extra.DICOM)
    from service.pacs.reports.own import report_of_mark

    query, lesion_type = form.query(), LesionType.parse(form.lesion_type)
    with service.computing():
        image = image_of(service, form, half_depth_mm=MEASURED_DEPTH_MM)
        note("patient", None if image.identity is None else image.identity.patient_id)
        found = measure_marked(query, image.slab) if form.measured else None
        identified = IdentifiedImage(image.slab, image.identity)
        made = report_of_mark(identified, query, lesion_type=lesion_type, measured=found)
    return _file(made)


@report_router.get(
    "/v1/patients/{patient_id}/report", response_class=Response, responses={**DICOM_FILE}
)
def report_patient(service: Service, patient_id: str) -> Response:
    """All lesion tracks that the index has of a patient as DICOM reports, one for each study.

    A track has one tracking UID over the reports; several reports come as a zip. Where the index
    does not know the images' UIDs they follow from its names, and the report says so. Research use
    only.
    """
    need_extra(Extra.DICOM)
    from service.pacs.reports.own import report_of_indexed

    note("patient", patient_id)
    engine = service.engine
    with service.computing():
        try:
            made = report_of_indexed(engine.index, patient_id, model=engine.matcher)
        except UnknownPatientError as unknown:
            raise HTTPException(404, str(unknown)) from None
    return _file(made)


def _file(made: ReportFile) -> Response:
    headers = {
        "Content-Disposition": f'attachment; filename="{made.name}"',
        "Cache-Control": "private, no-store",
    }
    return Response(made.content, media_type=made.media_type, headers=headers)
