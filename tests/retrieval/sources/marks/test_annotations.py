"""AIM 4 in XML and JSON: centimetres under "linear", hostile XML, and ePAD's own read."""

from __future__ import annotations

import json
from datetime import date
from pathlib import Path

import numpy as np
import pytest

from retrieval.lesion import Lesion
from retrieval.sources.marks.mark import Mark, MarkKind
from retrieval.sources.marks.meaning.judging import judge_marks
from retrieval.sources.marks.meaning.options import JudgingOptions, SinglesPolicy
from retrieval.sources.marks.planes import ImagePlane, PlaneIndex
from retrieval.sources.marks.reading import read_marks
from retrieval.sources.marks.verdicts import JudgedMark, Verdict
from retrieval.tracking.response.recist import patient_response
from retrieval.tracking.study_order import order_studies
from retrieval.tracking.track_types import PatientTracks, Track
from tests.retrieval.sources.marks.carriers import CtStudy, judged, read

STUDY = CtStudy()
HEAD = '<?xml version="1.0"?><ImageAnnotationCollection xmlns="gme://caCORE.caCORE/4.4/x" '
HEAD += 'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'


def aim_xml(
    markups: str, lengths: str = "", name: str = "Lesion1~sp1~-~sp1~-1~sp1~#FFFFFF"
) -> bytes:
    return f"""{HEAD}<uniqueIdentifier root="1.2.3"/><person><id value="P1"/></person>
      <user><loginName value="reader"/></user><imageAnnotations><ImageAnnotation>
      <uniqueIdentifier root="1.2.4"/><dateTime value="20240131120000"/><name value="{name}"/>
      <calculationEntityCollection>{lengths}</calculationEntityCollection>
      <markupEntityCollection>{markups}</markupEntityCollection>
      <imageReferenceEntityCollection><ImageReferenceEntity xsi:type="DicomImageReferenceEntity">
      <imageStudy><instanceUid root="{STUDY.uid("study")}"/><imageSeries>
      <instanceUid root="{STUDY.uid("series")}"/><imageCollection><Image>
      <sopInstanceUid root="{STUDY.sop(4)}"/></Image></imageCollection></imageSeries></imageStudy>
      </ImageReferenceEntity></imageReferenceEntityCollection>
      </ImageAnnotation></imageAnnotations></ImageAnnotationCollection>""".encode()


def markup(points, shape="TwoDimensionMultiPoint", uid="m"):
    coordinates = "".join(
        f'<TwoDimensionSpatialCoordinate><coordinateIndex value="{n}"/><x value="{x + 0.5}"/>'
        f'<y value="{y + 0.5}"/></TwoDimensionSpatialCoordinate>'
        for n, (x, y) in enumerate(points)
    )
    return (
        f'<MarkupEntity xsi:type="{shape}"><uniqueIdentifier root="{uid}"/>'
        f'<imageReferenceUid root="{STUDY.sop(4)}"/><twoDimensionSpatialCoordinateCollection>'
        f"{coordinates}</twoDimensionSpatialCoordinateCollection></MarkupEntity>"
    )


def length(value, unit="mm", name="Length", code="G-D7FE"):
    return (
        f'<CalculationEntity><uniqueIdentifier root="0"/><typeCode code="{code}">'
        f'<iso:displayName xmlns:iso="uri:iso.org:21090" value="{name}"/></typeCode>'
        f'<calculationResultCollection><CalculationResult xsi:type="CompactCalculationResult">'
        f'<unitOfMeasure value="{unit}"/><value value="{value}"/></CalculationResult>'
        f"</calculationResultCollection></CalculationEntity>"
    )


LONG_LINE, SHORT_LINE = [(20.0, 30.0), (40.0, 30.0)], [(29.0, 24.0), (29.0, 37.0)]


def test_two_lines_of_an_annotation_are_a_recist_mark():
    lines = markup(SHORT_LINE, uid="s") + markup(LONG_LINE, uid="l")
    (one,) = judged(aim_xml(lines), STUDY)
    assert one.verdict is Verdict.KEPT
    assert one.recist.points == ((20, 30), (40, 30), (29, 24), (29, 37))
    assert one.mark.label == one.mark.tracking_id == "Lesion1"
    assert (one.mark.reader, one.mark.patient_id) == ("reader", "P1")
    assert str(one.mark.drawn_on) == "2024-01-31"


def test_a_single_line_is_refused_unless_the_policy_keeps_it_in_centimetres():
    content = aim_xml(markup(LONG_LINE), length(1.5, "linear"))
    (one,) = judged(content, STUDY)
    assert one.verdict is Verdict.SINGLE_LINE
    squares = JudgingOptions(singles=SinglesPolicy.SQUARE)
    (one,) = judged(content, STUDY, options=squares)
    assert one.long_mm == 15
    assert one.length_words == "stated 1.5 linear is cm: points give 15.0 mm; points win"


def test_other_shapes():
    shapes = [
        ("TwoDimensionPolyline", [(20, 20), (40, 22), (36, 34), (24, 32)], MarkKind.POLYGON),
        ("TwoDimensionCircle", [(30, 30), (30, 36)], MarkKind.CIRCLE),
        ("TwoDimensionEllipse", [*LONG_LINE, (30, 24), (30, 36)], MarkKind.ELLIPSE),
        ("TwoDimensionPoint", [(30, 30)], MarkKind.POINT),
        ("TwoDimensionMultiPoint", [(30, 30), (1, 1), (2, 2)], MarkKind.POINTS),
    ]
    for shape, points, kind in shapes:
        marks, refusals = read(aim_xml(markup(points, shape)))
        assert refusals == []
        assert [mark.kind for mark in marks] == [kind]
    _, (refusal,) = read(aim_xml(markup([(1, 1)], "Somewhere")))
    assert refusal.verdict is Verdict.NO_COORDINATES


