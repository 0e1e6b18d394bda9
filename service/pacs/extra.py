"""The extra ``lesion-search[dicom]``: what a PACS needs, said plainly where it is missing."""

from __future__ import annotations

from importlib.util import find_spec

from retrieval.lesion import LesionSearchError


class DicomExtraError(LesionSearchError):
    """The packages for DICOMweb and structured reports are not installed."""


def need_dicom_extra() -> None:
    """Raises DicomExtraError unless the packages of the extra are there."""
    missing = [name for name in ("dicomweb_client", "highdicom") if find_spec(name) is None]
    if missing:
        raise DicomExtraError(
            f"{' and '.join(missing)} are not installed: `pip install 'lesion-search[dicom]'`"
        )
