"""The HTTP route that tells what is likely to happen to an indexed lesion."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query

from retrieval.tracking.growth.courses import SizeMeasure
from retrieval.tracking.growth.forecasting import MOST_DAYS
from service.engine.growth import ForecastRequest
from service.http.dependencies import PROBLEMS, Service
from service.http.guards.audit import note
from service.http.schemas.forecast import ForecastOut

forecast_router = APIRouter(responses=PROBLEMS, tags=["lesions"])

Days = Annotated[
    float | None,
    Query(
        description=f"how many days after the lesion's study, 1 to {MOST_DAYS}; the next study if "
        "absent"
    ),
]


@forecast_router.get("/v1/lesions/{lesion_id}/forecast", response_model=ForecastOut)
def forecast(
    service: Service,
    lesion_id: str,
    days: Days = None,
    measure: SizeMeasure = SizeMeasure.LONG,
) -> dict[str, Any]:
    """The likely size of a lesion at its next study, or after some days; it abstains where unsure.

    Research use only: treatment is not known, and lesions that vanished are missing.
    """
    wanted = ForecastRequest(days, measure)
    note("lesion", lesion_id)
    note("patient", service.engine.index.get(lesion_id).lesion.patient_id)
    with service.computing():
        return service.growth.forecast(lesion_id, wanted).to_json()
