"""DICOM SR: every unit and way of grouping, and what is no lesion."""

from __future__ import annotations

import highdicom.sr as hd
import numpy as np
import pytest
from pydicom.sr.codedict import codes

from retrieval.lesion import LesionType
from retrieval.sources.marks.mark import LengthRole, MarkKind
from retrieval.sources.marks.meaning.options import JudgingOptions, SinglesPolicy
from retrieval.sources.marks.verdicts import LengthSource, Verdict
from tests.retrieval.sources.marks.carriers import (
    LENGTH,
    LONG,
    SHORT,
    CtStudy,
    code,
    content,
    finding,
    group,
    image_item,
    item,
    judged,
    number,
    read,
    report,
    scoord,
    site,
    text,
    tracking,
)

STUDY = CtStudy()
KEY = STUDY.sop(4)
LONG_LINE, SHORT_LINE = [[20.0, 30.0], [40.0, 30.0]], [[29.0, 24.0], [29.0, 37.0]]
SQUARES = JudgingOptions(singles=SinglesPolicy.SQUARE)


def recist_group(*more, long_mm=15.0, short_mm=9.75, unit="mm", scale=1.0):
    return group(
        *tracking("T1", "1.2.3"),
        *more,
        number(LONG, long_mm * scale, unit, scoord("POLYLINE", LONG_LINE, KEY)),
        number(SHORT, short_mm * scale, unit, scoord("POLYLINE", SHORT_LINE, KEY)),
    )


def test_long_and_short_axis_of_a_group_are_one_recist_mark():
    (one,) = judged(report(STUDY, recist_group(finding(("52988006", "SCT", "Lesion")))), STUDY)
    assert one.verdict is Verdict.KEPT
    assert one.mark.kind is MarkKind.RECIST
    assert one.recist.points == ((20, 30), (40, 30), (29, 24), (29, 37))
    assert one.box.to_list() == [15, 19, 45, 42]
    assert (one.long_mm, one.short_mm) == pytest.approx((15.0, 9.75))
    assert one.plane.image.series_uid == STUDY.uid("series")
    assert (one.mark.tracking_uid, one.mark.tracking_id) == ("1.2.3", "T1")
    assert one.mark.reader == "R^1"
    assert str(one.mark.drawn_on) == "2024-01-31"
    assert not one.is_doubtful


def test_highdicom_s_own_report_reads_the_same():
    header = STUDY.header(4)
    for keyword in ("PatientName", "PatientBirthDate", "PatientSex", "StudyID"):
        setattr(header, keyword, "")
    for keyword in ("AccessionNumber", "StudyDate", "StudyTime"):
        setattr(header, keyword, "")
    image = hd.SourceImageForRegion.from_source_image(header)
    lines = [
        hd.CoordinatesForMeasurement("POLYLINE", np.array(line) + 0.5, image)
        for line in (LONG_LINE, SHORT_LINE)
    ]
    measurements = [
        hd.Measurement(name, value, codes.UCUM.Millimeter, referenced_coordinates=[line])
        for name, value, line in (
            (codes.SCT.LongAxis, 15.0, lines[0]),
            (codes.SCT.ShortAxis, 9.75, lines[1]),
        )
    ]
    made = hd.MeasurementsAndQualitativeEvaluations(
        tracking_identifier=hd.TrackingIdentifier("1.2.3", "T1"),
        finding_type=codes.SCT.Lesion,
        finding_sites=[hd.FindingSite(codes.SCT.Liver)],
        measurements=measurements,
    )
    content_of = hd.MeasurementReport(
        hd.ObservationContext(
            hd.ObserverContext(codes.DCM.Person, hd.PersonObserverIdentifyingAttributes("Doe^Jane"))
        ),
        codes.LN.CTUnspecifiedBodyRegion,
        imaging_measurements=[made],
    )
    document = hd.ComprehensiveSR(
        [header],
        content_of,
        series_instance_uid="1.2",
        series_number=1,
        sop_instance_uid="1.2.4",
        instance_number=1,
        manufacturer="M",
    )
    (one,) = judged(document, STUDY)
    assert one.verdict is Verdict.KEPT
    assert one.recist.points == ((20, 30), (40, 30), (29, 24), (29, 37))
    assert one.lesion_type is LesionType.LIVER


