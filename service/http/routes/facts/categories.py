"""The HTTP route of the categories that were found without labels."""

from __future__ import annotations

from fastapi import APIRouter

from service.http.dependencies import PROBLEMS, Service
from service.http.schemas.categories import CategoriesOut
from service.jobs.categories import KeptCategories, kept_categories

categories_router = APIRouter(responses=PROBLEMS, tags=["vocabulary"])


@categories_router.get("/v1/categories", response_model=CategoriesOut)
def categories(service: Service) -> KeptCategories:
    """Categories of the index, in the order of their tree, and the tree; empty where none are."""
    with service.computing():
        return kept_categories(service.engine.index)
