"""What a DICOM object is, by class and modality, and whether it belongs to a stack of CT slices.

Hospitals export more than slices: directories, scouts, reports, segmentations. They are left out of
a series by what they are, never by their names, and counted.
"""

from __future__ import annotations

import re
from typing import Any

from pydicom.uid import (
    CTImageStorage,
    EnhancedCTImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    MediaStorageDirectoryStorage,
)

CT_CLASSES = frozenset(
    {CTImageStorage, EnhancedCTImageStorage, LegacyConvertedEnhancedCTImageStorage}
)
MULTI_FRAME_CLASSES = CT_CLASSES - {CTImageStorage}

OTHER_OBJECTS = {
    "SR": "structured report",
    "SEG": "segmentation",
    "RTSTRUCT": "structure set",
    "RTPLAN": "treatment plan",
    "RTDOSE": "dose grid",
    "RTIMAGE": "treatment image",
    "RTRECORD": "treatment record",
    "PR": "presentation state",
    "KO": "key object selection",
    "DOC": "document",
    "REG": "registration",
    "FID": "fiducials",
    "RWV": "real world value map",
    "M3D": "surface model",
    "PLAN": "plan",
}
"""Modality -> what such an object is."""

DIRECTORY = "media directory"
SCOUT = "scout"
SCREEN = "picture of a screen or with burned-in text"
CAPTURE = "secondary capture"

SCREEN_WORDS = re.compile(r"SCREEN|CAPTURE|DOSE|REPORT|PROTOCOL|PRESENTATION|OVERLAY|FUSION")
"""Words of ImageType that vendors give to pictures of a screen."""


def stray_kind(dataset: Any) -> str | None:
    """What an object is that is no CT slice, in words; None for a slice or a stack of them.

    The same judgement holds for a folder, an upload, a PACS and an archive.
    """
    sop_class = _class_of(dataset)
    if sop_class == MediaStorageDirectoryStorage:
        return DIRECTORY
    modality = _text(dataset, "Modality")
    if modality != "CT" and (modality or sop_class not in CT_CLASSES):
        what = "image" if "PixelData" in dataset else "object"
        return OTHER_OBJECTS.get(modality, f"{modality or 'unnamed'} {what}")
    return _stray_ct(dataset, sop_class)


def _stray_ct(dataset: Any, sop_class: Any) -> str | None:
    image_type = [str(value).strip().upper() for value in _values(dataset, "ImageType")]
    if "LOCALIZER" in image_type:
        return SCOUT
    if _shows_text(dataset, image_type):
        return SCREEN
    if sop_class and sop_class not in CT_CLASSES:
        is_capture = "Secondary Capture" in getattr(sop_class, "name", "")
        return CAPTURE if is_capture else f"CT object of the class {sop_class.name}"
    return None


def _shows_text(dataset: Any, image_type: list[str]) -> bool:
    stated = _text(dataset, "BurnedInAnnotation")
    if stated in {"YES", "NO"}:
        return stated == "YES"
    return bool(SCREEN_WORDS.search(" ".join(image_type)))


def _class_of(dataset: Any) -> Any:
    """The class as the object says it, or its meta header."""
    stated = dataset.get("SOPClassUID")
    return stated or getattr(dataset, "file_meta", {}).get("MediaStorageSOPClassUID")


def _text(dataset: Any, keyword: str) -> str:
    return str(dataset.get(keyword) or "").strip().upper()


def _values(dataset: Any, keyword: str) -> list[Any]:
    value = dataset.get(keyword) or ()
    return [value] if isinstance(value, str) else list(value)