@pytest.mark.parametrize(
    ("unit", "scale", "said"),
    [("mm", 1, ""), ("cm", 0.1, ""), ("mm", 0.1, "is cm"), ("1", 0.1, "is cm"), ("1", 1, "is mm")],
)
def test_centimetres_under_any_unit_give_the_same_diameters_and_it_is_said_who_won(
    unit, scale, said
):
    (one,) = judged(report(STUDY, recist_group(unit=unit, scale=scale)), STUDY)
    assert one.verdict is Verdict.KEPT
    assert (one.long_mm, one.short_mm) == pytest.approx((15.0, 9.75))
    assert one.length_source is LengthSource.POINTS
    assert said in one.length_words
    assert ("points win" in one.length_words) is bool(said)


def test_lengths_that_no_unit_explains_contradict_the_points():
    (one,) = judged(report(STUDY, recist_group(long_mm=47.0)), STUDY)
    assert one.verdict is Verdict.CONTRADICTING_LENGTHS
    assert "47 x 9.75" in one.words
    assert "15.0" in one.words


def test_swapped_names_of_the_axes_still_put_the_longer_line_first():
    swapped = group(
        number(SHORT, 15, "mm", scoord("POLYLINE", LONG_LINE, KEY)),
        number(LONG, 9.75, "mm", scoord("POLYLINE", SHORT_LINE, KEY)),
    )
    (one,) = judged(report(STUDY, swapped), STUDY)
    assert one.recist.points[:2] == ((20, 30), (40, 30))
    assert (one.long_mm, one.short_mm) == pytest.approx((15.0, 9.75))


def test_old_codes_and_ohif_s_tool_names():
    old = group(
        *tracking("Cornerstone3DTools@^0.1.0:Bidirectional", "1.9"),
        number(code("G-A185", "SRT", "Long Axis"), 15, "mm", scoord("POLYLINE", LONG_LINE, KEY)),
        number(
            code("G-A186", "SRT", "Short Axis"), 9.75, "mm", scoord("POLYLINE", SHORT_LINE, KEY)
        ),
    )
    (one,) = judged(report(STUDY, old), STUDY)
    assert one.verdict is Verdict.KEPT
    assert one.mark.tracking_uid == "1.9"
    # A tool's name would make one track of everything drawn with it.
    assert one.mark.tracking_id == ""


def test_label_anchors_do_not_inflate_a_mark():
    label = content("TEXT", code("121106", "DCM", "Comment"), TextValue="node")
    label.ContentSequence = [scoord("POINT", [[90, 5]], KEY)]
    anchor = scoord("POINT", [[90, 70]], KEY, code("1", "99X", "Label anchor"))
    (one,) = judged(report(STUDY, recist_group(label, anchor)), STUDY)
    assert one.box.to_list() == [15, 19, 45, 42]


