"""Elements: a dataset's values by keyword, each distinct one converted once for a whole series.

The files of a series repeat most of their header byte for byte. pydicom converts every element of
every file; here the same bytes of the same element are converted once and then looked up.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydicom.dataelem import RawDataElement
from pydicom.tag import BaseTag, Tag

Known = dict[tuple[Any, ...], Any]
"""Values by element and bytes, shared by the files that are read together."""

_PLAIN_KINDS = frozenset({"CS", "DS", "IS", "UI", "US", "SS", "UL", "SL", "FD", "FL"})
"""Value representations whose bytes alone decide the value: no character set, no other element."""


@lru_cache(maxsize=256)
def _tag(keyword: str) -> BaseTag:
    return Tag(keyword)


class Elements:
    """The values of one dataset; like the dataset itself where ``get`` and ``in`` are asked."""

    __slots__ = ("_known", "_own", "dataset")

    def __init__(
        self, dataset: Any, known: Known | None = None, *, told: Mapping[str, Any] | None = None
    ) -> None:
        """Of a pydicom dataset.

        Args:
            dataset: as pydicom read it.
            known: shared by those read together.
            told: values by keyword that hold without the dataset.
        """
        self.dataset = dataset
        self._known: Known = {} if known is None else known
        self._own: dict[str, Any] = dict(told or {})

    @property
    def file_meta(self) -> Any:
        """The meta header."""
        return self.dataset.file_meta

    def __contains__(self, keyword: str) -> bool:
        return _tag(keyword) in self.dataset

    def get(self, keyword: str, default: Any = None) -> Any:
        """The value as pydicom converts it; ``default`` where there is no such element.

        Raises what pydicom raises for a value that cannot be converted.
        """
        if keyword in self._own:
            value = self._own[keyword]
        else:
            value = self._own[keyword] = self._value(keyword)
        return default if value is None and keyword not in self else value

    def _value(self, keyword: str) -> Any:
        tag = _tag(keyword)
        raw = self.dataset.get_item(tag, keep_deferred=True)
        if raw is None:
            return None
        if not isinstance(raw, RawDataElement) or raw.value is None or raw.VR not in _PLAIN_KINDS:
            return self.dataset[tag].value
        key = (tag, raw.VR, raw.is_little_endian, raw.value)
        if key not in self._known:
            # The dataset keeps what it converted: decoding asks for the same elements again.
            self._known[key] = self.dataset[tag].value
        return self._known[key]
