"""The JSON of a forecast as pydantic models, shown in OpenAPI."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from retrieval.tracking.growth.answers import (
    ComponentShare,
    ForecastState,
    GrowthForecast,
    GrowthHorizon,
    NeighbourCase,
    NeighbourPoint,
    PopulationOutlook,
)
from retrieval.tracking.growth.courses import CoursePoint, SizeMeasure
from retrieval.tracking.growth.outlooks import DoublingTime, SizeOutlook, SizeRange
from service.http.schemas.answer import answer_of
from service.http.schemas.search import LesionOut


@answer_of(GrowthHorizon)
class HorizonOut(BaseModel):
    kind: Literal["next study", "days"]


@answer_of(SizeRange)
class SizeRangeOut(BaseModel):
    pass


@answer_of(SizeOutlook)
class OutlookOut(BaseModel):
    pass


@answer_of(ComponentShare)
class ComponentOut(BaseModel):
    pass


@answer_of(DoublingTime)
class DoublingTimeOut(BaseModel):
    pass


@answer_of(NeighbourPoint)
class NeighbourPointOut(BaseModel):
    pass


@answer_of(NeighbourCase)
class NeighbourCaseOut(BaseModel):
    pass


@answer_of(PopulationOutlook)
class PopulationOut(BaseModel):
    pass


@answer_of(CoursePoint)
class CoursePointOut(BaseModel):
    days: float | None = Field(description="before the last study: 0 or negative")


class NeighboursOut(BaseModel):
    """What the forecast rests on."""

    count: int = Field(description="similar lesions of other patients with a later study")
    effective: float = Field(description="as many steps of equal weight would tell as much")
    cases: list[NeighbourCaseOut] = Field(description="the nearest, best first")


@answer_of(GrowthForecast, omit=["doubling", "effective_neighbours", "cases"])
class ForecastOut(BaseModel):
    notice: str = Field(examples=["Research use only."])
    caveats: list[str] = Field(description="stand beside every forecast")
    lesion: LesionOut
    state: ForecastState
    measure: SizeMeasure
    course: list[CoursePointOut]
    left_out: list[str] = Field(description="studies whose size cannot be used, and why")
    doubling_time: DoublingTimeOut | None
    neighbours: NeighboursOut
    population: PopulationOut | None = Field(
        description="what all lesions of that size and type did; no forecast of this one"
    )
    warnings: list[str]