def test_arrows_angles_points_and_anatomy_are_no_lesions():
    angle = code("1483009", "SCT", "Angle")
    found = judged(
        report(
            STUDY,
            group(
                *tracking("Cornerstone3DTools@^0.1.0:ArrowAnnotate", "1.1"),
                scoord("POINT", [[20, 20], [30, 30]], KEY),
            ),
            group(number(angle, 40, "deg", scoord("POLYLINE", [[1, 1], [9, 9], [9, 1]], KEY))),
            group(scoord("POINT", [[20, 20]], KEY)),
            group(
                finding(("15825003", "SCT", "Aorta")), scoord("CIRCLE", [[30, 30], [36, 30]], KEY)
            ),
            group(finding(("T-42000", "SRT", "")), scoord("CIRCLE", [[30, 30], [36, 30]], KEY)),
            group(
                site(("15825003", "SCT", "Aortic structure")),
                scoord("CIRCLE", [[30, 30], [36, 30]], KEY),
            ),
            group(
                finding(("300577008", "SCT", "Lesion of liver")),
                scoord("CIRCLE", [[30, 30], [36, 30]], KEY),
            ),
        ),
        STUDY,
    )
    assert [one.verdict for one in found] == [
        Verdict.ARROW,
        Verdict.ANGLE,
        Verdict.POINT,
        Verdict.ANATOMY,
        Verdict.ANATOMY,
        Verdict.ANATOMY,
        Verdict.KEPT,
    ]
    assert found[-1].lesion_type is LesionType.LIVER


def test_arrows_are_points_for_those_who_ask():
    drawn = report(STUDY, group(scoord("POINT", [[20, 22]], KEY)))
    (one,) = judged(drawn, STUDY, options=JudgingOptions(arrows=True))
    assert one.verdict is Verdict.KEPT_AS_POINT
    assert one.point == (20, 22)


def test_horizontal_and_vertical_single_lines_are_kept_by_policy():
    lines = [
        group(number(LENGTH, 15, "mm", scoord("POLYLINE", line, KEY)))
        for line in (LONG_LINE, [[70, 10], [70, 30]])
    ]
    rejected = judged(report(STUDY, *lines), STUDY)
    assert [one.verdict for one in rejected] == [Verdict.SINGLE_LINE] * 2
    found = judged(report(STUDY, *lines), STUDY, options=SQUARES)
    assert [one.extent.to_list() for one in found] == [[20, 20, 40, 40], [60, 10, 80, 30]]
    assert [one.long_mm for one in found] == [15, 15]
    ellipse = JudgingOptions(singles=SinglesPolicy.ELLIPSE)
    (first, _) = judged(report(STUDY, *lines), STUDY, options=ellipse)
    assert first.extent.to_list() == [20, 22.5, 40, 37.5]
    assert first.short_mm is None


def test_two_lengths_drawn_one_by_one_pair_by_the_rule():
    lines = [
        group(
            *tracking("Cornerstone3DTools@^0.1.0:Length", f"1.{n}"),
            number(LENGTH, mm, "mm", scoord("POLYLINE", line, KEY)),
        )
        for n, (line, mm) in enumerate(((SHORT_LINE, 9.75), (LONG_LINE, 15)))
    ]
    (one,) = judged(report(STUDY, *lines), STUDY)
    assert one.verdict is Verdict.KEPT
    assert len(one.parts) == 2
    assert one.recist.points == ((20, 30), (40, 30), (29, 24), (29, 37))
    assert one.length_words == ""


def test_a_group_may_measure_by_reference_and_its_image_stand_beside():
    region = scoord("POLYLINE", LONG_LINE, None)
    referring = number(LONG, 15, "mm")
    # The root's first child is the observer, its second the container, its first the group.
    referring.ContentSequence = [item(ReferencedContentItemIdentifier=[1, 2, 1, 2])]
    drawn = group(image_item(KEY), region, referring)
    marks, _ = read(report(STUDY, drawn))
    (mark,) = marks
    assert mark.stated_mm(LengthRole.LONG) == 15
    assert mark.image.sop_uid == KEY


def test_words_of_a_report_name_series_and_image():
    written = text(
        "Liver: metastasis 68 x 40 mm (IMA 8-34). Unchanged node 9 mm. Aorta normal.",
        ("121071", "DCM", "Finding"),
    )
    dataset = report(STUDY)
    dataset.ContentSequence.append(written)
    (one,) = judged(dataset, STUDY)
    assert one.verdict is Verdict.PROPOSAL_NEEDED
    assert one.plane.image.sop_uid == STUDY.sop(4)
    assert (one.long_mm, one.short_mm) == (68, 40)
    assert one.box is None
