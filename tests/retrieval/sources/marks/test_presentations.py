"""GSPS: PIXEL, MATRIX and DISPLAY units under rotation and flip, compound graphics, texts."""

from __future__ import annotations

import shutil
import subprocess

import numpy as np
import pydicom
import pytest

from retrieval.sources.marks.mark import MarkKind
from retrieval.sources.marks.verdicts import Verdict
from tests.retrieval.sources.marks.carriers import (
    COLUMNS,
    ROWS,
    CtStudy,
    graphic,
    item,
    judged,
    presentation,
    read,
)

STUDY = CtStudy()
LONG_LINE, SHORT_LINE = [[20.0, 30.0], [40.0, 30.0]], [[29.0, 24.0], [29.0, 37.0]]


def test_two_lines_of_a_layer_pair_by_the_rule():
    other = [[60.0, 50.0], [80.0, 50.0]]
    dataset = presentation(
        STUDY,
        4,
        GraphicObjectSequence=[graphic("POLYLINE", one) for one in (SHORT_LINE, other, LONG_LINE)],
    )
    pair, single = judged(dataset, STUDY)
    assert pair.verdict is Verdict.KEPT
    assert pair.recist.points == ((20, 30), (40, 30), (29, 24), (29, 37))
    assert pair.box.to_list() == [15, 19, 45, 42]
    assert single.verdict is Verdict.SINGLE_LINE


def test_lines_of_one_graphic_group_are_one_mark_whatever_their_angle():
    slanted = [[25.0, 26.0], [35.0, 34.0]]
    loose = [graphic("POLYLINE", one) for one in (LONG_LINE, slanted)]
    grouped = [graphic("POLYLINE", one, GraphicGroupID=3) for one in (LONG_LINE, slanted)]
    found = judged(presentation(STUDY, 4, GraphicObjectSequence=loose), STUDY)
    assert [one.verdict for one in found] == [Verdict.NOT_PERPENDICULAR] * 2
    (one,) = judged(presentation(STUDY, 4, GraphicObjectSequence=grouped), STUDY)
    assert one.verdict is Verdict.KEPT
    assert one.is_doubtful
    assert "39 degrees" in one.words


