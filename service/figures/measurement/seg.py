"""A mask as a DICOM Segmentation of one lesion, by highdicom."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from importlib import metadata
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service.extras import Extra, need_extra

SERIES_NUMBER = 9017


def segmentation_of(mask: NDArray[np.uint8], datasets: Sequence[Any], method: str) -> Any:
    """The SEG dataset; raises MissingExtraError without highdicom.

    Args:
        mask: (slices, rows, columns) of 0 and 1, in the order of ``datasets``.
        datasets: the CT's images.
        method: "network" or "ellipse", told in the segment's description.
    """
    need_extra(Extra.DICOM)
    import highdicom as hd
    from highdicom.seg import (
        SegmentAlgorithmTypeValues,
        SegmentationTypeValues,
        SegmentDescription,
    )
    from pydicom.sr.codedict import codes

    version = metadata.version("lesion-search")
    segment = SegmentDescription(
        segment_number=1,
        segment_label="Lesion",
        segmented_property_category=codes.SCT.MorphologicallyAbnormalStructure,
        segmented_property_type=codes.SCT.Lesion,
        algorithm_type=SegmentAlgorithmTypeValues.SEMIAUTOMATIC,
        algorithm_identification=hd.AlgorithmIdentificationSequence(
            name=f"Lesion Search ({method})",
            family=codes.DCM.ArtificialIntelligence,
            version=version,
        ),
    )
    with warnings.catch_warnings():
        # Names of research patients have one part; they are copied as they are.
        warnings.simplefilter("ignore", UserWarning)
        return _made(hd, SegmentationTypeValues.BINARY, list(datasets), mask, segment)


def _made(hd: Any, kind: Any, datasets: list[Any], mask: NDArray[np.uint8], segment: Any) -> Any:
    version = metadata.version("lesion-search")
    return hd.seg.Segmentation(
        source_images=datasets,
        pixel_array=mask,
        segmentation_type=kind,
        segment_descriptions=[segment],
        series_instance_uid=hd.UID(),
        series_number=SERIES_NUMBER,
        sop_instance_uid=hd.UID(),
        instance_number=1,
        manufacturer="Lesion Search",
        manufacturer_model_name="lesion-search measure",
        software_versions=version,
        device_serial_number="research",
        series_description="Lesion mask, research use only",
    )
