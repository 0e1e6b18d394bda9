"""RECIST marks as segmentations with the report that measures them: TID 1411 by highdicom."""

from __future__ import annotations

from collections.abc import Sequence

import highdicom.sr as sr
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from tests.service.jobs.mining.drawn import Drawn, uid_of


def reports_of_segments(
    segmentations: Sequence[Dataset], members: Sequence[Sequence[Drawn]]
) -> list[Dataset]:
    """One report for each segmentation: long and short axis of each of its segments."""
    return [_report(*pair) for pair in zip(segmentations, members, strict=True)]


def _report(segmentation: Dataset, members: Sequence[Drawn]) -> Dataset:
    header = members[0].header
    groups = [_group(segmentation, number, one) for number, one in enumerate(members, start=1)]
    observer = sr.ObserverContext(
        codes.DCM.Person, sr.PersonObserverIdentifyingAttributes("Reader^A")
    )
    content = sr.MeasurementReport(
        sr.ObservationContext(observer),
        codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=groups,
    )
    made = sr.ComprehensiveSR(
        [segmentation, header],
        content,
        series_instance_uid=uid_of("measured series", header.SOPInstanceUID),
        series_number=61,
        sop_instance_uid=uid_of("measured", header.SOPInstanceUID),
        instance_number=1,
        manufacturer="Test",
    )
    made.preamble = b"\0" * 128
    return made


def _group(segmentation: Dataset, number: int, one: Drawn) -> object:
    values = one.recist.diameters_mm(one.spacing_mm_px)
    names = (codes.SCT.LongAxis, codes.SCT.ShortAxis)
    return sr.VolumetricROIMeasurementsAndQualitativeEvaluations(
        sr.TrackingIdentifier(
            uid_of("seg", one.header.SOPInstanceUID, *one.recist.points), one.name
        ),
        referenced_segment=sr.ReferencedSegment(
            segmentation.SOPClassUID,
            segmentation.SOPInstanceUID,
            number,
            source_images=[
                sr.SourceImageForSegmentation(one.header.SOPClassUID, one.header.SOPInstanceUID)
            ],
        ),
        finding_type=sr.CodedConcept("52988006", "SCT", "Lesion"),
        measurements=[
            sr.Measurement(name, value, codes.UCUM.Millimeter)
            for name, value in zip(names, sorted(values, reverse=True), strict=True)
        ],
    )