@pytest.mark.parametrize("flip", ["N", "Y"])
@pytest.mark.parametrize("rotation", [0, 90, 180, 270])
@pytest.mark.parametrize("area", [(1, 1, COLUMNS, ROWS), (11, 21, 70, 60)])
def test_display_units_are_undone_as_numpy_turns_and_flips_the_picture(rotation, flip, area):
    """Oracle: a bright pixel in a picture that is cropped, turned and flipped as it is shown."""
    x, y = 42, 33
    picture = np.zeros((ROWS, COLUMNS))
    picture[y, x] = 1
    left, top, right, bottom = area
    shown = np.rot90(picture[top - 1 : bottom, left - 1 : right], k=-rotation // 90)
    shown = shown[:, ::-1] if flip == "Y" else shown
    (row,), (column,) = np.nonzero(shown)
    fraction = [(column + 0.5) / shown.shape[1], (row + 0.5) / shown.shape[0]]
    dataset = presentation(
        STUDY, 4, GraphicObjectSequence=[graphic("POINT", [fraction], "DISPLAY")]
    )
    dataset.ImageRotation, dataset.ImageHorizontalFlip = rotation, flip
    dataset.DisplayedAreaSelectionSequence = [
        item(
            DisplayedAreaTopLeftHandCorner=[left, top],
            DisplayedAreaBottomRightHandCorner=[right, bottom],
        )
    ]
    marks, refusals = read(dataset)
    assert refusals == []
    np.testing.assert_allclose(marks[0].points, [[x, y]], atol=1e-5)


def test_pixel_and_matrix_units_do_not_turn_with_the_picture():
    objects = [
        graphic("POINT", [[42, 33]]),
        graphic("POINT", [[42.5, 33.5]], "MATRIX"),
    ]
    dataset = presentation(STUDY, 4, GraphicObjectSequence=objects)
    dataset.ImageRotation, dataset.ImageHorizontalFlip = 90, "Y"
    marks, _ = read(dataset)
    assert [mark.points.tolist() for mark in marks] == [[[42, 33]], [[42, 33]]]


def compound(shape, points, **fields):
    data = (np.asarray(points, float) + 0.5).ravel().tolist()
    return item(CompoundGraphicType=shape, CompoundGraphicUnits="PIXEL", GraphicData=data, **fields)


def test_compound_graphics():
    objects = [
        compound("RULER", LONG_LINE),
        compound("RULER", SHORT_LINE),
        compound("ARROW", [[5, 5], [12, 12]]),
        compound("RECTANGLE", [[60, 40], [80, 60]]),
        compound("ELLIPSE", [[10, 50], [30, 62]], RotationAngle=90.0),
        compound("CUTLINE", LONG_LINE),
    ]
    dataset = presentation(STUDY, 4, CompoundGraphicSequence=objects)
    marks, (refusal,) = read(dataset)
    assert [mark.kind for mark in marks] == ["line", "line", "arrow", "box", "ellipse"]
    assert marks[2].points.tolist() == [[12, 12], [5, 5]]
    assert refusal.verdict is Verdict.NO_COORDINATES
    found = judged(dataset, STUDY)
    assert found[0].recist.points == ((20, 30), (40, 30), (29, 24), (29, 37))
    assert found[2].extent.to_list() == [60, 40, 80, 60]
    # Turned by a quarter about its middle: 20 wide and 12 high become 12 wide and 20 high.
    assert found[3].extent.to_list() == pytest.approx([14, 46, 26, 66])


def text_object(words, anchor=None):
    fields = {"UnformattedTextValue": words}
    if anchor is not None:
        fields |= {"AnchorPoint": [one + 0.5 for one in anchor]}
        fields |= {"AnchorPointAnnotationUnits": "PIXEL"}
    return item(**fields)


def test_words_beside_a_mark_are_its_lengths_and_others_wait_for_the_detector():
    lines = [graphic("POLYLINE", one) for one in (LONG_LINE, SHORT_LINE)]
    texts = [
        text_object("15 x 10 mm", (50, 30)),
        text_object("33 x 20 mm", (10, 10)),
        text_object("artefact"),
    ]
    dataset = presentation(STUDY, 4, GraphicObjectSequence=lines, TextObjectSequence=texts)
    pair, unmatched, wordless = judged(dataset, STUDY)
    assert len(pair.parts) == 3
    assert unmatched.verdict is Verdict.TEXT
    assert wordless.verdict is Verdict.TEXT
    alone = presentation(STUDY, 5, name="b", TextObjectSequence=texts[:1])
    (one,) = judged(alone, STUDY)
    assert one.verdict is Verdict.PROPOSAL_NEEDED
    assert (one.long_mm, one.short_mm, one.point) == (15, 10, (50, 30))


def test_graphics_of_all_images_or_without_an_area_are_refused():
    dataset = presentation(STUDY, 4, GraphicObjectSequence=[graphic("POLYLINE", LONG_LINE)])
    del dataset.GraphicAnnotationSequence[0].ReferencedImageSequence
    two = [item(ReferencedSOPInstanceUID=STUDY.sop(n)) for n in (3, 4)]
    dataset.ReferencedSeriesSequence[0].ReferencedImageSequence = two
    _, (refusal,) = read(dataset)
    assert refusal.verdict is Verdict.NO_IMAGE
    display = presentation(
        STUDY, 4, GraphicObjectSequence=[graphic("POINT", [[0.5, 0.5]], "DISPLAY")]
    )
    _, (refusal,) = read(display)
    assert "displayed area" in refusal.words


def test_a_filled_path_and_a_circle_are_areas():
    objects = [
        graphic("POLYLINE", [[20, 20], [40, 22], [30, 34]], GraphicFilled="Y"),
        graphic("CIRCLE", [[30, 30], [30, 36]], GraphicFilled="N"),
        graphic("INTERPOLATED", [[20, 20], [40, 22], [30, 34], [20, 20]]),
    ]
    found = judged(presentation(STUDY, 4, GraphicObjectSequence=objects), STUDY)
    assert [one.mark.kind for one in found] == [
        MarkKind.POLYGON,
        MarkKind.CIRCLE,
        MarkKind.POLYGON,
    ]
    assert found[1].extent.to_list() == [24, 24, 36, 36]


def test_a_presentation_that_dcmtk_made(tmp_path):
    """dcmpsmk writes the state, dcmodify the graphics, as a reader without our help would."""
    if shutil.which("dcmpsmk") is None:
        pytest.skip("dcmtk is not installed: apt-get install dcmtk")
    image = STUDY.header(4)
    image.file_meta = pydicom.dataset.FileMetaDataset()
    image.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
    image.BitsAllocated = image.BitsStored = 16
    image.HighBit, image.PixelRepresentation = 15, 0
    image.RescaleSlope, image.RescaleIntercept = 1, -1024
    image.PixelData = bytes(ROWS * COLUMNS * 2)
    for keyword in ("PatientName", "StudyID", "StudyDate", "StudyTime", "AccessionNumber"):
        setattr(image, keyword, "")
    image.PatientBirthDate = image.PatientSex = image.ReferringPhysicianName = ""
    image.Manufacturer = ""
    image.save_as(tmp_path / "ct.dcm", enforce_file_format=True)
    made = tmp_path / "pr.dcm"
    subprocess.run(["dcmpsmk", str(tmp_path / "ct.dcm"), str(made)], check=True)
    item_of = "(0070,0001)[0].(0070,0009)"
    edits = [f"(0070,0001)[0].(0008,1140)[0].(0008,1155)={image.SOPInstanceUID}"]
    edits.insert(0, f"(0070,0001)[0].(0008,1140)[0].(0008,1150)={image.SOPClassUID}")
    for n, line in enumerate((LONG_LINE, SHORT_LINE)):
        numbers = "\\".join(str(one + 0.5) for point in line for one in point)
        edits += [
            f"{item_of}[{n}].(0070,0005)=PIXEL",
            f"{item_of}[{n}].(0070,0020)=2",
            f"{item_of}[{n}].(0070,0021)=2",
            f"{item_of}[{n}].(0070,0022)={numbers}",
            f"{item_of}[{n}].(0070,0023)=POLYLINE",
            f"{item_of}[{n}].(0070,0024)=N",
        ]
    command = ["dcmodify", "-nb", *(part for edit in edits for part in ("-i", edit)), str(made)]
    subprocess.run(command, check=True)
    (one,) = judged(made, STUDY)
    assert one.verdict is Verdict.KEPT
    assert one.recist.points == ((20, 30), (40, 30), (29, 24), (29, 37))
