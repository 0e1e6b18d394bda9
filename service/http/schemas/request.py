"""What every form and JSON document of a request has in common."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, model_validator


class RequestModel(BaseModel):
    """Fields of a client: no unknown ones, and no half characters.

    JSON may write a lone surrogate (``"\\ud800"``), which is no character: neither the catalog nor
    an answer could hold it.
    """

    model_config = ConfigDict(extra="forbid")

    @model_validator(mode="before")
    @classmethod
    def _refuse_half_characters(cls, sent: Any) -> Any:
        if _has_half_character(sent):
            raise ValueError("half a character (a lone surrogate) was sent: send valid Unicode")
        return sent


def _has_half_character(sent: Any) -> bool:
    """Looks into lists and objects without recursion: JSON may be nested deeply."""
    left = [sent]
    while left:
        value = left.pop()
        if isinstance(value, str):
            if not value.isascii() and any("\ud800" <= one <= "\udfff" for one in value):
                return True
        elif isinstance(value, dict):
            left += [*value, *value.values()]
        elif isinstance(value, list):
            left += value
    return False