ENTITIES = """<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">
<!ENTITY e SYSTEM "file:///etc/passwd">]><ImageAnnotationCollection>&b;&e;
</ImageAnnotationCollection>"""


@pytest.mark.parametrize(
    "content",
    [
        ENTITIES.encode(),
        b"<ImageAnnotationCollection><imageAnnotations>",
        b"<a>" * 100_000 + b"ImageAnnotation",
        b'{"ImageAnnotationCollection": ',
        b"[" * 100_000 + b'"ImageAnnotation"',
        b'{"a":' * 90 + b'"ImageAnnotation"' + b"}" * 90,
        b"<ImageAnnotationCollection>\xff\xfe</ImageAnnotationCollection>",
    ],
)
def test_hostile_documents_are_one_refusal(content):
    marks, (refusal,) = read(content)
    assert marks == []
    assert refusal.verdict is Verdict.UNREADABLE


def test_an_entity_never_reaches_a_name():
    content = aim_xml(markup(LONG_LINE)).replace(b'<?xml version="1.0"?>', ENTITIES[:110].encode())
    marks, refusals = read(content)
    assert marks == []
    assert [one.verdict for one in refusals] == [Verdict.UNREADABLE]


def sample_marks(folder: Path) -> dict[str, Mark]:
    found = {}
    for file in sorted(folder.glob("*.json")):
        for one in read_marks(file):
            if isinstance(one, Mark):
                found[one.source_uid] = one
    return found


def test_epad_s_twelve_recist_reads(real_data):
    """The lengths, sums and changes of ePAD's own table, and one spacing a study behind them."""
    folder = real_data / "samples" / "aim_epad_recist"
    golden = json.loads((folder / "patient7_recist.json").read_text())["admin"]
    marks = sample_marks(folder)
    lengths = np.array([[float(one) for one in row[3:]] for row in golden["tTable"]])
    uids = [[cell["aimUID"] for cell in row] for row in golden["tUIDs"]]
    found = [[marks[uid] for uid in row] for row in uids]
    stated = np.array([[mark.lengths[0].value for mark in row] for row in found])
    np.testing.assert_array_equal(stated, lengths)
    np.testing.assert_allclose(stated.sum(axis=0), golden["tSums"])
    assert [[mark.label.lower() for mark in row] for row in found] == [
        [row[0]] * 4 for row in golden["tTable"]
    ]
    drawn = np.array(
        [[np.hypot(*np.diff(mark.points, axis=0)[0]) for mark in row] for row in found]
    )
    spacing = 10 * stated / drawn
    assert np.ptp(spacing, axis=0).max() < 1e-6
    np.testing.assert_allclose(spacing[0], [0.9746, 0.8789, 0.9180, 0.9180], atol=5e-5)


def test_epad_s_reads_on_images_of_their_spacing_give_its_sums_and_categories(real_data):
    """On images as the points say they were: mm, who won, sums, and BL, SD, SD, SD."""
    folder = real_data / "samples" / "aim_epad_recist"
    golden = json.loads((folder / "patient7_recist.json").read_text())["admin"]
    uids = [[cell["aimUID"] for cell in row] for row in golden["tUIDs"]]
    marks = sample_marks(folder)
    planes = PlaneIndex()
    for mark in (marks[uid] for row in uids for uid in row):
        drawn = float(np.hypot(*np.diff(mark.points, axis=0)[0]))
        spacing = 10 * mark.lengths[0].value / drawn
        axes = np.array([1.0, 0, 0, 0, 1, 0])
        planes.add(ImagePlane(mark.image, "CT", 512, 512, (spacing,) * 2, np.zeros(3), axes))
    options = JudgingOptions(singles=SinglesPolicy.SQUARE)
    judged_ones = judge_marks([marks[uid] for row in uids for uid in row], planes, options)
    kept = {one.mark.source_uid: one for one in judged_ones}
    assert {one.verdict for one in kept.values()} == {Verdict.KEPT}
    assert all("linear is cm" in one.length_words for one in kept.values())
    lesions = [[lesion_of(kept[uid], study) for study, uid in enumerate(row)] for row in uids]
    sums = [sum(row[study].long_mm for row in lesions) for study in range(4)]
    np.testing.assert_allclose(sums, 10 * np.array(golden["tSums"]))
    tracks = tuple(Track(f"t{n}", tuple(row)) for n, row in enumerate(lesions))
    order = order_studies([lesion for row in lesions for lesion in row])
    answer = patient_response(PatientTracks("P7", order, tracks, ()))
    categories = ["BL", *(study.category.value for study in answer.studies)]
    assert categories == golden["tResponseCats"] == ["BL", "SD", "SD", "SD"]
    changes = [study.change_from_baseline_pct for study in answer.studies]
    np.testing.assert_allclose(changes, golden["tRRBaseline"][1:], atol=0.01)
    assert {kept[row[0]].lesion_type.value for row in uids} == {"liver", "abdomen"}


def lesion_of(one: JudgedMark, study: int) -> Lesion:
    return Lesion(
        f"{one.mark.label}@{study}",
        "P7",
        str(study),
        "1",
        0,
        one.box,
        one.long_mm,
        lesion_type=one.lesion_type,
        study_date=date(2008, 4 + 2 * study, 3),
    )
