"""The HTTP route that asks the detector where lesions may be."""

from __future__ import annotations

import time
from typing import Annotated, Any

from fastapi import APIRouter, Form

from retrieval.grid import Grid
from service.engine.results import DetectedLesions, Timing
from service.http.dependencies import PROBLEMS, Service
from service.http.forms import DetectForm
from service.http.problems import NotReadyError
from service.http.schemas.detection import DetectOut
from service.http.uploads.query_images import image_of

detection_router = APIRouter(responses=PROBLEMS, tags=["search"])


@detection_router.post("/v1/detect", response_model=DetectOut)
def detect(
    service: Service, form: Annotated[DetectForm, Form(media_type="multipart/form-data")]
) -> dict[str, Any]:
    """The detector's boxes on the key slice, best first; empty where it finds none likely.

    The five best that are likely enough, with ``all`` every one. A score is the probability that
    the box is a lesion, where the detector is calibrated.
    """
    detector = service.engine.detector_identity
    if detector is None:
        raise NotReadyError(
            "no detector is bundled with this service: mark the lesion by its box, or start the "
            "service with a detector"
        )
    depth = service.engine.half_depth_mm(detecting=True)
    with service.computing():
        image = image_of(service, form, half_depth_mm=depth)
        slab = image.slab.as_displayed() if form.grid is Grid.DISPLAY else image.slab
        start = time.perf_counter()
        candidates = service.engine.detect(slab, every=form.all)
        spent = (time.perf_counter() - start) * 1000
    return DetectedLesions(
        grid=form.grid,
        candidates=tuple(candidates),
        detector=detector,
        key_slice_index=slab.key_slice_index,
        timing_ms=Timing(read=image.read_ms, detect=spent),
        warnings=tuple(slab.notes),
    ).to_json()
