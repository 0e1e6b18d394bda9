"""What can go wrong with an index, as errors whose one line says what to do."""

from __future__ import annotations

from retrieval.lesion import LesionSearchError


class LesionIndexError(LesionSearchError):
    """An index that cannot do what was asked of it."""


class CatalogError(LesionIndexError):
    """A catalog that is missing, damaged, or written by a newer program."""


class CatalogQueryError(LesionIndexError):
    """A request that the catalog cannot take; the catalog itself is sound."""


class EncoderMismatchError(LesionIndexError):
    """An index filled by another encoder than the one in use."""


class IndexBusyError(LesionIndexError):
    """Another writer held the index for longer than the time to wait."""


class StorageError(LesionIndexError):
    """The disk refused a write; what was stored before is untouched."""


class StoreError(LesionIndexError):
    """A FAISS snapshot that cannot be used, or another store of vectors that cannot."""


class MilvusError(StoreError):
    """A Milvus server or collection that cannot do what was asked of it."""


class MilvusUnavailableError(MilvusError):
    """A Milvus server that does not answer."""


class MilvusBehindError(MilvusError):
    """A Milvus collection that lacks too much of the index to be brought level in passing."""


class UnknownLesionError(LesionIndexError):
    """A lesion id the index does not hold."""


class FilterError(LesionIndexError):
    """A filter that does not say what it means."""
