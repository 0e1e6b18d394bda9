"""RTSTRUCT: holes, parts, lines, points, tilted series, and regions that are no lesions."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.sources.marks.meaning.options import JudgingOptions
from retrieval.sources.marks.verdicts import Verdict
from tests.retrieval.sources.marks.carriers import CtStudy, contour, judged, read, structures

STUDY = CtStudy()
OUTLINE = [[20.0, 20.0], [44.0, 22.0], [36.0, 34.0], [24.0, 32.0]]


def ring(points, n=4, study=STUDY, named=True, shape="CLOSED_PLANAR"):
    return contour(study.mm(points, n), study.sop(n) if named else None, shape)


def shifted(points, dx, dy):
    return (np.asarray(points) + np.array([dx, dy])).tolist()


@pytest.mark.parametrize("tilt", [0.0, 20.0])
@pytest.mark.parametrize("named", [True, False])
def test_a_region_is_one_mark_on_its_longest_slice(tilt, named):
    study = CtStudy(tilt=tilt)
    small = (np.asarray(OUTLINE) * 0.5 + 14).tolist()
    rings = [
        ring(small, 3, study, named),
        ring(OUTLINE, 4, study, named),
        ring(small, 5, study, named),
    ]
    (one,) = judged(structures(study, {"GTV_1": rings}), study)
    assert one.verdict is Verdict.KEPT
    assert one.plane.image.sop_uid == study.sop(4)
    assert one.extent.to_list() == pytest.approx([20, 20, 44, 34], abs=1e-5)
    assert one.long_mm == pytest.approx(np.hypot(24, 2) * 0.75, abs=1e-5)
    assert len(one.mark.others) == 2


def test_contours_smaller_than_a_pixel_keep_their_extent():
    tiny = [[20.1, 20.1], [21.4, 20.1], [21.4, 21.4], [20.1, 21.4]]
    (one,) = judged(structures(STUDY, {"nodule": [ring(tiny)]}), STUDY)
    assert one.extent.to_list() == pytest.approx([20.1, 20.1, 21.4, 21.4])


def test_a_hole_changes_no_diameter_and_a_repeated_contour_is_no_hole():
    hole = [[28.0, 24.0], [34.0, 24.0], [34.0, 28.0], [28.0, 28.0]]
    plain = judged(structures(STUDY, {"tumour": [ring(OUTLINE)]}), STUDY)
    for rings in ([ring(OUTLINE), ring(hole)], [ring(OUTLINE), ring(OUTLINE)]):
        (one,) = judged(structures(STUDY, {"tumour": rings}), STUDY)
        assert one.recist == plain[0].recist
        assert one.short_mm == pytest.approx(plain[0].short_mm)


def test_separate_parts_of_a_region_are_lesions_of_their_own():
    far = shifted(OUTLINE, 30, 30)
    rings = [ring(OUTLINE, 3), ring(OUTLINE, 4), ring(far, 4), ring(shifted(far, 1, 1), 5)]
    found = judged(structures(STUDY, {"nodes": rings}), STUDY)
    assert [one.verdict for one in found] == [Verdict.KEPT] * 2
    assert [one.extent.to_list() for one in found] == [
        pytest.approx([20, 20, 44, 34]),
        pytest.approx([50, 50, 74, 64]),
    ]


def test_two_open_contours_of_two_points_are_the_diameters_of_a_lesion():
    lines = [
        ring([[29, 24], [29, 37]], shape="OPEN_PLANAR"),
        ring([[20, 30], [40, 30]], shape="OPEN_PLANAR"),
    ]
    (one,) = judged(structures(STUDY, {"lesion 1": lines}), STUDY)
    assert one.recist.points == pytest.approx(np.array([[20, 30], [40, 30], [29, 24], [29, 37]]))
    assert one.box.to_list() == pytest.approx([15, 19, 45, 42])
    assert len(one.parts) == 2


def test_the_short_diameter_is_the_longest_chord_across_the_long_one():
    """Oracle: a fine raster of the same outline."""
    turn = np.radians(np.arange(0, 360, 3))
    shape = np.stack([40 + 18 * np.cos(turn), 40 + 9 * np.sin(turn)], 1)
    shape[:, 1] += 2 * np.cos(2 * turn)
    (one,) = judged(structures(STUDY, {"mass": [ring(shape)]}), STUDY)
    long, short = one.recist.diameters_mm((0.75, 0.75))
    assert (one.long_mm, one.short_mm) == (long, short)
    ends = np.asarray(one.recist.points)
    along = (ends[1] - ends[0]) / np.linalg.norm(ends[1] - ends[0])
    across = np.array([-along[1], along[0]])
    assert abs((ends[3] - ends[2]) @ along) < 1e-6
    dense = np.concatenate(
        [np.linspace(a, b, 200) for a, b in zip(shape, np.roll(shape, -1, 0), strict=True)]
    )
    bins = np.round(dense @ along / 0.05).astype(int)
    side = dense @ across
    widths = [np.ptp(side[bins == one]) for one in np.unique(bins)]
    assert short / 0.75 == pytest.approx(max(widths), abs=0.05)


def test_points_empty_regions_and_broken_contours_have_their_reasons():
    broken = ring(OUTLINE)
    broken.ContourData = [*list(broken.ContourData)[:-1], "1e9"]
    odd = ring(OUTLINE)
    odd.ContourData = list(odd.ContourData)[:-1]
    regions = {
        "lesion p": [ring([[30, 30]], shape="POINT")],
        "lesion e": [],
        "lesion b": [ring(OUTLINE, 3), broken],
        "lesion o": [odd],
    }
    marks, refusals = read(structures(STUDY, regions))
    assert [mark.kind for mark in marks] == ["point"]
    assert {(one.verdict, one.words.split("'")[1]) for one in refusals} == {
        (Verdict.NO_COORDINATES, "lesion e"),
        (Verdict.NOT_A_NUMBER, "lesion b"),
        (Verdict.NO_COORDINATES, "lesion o"),
    }


@pytest.mark.parametrize(
    ("name", "kind", "verdict"),
    [
        ("Tumor_c40", "ORGAN", Verdict.KEPT),
        ("GTV-1", "", Verdict.KEPT),
        ("anything", "GTV", Verdict.KEPT),
        ("liver mets", "", Verdict.KEPT),
        ("PTV_60", "PTV", Verdict.NOT_A_LESION),
        ("CTV node", "", Verdict.NOT_A_LESION),
        ("Liver", "ORGAN", Verdict.ANATOMY),
        ("Vertebra_c40", "", Verdict.ANATOMY),
        ("ROI-1", "", Verdict.NOT_A_LESION),
        ("ROI-1", "ORGAN", Verdict.ANATOMY),
    ],
)
def test_names_decide_what_a_region_is(name, kind, verdict):
    (one,) = judged(structures(STUDY, {name: [ring(OUTLINE)]}, kind=kind), STUDY)
    assert one.verdict is verdict


def test_a_user_s_names_are_lesions():
    regions = {"ROI-1": [ring(OUTLINE)], "ROI-2": [ring(OUTLINE, 3)], "Liver": [ring(OUTLINE, 5)]}
    options = JudgingOptions(names=("roi*",))
    found = judged(structures(STUDY, regions), STUDY, options=options)
    assert [one.verdict for one in found] == [Verdict.KEPT, Verdict.KEPT, Verdict.ANATOMY]


def test_dangling_references():
    dataset = structures(STUDY, {"lesion": [ring(OUTLINE)]})
    (one,) = judged(dataset, CtStudy(name="another"))
    assert one.verdict is Verdict.NO_IMAGE
    assert STUDY.sop(4) in one.words
    # The image that is named is gone, but its frame of reference places the contour.
    dataset.ROIContourSequence[0].ContourSequence[0].ContourImageSequence[
        0
    ].ReferencedSOPInstanceUID = "1.2.3"
    (one,) = judged(dataset, STUDY)
    assert one.plane.image.sop_uid == STUDY.sop(4)


@pytest.mark.parametrize(
    ("corners", "diameters"),
    [
        # Drawn as a RECIST mark: the diagonals, though the chord across may be longer.
        ([[20, 40], [28, 33], [44, 40], [34, 49]], (24 * 0.75, 17.0880 * 0.75)),
        # A side is the longest: an outline like any other.
        ([[20, 40], [22, 36], [60, 33], [62, 41]], None),
        # A rectangle is a drawn box: its diagonals are no diameters.
        ([[20, 40], [40, 40], [40, 50], [20, 50]], None),
    ],
)
def test_a_closed_contour_of_four_corners_holds_two_diameters(corners, diameters):
    (one,) = judged(structures(STUDY, {"mass": [ring(np.array(corners, float))]}), STUDY)
    if diameters is not None:
        assert (one.long_mm, one.short_mm) == pytest.approx(diameters, abs=1e-3)
        return
    long, short = one.recist.diameters_mm((0.75, 0.75))
    ends = np.asarray(one.recist.points)
    assert abs((ends[1] - ends[0]) @ (ends[3] - ends[2])) < 1e-6 * long * short
