"""RECIST marks as AIM 4 documents, in the JSON that ePAD writes."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import numpy as np
from pydicom.dataset import Dataset

from tests.service.jobs.mining.drawn import CORNER, Drawn, uid_of


def aim_of(drawn: Sequence[Drawn]) -> list[bytes]:
    """One AIM 4 document a mark, in ePAD's JSON: two lines of two points, lengths in mm."""
    return [json.dumps(_aim(one)).encode() for one in drawn]


def _aim(one: Drawn) -> dict[str, Any]:
    header = one.header
    seed = (header.SOPInstanceUID, *one.recist.points)
    lengths = one.recist.diameters_mm(one.spacing_mm_px)
    annotation = {
        "uniqueIdentifier": {"root": uid_of("aim annotation", *seed)},
        "typeCode": [_coded("RECIST", "99EPAD", "Tumor assessment")],
        "dateTime": {"value": f"{header.get('StudyDate') or '20200101'}120000"},
        "name": {"value": one.name.replace(" ", "~sp1~")},
        "comment": {"value": "CT"},
        "calculationEntityCollection": {
            "CalculationEntity": [
                _calculation("G-A185", "LongAxis", lengths[0]),
                _calculation("G-A186", "ShortAxis", lengths[1]),
            ]
        },
        "markupEntityCollection": {
            "MarkupEntity": [
                _markup(header, number, line) for number, line in enumerate(one.lines, start=1)
            ]
        },
        "imageReferenceEntityCollection": {"ImageReferenceEntity": [_image_reference(header)]},
    }
    if one.tracking_uid:
        annotation["trackingUniqueIdentifier"] = {"root": one.tracking_uid}
    return {
        "ImageAnnotationCollection": {
            "xmlns": "gme://caCORE.caCORE/4.4/edu.northwestern.radiology.AIM",
            "aimVersion": "AIMv4_0",
            "uniqueIdentifier": {"root": uid_of("aim", *seed)},
            "studyInstanceUid": {"root": str(header.StudyInstanceUID)},
            "dateTime": {"value": f"{header.get('StudyDate') or '20200101'}120000"},
            "user": {"name": {"value": "reader"}, "loginName": {"value": "reader"}},
            "person": {
                "name": {"value": str(header.get("PatientName", ""))},
                "id": {"value": str(header.PatientID)},
            },
            "imageAnnotations": {"ImageAnnotation": [annotation]},
        }
    }


def _calculation(code: str, name: str, value_mm: float) -> dict[str, Any]:
    return {
        "uniqueIdentifier": {"root": "0"},
        "typeCode": [_coded(code, "SRT", name)],
        "description": {"value": name},
        "calculationResultCollection": {
            "CalculationResult": [
                {
                    "type": "Scalar",
                    "xsi:type": "ExtendedCalculationResult",
                    "unitOfMeasure": {"value": "mm"},
                    "calculationDataCollection": {
                        "CalculationData": [{"value": {"value": repr(value_mm)}}]
                    },
                }
            ]
        },
    }


def _markup(header: Dataset, number: int, line: np.ndarray) -> dict[str, Any]:
    return {
        "xsi:type": "TwoDimensionMultiPoint",
        "uniqueIdentifier": {"root": uid_of("markup", header.SOPInstanceUID, number, line)},
        "shapeIdentifier": {"value": number},
        "includeFlag": {"value": True},
        "imageReferenceUid": {"root": str(header.SOPInstanceUID)},
        "referencedFrameNumber": {"value": 1},
        "twoDimensionSpatialCoordinateCollection": {
            "TwoDimensionSpatialCoordinate": [
                {
                    "coordinateIndex": {"value": at},
                    "x": {"value": float(x + CORNER)},
                    "y": {"value": float(y + CORNER)},
                }
                for at, (x, y) in enumerate(line)
            ]
        },
    }


def _image_reference(header: Dataset) -> dict[str, Any]:
    image = {
        "sopClassUid": {"root": str(header.SOPClassUID)},
        "sopInstanceUid": {"root": str(header.SOPInstanceUID)},
    }
    return {
        "xsi:type": "DicomImageReferenceEntity",
        "uniqueIdentifier": {"root": uid_of("reference", header.SOPInstanceUID)},
        "imageStudy": {
            "instanceUid": {"root": str(header.StudyInstanceUID)},
            "startDate": {"value": str(header.get("StudyDate", ""))},
            "imageSeries": {
                "instanceUid": {"root": str(header.SeriesInstanceUID)},
                "modality": _coded("CT", "DCM", "CT"),
                "imageCollection": {"Image": [image]},
            },
        },
    }


def _coded(code: str, scheme: str, meaning: str) -> dict[str, Any]:
    return {
        "code": code,
        "codeSystemName": scheme,
        "iso:displayName": {"xmlns:iso": "uri:iso.org:21090", "value": meaning},
    }
