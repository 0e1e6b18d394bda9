"""The codes a structured report is written in: SNOMED CT, DICOM and UCUM."""

from __future__ import annotations

from collections.abc import Mapping

from pydicom.sr.coding import Code

from retrieval.lesion import LesionType

LESION = Code("52988006", "SCT", "Lesion")
LONG_AXIS = Code("103339001", "SCT", "Long Axis")
SHORT_AXIS = Code("103340004", "SCT", "Short Axis")
ESTIMATED = Code("414135002", "SCT", "Estimated")
CT_PROCEDURE = Code("77477000", "SCT", "Computed tomography")
COMMENT = Code("121106", "DCM", "Comment")
VOLUME = Code("118565006", "SCT", "Volume")
MILLIMETRE = Code("mm", "UCUM", "millimeter")
CUBIC_MILLIMETRE = Code("mm3", "UCUM", "cubic millimeter")
IMAGE_LIBRARY = Code("111028", "DCM", "Image Library")
IMAGE_LIBRARY_GROUP = Code("126200", "DCM", "Image Library Group")
SOURCE = Code("260753009", "SCT", "Source")
IMAGING_MEASUREMENTS = "126010"
ATTENUATION = Code("112031", "DCM", "Attenuation Coefficient")
HOUNSFIELD = Code("[hnsf'U]", "UCUM", "Hounsfield unit")
DEVICE = Code("121007", "DCM", "Device")

FINDING_SITES: Mapping[LesionType, Code] = {
    LesionType.BONE: Code("272673000", "SCT", "Bone"),
    LesionType.ABDOMEN: Code("818981001", "SCT", "Abdomen"),
    LesionType.MEDIASTINUM: Code("72410000", "SCT", "Mediastinum"),
    LesionType.LIVER: Code("10200004", "SCT", "Liver"),
    LesionType.LUNG: Code("39607008", "SCT", "Lung"),
    LesionType.KIDNEY: Code("64033007", "SCT", "Kidney"),
    LesionType.SOFT_TISSUE: Code("87784001", "SCT", "Soft tissue"),
    LesionType.PELVIS: Code("816092008", "SCT", "Pelvis"),
}
"""Finding site of each lesion type; an unknown type has none."""
