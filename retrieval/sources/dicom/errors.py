"""The one error of the DICOM reader."""

from __future__ import annotations

from retrieval.image import CTError


class DicomError(CTError):
    """DICOM that cannot be read as one CT series in HU."""
