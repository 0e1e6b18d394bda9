"""The JSON of categories and their tree as pydantic models, shown in OpenAPI."""

from __future__ import annotations

from pydantic import BaseModel, Field

from retrieval.labels.categories.hierarchy import Join
from service.http.schemas.answer import answer_of
from service.jobs.categories import CategoryFacts, KeptCategories


@answer_of(CategoryFacts)
class CategoryFactsOut(BaseModel):
    pass


@answer_of(Join)
class JoinOut(BaseModel):
    left: str = Field(description="a category, or an earlier join")
    right: str = Field(description="a category, or an earlier join")


@answer_of(KeptCategories)
class CategoriesOut(BaseModel):
    pass
