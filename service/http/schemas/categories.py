"""The JSON of categories and their tree as pydantic models, shown in OpenAPI."""

from __future__ import annotations

from pydantic import BaseModel, Field


class CategoryFactsOut(BaseModel):
    """One category that was found without labels."""

    category: str = Field(description="its id, as the filter `category=` takes it")
    name: str = Field(description="what it holds, or `unnamed` where no name was earned")
    share: float = Field(description="of its typed tracks, those of the commonest type, in [0, 1]")
    tracks: int = Field(description="physical lesions that it was found from")
    typed_tracks: int = Field(description="those of known type")
    tags: list[str] = Field(description="terms that are commoner here than elsewhere")
    lesions: int = Field(description="lesions of the index that are in it now")


class JoinOut(BaseModel):
    """One inner node of the tree, `join 0` first."""

    left: str = Field(description="a category, or an earlier join")
    right: str = Field(description="a category, or an earlier join")
    distance: float = Field(description="1 less the mean probability of confusing the sides")


class CategoriesOut(BaseModel):
    """Categories in the order of the tree's leaves, and the tree from the leaves up."""

    categories: list[CategoryFactsOut]
    tree: list[JoinOut]
    settled: bool = Field(description="whether the loop ended because little changed any more")
