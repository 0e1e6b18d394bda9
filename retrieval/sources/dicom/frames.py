"""The functional groups of enhanced and legacy-converted multi-frame CT (PS3.3, C.7.6.16)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from retrieval.sources.dicom.errors import DicomError

_MACROS = {
    "ImagePositionPatient": ("PlanePositionSequence",),
    "ImageOrientationPatient": ("PlaneOrientationSequence",),
    "PixelSpacing": ("PixelMeasuresSequence",),
    "SliceThickness": ("PixelMeasuresSequence",),
    "RescaleSlope": ("PixelValueTransformationSequence", "CTPixelValueTransformationSequence"),
    "RescaleIntercept": ("PixelValueTransformationSequence", "CTPixelValueTransformationSequence"),
    "RescaleType": ("PixelValueTransformationSequence", "CTPixelValueTransformationSequence"),
    "FrameType": ("CTImageFrameTypeSequence",),
    "TemporalPositionIndex": ("FrameContentSequence",),
    "FrameAcquisitionNumber": ("FrameContentSequence",),
    "StackID": ("FrameContentSequence",),
    "ConvolutionKernel": ("CTReconstructionSequence",),
    "KVP": ("CTXRayDetailsSequence",),
}
"""Element -> the macros that may hold it."""

_SAME_AS = {
    "ImageType": "FrameType",
    "TemporalPositionIdentifier": "TemporalPositionIndex",
    "AcquisitionNumber": "FrameAcquisitionNumber",
    "EchoNumbers": "StackID",
}
"""What a single image calls it -> what a frame calls it."""

MOST_FRAMES = 20_000


@dataclass(frozen=True)
class FrameGroups:
    """What is said of each frame: for all of them at once, or one by one."""

    dataset: Any
    shared: Any
    per_frame: Any
    count: int

    @classmethod
    def of(cls, name: str, dataset: Any) -> FrameGroups:
        """The groups of a multi-frame image; raises DicomError if they do not fit its frames."""
        count = int(dataset.get("NumberOfFrames", 1) or 1)
        shared = dataset.get("SharedFunctionalGroupsSequence") or [{}]
        per_frame = dataset.get("PerFrameFunctionalGroupsSequence") or []
        if not 1 <= count <= MOST_FRAMES or len(per_frame) != count:
            raise DicomError(
                f"{name} claims {count} frames and describes {len(per_frame)}: each of at most "
                f"{MOST_FRAMES} needs its place"
            )
        return cls(dataset, shared[0], per_frame, count)

    def frame(self, number: int) -> SaidOfFrame:
        """What is said of one frame, from 0."""
        return SaidOfFrame(self.dataset, (self.per_frame[number], self.shared))


@dataclass(frozen=True)
class SaidOfFrame:
    """The elements of one frame under the names that a single image has them by."""

    dataset: Any
    groups: tuple[Any, Any]

    def get(self, keyword: str) -> Any:
        """The frame's value, the shared one, or the image's own; None where there is none."""
        asked = _SAME_AS.get(keyword, keyword)
        for group in self.groups:
            for macro in _MACROS.get(asked, ()):
                items = group.get(macro)
                if items and (value := items[0].get(asked)) is not None:
                    return value
        # Of a legacy-converted image what is not known of each frame stands outside the groups.
        return self.dataset.get(keyword)

    def __contains__(self, keyword: str) -> bool:
        return self.get(keyword) is not None
