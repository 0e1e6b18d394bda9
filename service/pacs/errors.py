"""What can go wrong with a PACS, each in one plain line."""

from __future__ import annotations

from retrieval.lesion import LesionSearchError


class PacsError(LesionSearchError):
    """A PACS that refuses, or answers what is not DICOMweb."""


class PacsUnavailableError(PacsError):
    """A PACS that does not answer."""


class UnknownReferenceError(PacsError):
    """A study, series or instance that the PACS does not have."""


class PacsLimitError(PacsError):
    """More instances or bytes than one query may take."""
