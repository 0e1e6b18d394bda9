"""The HTTP route that measures one marked lesion."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Form, HTTPException
from pydantic import Field

from index.measured import packed_mask
from retrieval.segmentation.answer import measurement_json
from retrieval.segmentation.kept import KeptMask
from service.engine.measuring import MEASURED_DEPTH_MM, measure_marked
from service.engine.query import LesionQuery
from service.http.dependencies import PROBLEMS, Service
from service.http.forms import ImageForm
from service.http.schemas.measuring import KeptMaskOut, MeasureOut
from service.http.uploads.query_images import image_of

measure_router = APIRouter(responses=PROBLEMS, tags=["measurement"])


class MeasureForm(ImageForm):
    """A lesion to measure: an image and a mark on it."""

    box: str | None = Field(default=None, examples=["210,188,243,221"])
    recist: str | None = Field(default=None, description="x1,y1,...,x4,y4, long diameter first")
    point: str | None = Field(
        default=None, description="x,y: a click inside the lesion", examples=["225,204"]
    )
    in_3d: bool = Field(default=True, description="whether the lesion is followed through slices")

    def query(self) -> LesionQuery:
        """The mark; raises LesionSearchError."""
        return LesionQuery.parse(box=self.box, recist=self.recist, point=self.point, grid=self.grid)


@measure_router.get("/v1/lesions/{lesion_id}/mask", response_model=KeptMaskOut)
def kept_mask(service: Service, lesion_id: str) -> dict[str, Any]:
    """The outline of a measured lesion's mask on each of its slices, in the display grid."""
    index = service.engine.index
    lesion = index.get(lesion_id).lesion
    packed = packed_mask(index, lesion_id)
    if packed is None:
        raise HTTPException(
            404,
            f"lesion {lesion_id!r} has no mask: measure the index with `lesion-search index "
            "measure --index I`",
        )
    outlines = KeptMask.unpack(packed).outlines()
    return {
        "lesion_id": lesion_id,
        "grid": "display",
        "contours": [{"offset": offset, "paths": paths} for offset, paths in outlines],
        "measured": None if lesion.measured is None else lesion.measured.to_json(),
    }


@measure_router.post("/v1/measure", response_model=MeasureOut)
def measure_lesion(
    service: Service, form: Annotated[MeasureForm, Form(media_type="multipart/form-data")]
) -> dict[str, Any]:
    """Measure one lesion from a box, a RECIST mark or a click; without one, the detector's best.

    The mark's own diameters stand beside the measurement. Research use only.
    """
    query = form.query()
    with service.computing():
        image = image_of(service, form, half_depth_mm=MEASURED_DEPTH_MM)
        start = time.perf_counter()
        found = measure_marked(query, image.slab, engine=service.engine, in_3d=form.in_3d)
        document = measurement_json(found, form.grid)
    spent = (time.perf_counter() - start) * 1000
    return {
        **document,
        "warnings": list(image.slab.notes),
        "timing_ms": {"read": round(image.read_ms, 1), "measure": round(spent, 1)},
    }
