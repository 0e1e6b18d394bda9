"""DICOM SR: every graphic type, on a slice and in the space of the patient."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.sources.marks.verdicts import Verdict
from tests.retrieval.sources.marks.carriers import (
    CtStudy,
    code,
    group,
    image_item,
    judged,
    number,
    read,
    report,
    scoord,
    scoord3d,
)

STUDY = CtStudy()
KEY = STUDY.sop(4)


@pytest.mark.parametrize("end", [(30.0, 36.0), (34.2426, 34.2426), (36.0, 30.0)])
def test_a_circle_is_its_centre_and_radius_wherever_its_point_lies(end):
    diameter = number(code("81827009", "SCT", "Diameter"), 9.0, "mm")
    drawn = group(diameter, scoord("CIRCLE", [[30, 30], end], KEY))
    (one,) = judged(report(STUDY, drawn), STUDY)
    assert one.extent.to_list() == pytest.approx([24, 24, 36, 36], abs=1e-3)
    assert one.long_mm == pytest.approx(9.0, abs=1e-3)


def test_an_ellipse_s_axes_are_a_recist_mark():
    drawn = group(scoord("ELLIPSE", [[20, 30], [40, 30], [30, 24], [30, 36]], KEY))
    (one,) = judged(report(STUDY, drawn), STUDY)
    assert one.recist.points == ((20, 30), (40, 30), (30, 24), (30, 36))
    assert one.box.to_list() == [15, 19, 45, 41]


def test_a_closed_outline_a_rectangle_and_an_open_one():
    outline = [[20, 20], [40, 22], [36, 34], [24, 32], [20, 20]]
    box = [[20, 20], [40, 20], [40, 30], [20, 30], [20, 20]]
    found = judged(
        report(
            STUDY,
            group(scoord("POLYLINE", outline, KEY)),
            group(scoord("POLYLINE", box, KEY)),
            group(scoord("POLYLINE", outline[:3], KEY)),
        ),
        STUDY,
    )
    assert [one.mark.kind for one in found] == ["polygon", "box", "polyline"]
    assert [one.verdict for one in found] == [Verdict.KEPT, Verdict.KEPT, Verdict.OPEN_LINE]
    assert found[0].extent.to_list() == [20, 20, 40, 34]
    assert found[0].long_mm == pytest.approx(np.hypot(16, 14) * 0.75)
    # A drawn box is a box already: nothing is added to it, and it measures no diameter.
    assert found[1].box.to_list() == [20, 20, 40, 30]
    assert found[1].long_mm is None


def test_a_graphic_stored_with_each_of_its_measurements_is_one():
    outline = [[20, 20], [40, 22], [36, 34], [24, 32], [20, 20]]
    area = code("42798000", "SCT", "Area")
    mean = code("373098007", "SCT", "Mean")
    drawn = group(
        number(area, 120, "mm2", scoord("POLYLINE", outline, KEY)),
        number(mean, 40, "[hnsf'U]", scoord("POLYLINE", outline, KEY)),
    )
    (one,) = judged(report(STUDY, drawn), STUDY)
    assert one.verdict is Verdict.KEPT


def test_an_outline_over_several_slices_is_one_mark_on_its_longest():
    rings = []
    for n, width in ((3, 8), (4, 16), (5, 12)):
        ring = [[20, 20], [20 + width, 20.5], [20 + width, 30], [20, 30.5], [20, 20]]
        rings.append(scoord("POLYLINE", ring, STUDY.sop(n)))
    marks, _ = read(report(STUDY, group(*rings)))
    (mark,) = marks
    assert mark.image.sop_uid == STUDY.sop(4)
    assert {one.image.sop_uid for one in mark.others} == {STUDY.sop(3), STUDY.sop(5)}


@pytest.mark.parametrize("tilt", [0.0, 18.0])
def test_scoord3d_finds_its_slice_through_the_frame_of_reference(tilt):
    study = CtStudy(tilt=tilt)
    points = [[20, 20], [40, 22], [36, 34], [24, 32], [20, 20]]
    drawn = group(scoord3d("POLYGON", study.mm(points, 6), study.frame_uid))
    (one,) = judged(report(study, drawn), study)
    assert one.verdict is Verdict.KEPT
    assert one.plane.image.sop_uid == study.sop(6)
    assert one.extent.to_list() == pytest.approx([20, 20, 40, 34], abs=1e-6)


def test_scoord3d_off_its_slices_is_refused():
    points = STUDY.mm([[20, 20], [40, 22], [36, 34], [20, 20]], 6)
    elsewhere = group(scoord3d("POLYGON", points, "1.2.3.4.5"))
    between = group(scoord3d("POLYGON", points + np.array([0, 0, 80]), STUDY.frame_uid))
    across = group(scoord3d("POLYLINE", [[0, 0, 100], [4, 4, 115]], STUDY.frame_uid))
    named = group(scoord3d("POLYGON", points, "1.2.3.4.5"), image_item(STUDY.sop(6)))
    found = judged(report(STUDY, elsewhere, between, across, named), STUDY)
    assert [one.verdict for one in found] == [
        Verdict.NO_IMAGE,
        Verdict.NO_IMAGE,
        Verdict.OFF_SLICE,
        Verdict.OTHER_FRAME,
    ]
