"""SEG: binary, fractional, labelmap, overlapping segments, finer grids, parts, categories."""

from __future__ import annotations

import highdicom as hd
import numpy as np
import pytest
from pydicom.dataset import Dataset
from pydicom.sr.codedict import codes

from retrieval.sources.importers.mask_marks import recist_of_mask
from retrieval.sources.marks.meaning.options import JudgingOptions
from retrieval.sources.marks.verdicts import Verdict
from tests.retrieval.sources.marks.carriers import (
    COLUMNS,
    ROWS,
    SLICES,
    SPACING,
    CtStudy,
    code,
    finding,
    group,
    image_item,
    judged,
    number,
    read,
    report,
    tracking,
)

STUDY = CtStudy()
ABNORMAL = code("49755003", "SCT", "Morphologically Altered Structure")
TISSUE = code("85756007", "SCT", "Tissue")


def images() -> list[Dataset]:
    found = []
    for header in STUDY.headers:
        for keyword in ("PatientName", "PatientBirthDate", "PatientSex", "StudyID"):
            setattr(header, keyword, "")
        for keyword in ("AccessionNumber", "StudyDate", "StudyTime"):
            setattr(header, keyword, "")
        header.BitsAllocated = 16
        header.SliceThickness = 2.5
        found.append(header)
    return found


def described(segment_number, label, category=ABNORMAL, kind=None):
    return hd.seg.SegmentDescription(
        segment_number=segment_number,
        segment_label=label,
        segmented_property_category=hd.sr.CodedConcept.from_dataset(category),
        segmented_property_type=kind or codes.SCT.Nodule,
        algorithm_type="MANUAL",
        tracking_uid=f"1.2.{segment_number}",
        tracking_id=label,
    )


def segmentation(masks, segments, kind="BINARY", **more):
    return hd.seg.Segmentation(
        source_images=images(),
        pixel_array=masks,
        segmentation_type=kind,
        segment_descriptions=segments,
        series_instance_uid="1.2.7",
        series_number=7,
        sop_instance_uid="1.2.8",
        instance_number=1,
        manufacturer="M",
        manufacturer_model_name="M",
        software_versions="1",
        device_serial_number="1",
        **more,
    )


def blob(cx=30, cy=40, cz=4, radius=7.0):
    z, y, x = np.mgrid[:SLICES, :ROWS, :COLUMNS]
    return (x - cx) ** 2 + (y - cy) ** 2 + (2 * (z - cz)) ** 2 <= radius**2


@pytest.mark.parametrize("kind", ["BINARY", "FRACTIONAL", "LABELMAP"])
def test_each_kind_of_segmentation_gives_the_mask_s_own_recist_mark(kind):
    mask = blob()
    pixels = mask.astype(np.float32) * 0.9 if kind == "FRACTIONAL" else mask.astype(np.uint8)
    fields = {"max_fractional_value": 200} if kind == "FRACTIONAL" else {}
    (one,) = judged(segmentation(pixels, [described(1, "n1")], kind, **fields), STUDY)
    assert one.verdict is Verdict.KEPT
    assert one.plane.image.sop_uid == STUDY.sop(4)
    truth = recist_of_mask(mask[4], SPACING)
    np.testing.assert_allclose(one.recist.points, truth.points, atol=1e-5)
    assert one.extent.to_list() == pytest.approx([22.5, 32.5, 37.5, 47.5])
    assert one.mark.tracking_id == "n1"
    assert len(one.mark.others) == int(mask.any(axis=(1, 2)).sum()) - 1


def test_fractions_below_a_half_are_outside():
    pixels = np.maximum(blob(radius=7.0) * 0.9, blob(radius=10.0) * 0.4).astype(np.float32)
    dataset = segmentation(pixels, [described(1, "n")], "FRACTIONAL", max_fractional_value=100)
    (one,) = judged(dataset, STUDY)
    assert one.extent.to_list() == pytest.approx([22.5, 32.5, 37.5, 47.5])


def test_overlapping_segments_are_lesions_each():
    masks = np.stack([blob(), blob(cx=36)], axis=-1).astype(np.uint8)
    found = judged(segmentation(masks, [described(1, "n1"), described(2, "n2")]), STUDY)
    assert [one.extent.x1 for one in found] == pytest.approx([22.5, 28.5])


def test_parts_of_one_segment_are_lesions_each_and_its_tracking_id_names_none():
    mask = blob() | blob(cx=70, cz=3, radius=5)
    found = judged(segmentation(mask.astype(np.uint8), [described(1, "mets")]), STUDY)
    assert [one.verdict for one in found] == [Verdict.KEPT] * 2
    assert {one.mark.tracking_uid for one in found} == {""}
    assert {one.plane.image.sop_uid for one in found} == {STUDY.sop(3), STUDY.sop(4)}


def test_category_decides_and_a_user_s_names():
    masks = np.stack([blob(cx=x, radius=4) for x in (10, 30, 50, 70)], axis=-1).astype(np.uint8)
    segments = [
        described(1, "a"),
        described(2, "Liver", TISSUE, codes.SCT.Liver),
        described(3, "edge", TISSUE, hd.sr.CodedConcept("1", "99X", "Something")),
        described(4, "tumour", TISSUE, hd.sr.CodedConcept("1", "99X", "Something")),
    ]
    dataset = segmentation(masks, segments)
    assert [one.verdict for one in judged(dataset, STUDY)] == [
        Verdict.KEPT,
        Verdict.ANATOMY,
        Verdict.ANATOMY,
        Verdict.KEPT,
    ]
    named = judged(dataset, STUDY, options=JudgingOptions(names=("EDGE", "liv?r")))
    assert [one.verdict for one in named] == [Verdict.KEPT] * 4


def test_a_finer_grid_than_the_image_s_is_placed_by_millimetres():
    fine = 4
    _, y, x = np.mgrid[:1, : ROWS * fine, : COLUMNS * fine]
    mask = ((x / fine - 30.3) ** 2 + (y / fine - 40.1) ** 2 <= 36).astype(np.uint8)
    first = STUDY.position(4) - np.array([0.375, 0.375, 0]) * (1 - 1 / fine)
    dataset = segmentation(
        mask,
        [described(1, "n")],
        pixel_measures=hd.PixelMeasuresSequence([SPACING[1] / fine, SPACING[0] / fine], 2.5),
        plane_orientation=hd.PlaneOrientationSequence("PATIENT", [1, 0, 0, 0, 1, 0]),
        plane_positions=[hd.PlanePositionSequence("PATIENT", first)],
    )
    (one,) = judged(dataset, STUDY)
    x1, _, x2, _ = one.extent.to_list()
    assert one.plane.image.sop_uid == STUDY.sop(4)
    assert (x1 + x2) / 2 == pytest.approx(30.3 - 0.375, abs=0.13)
    assert x2 - x1 == pytest.approx(12, abs=0.3)
    assert one.short_mm == pytest.approx(9, abs=0.3)


def test_a_report_that_measures_a_segment_is_one_lesion_with_it():
    dataset = segmentation(blob().astype(np.uint8), [described(1, "x", TISSUE)])
    segment = image_item("1.2.8", ReferencedSegmentNumber=1)
    segment.ConceptNameCodeSequence = [code("121191", "DCM", "Referenced Segment")]
    told = report(
        STUDY,
        group(
            *tracking("lesion 7", "1.7"),
            finding(("52988006", "SCT", "Lesion")),
            segment,
            number(code("81827009", "SCT", "Diameter"), 1.13, "cm"),
        ),
    )
    (one,) = judged([told, dataset], STUDY)
    assert one.verdict is Verdict.KEPT
    assert len(one.parts) == 2
    assert one.mark.tracking_uid == "1.7"
    (alone,) = judged(told, STUDY)
    assert alone.verdict is Verdict.NO_COORDINATES
    assert "1.2.8" in alone.words


@pytest.mark.parametrize(
    ("stated", "expected", "source"),
    [
        ((11.37, 10.92), (11.37, 10.92), "stated"),
        ((11.37,), (11.37, None), "stated"),
        ((5.2, 4.0), (None, None), "points"),
    ],
)
def test_stated_lengths_of_a_mask_win_where_they_name_the_same_measurement(
    stated, expected, source
):
    dataset = segmentation(blob().astype(np.uint8), [described(1, "x", TISSUE)])
    (alone,) = judged(segmentation(blob().astype(np.uint8), [described(1, "x")]), STUDY)
    segment = image_item("1.2.8", ReferencedSegmentNumber=1)
    segment.ConceptNameCodeSequence = [code("121191", "DCM", "Referenced Segment")]
    axes = (code("103339001", "SCT", "Long Axis"), code("103340004", "SCT", "Short Axis"))
    told = report(
        STUDY,
        group(
            *tracking("lesion 7", "1.7"),
            finding(("52988006", "SCT", "Lesion")),
            segment,
            *(number(name, mm, "mm") for name, mm in zip(axes, stated, strict=False)),
        ),
    )
    (one,) = judged([told, dataset], STUDY)
    assert one.verdict is Verdict.KEPT
    assert one.length_source.value == source
    found = (one.long_mm, one.short_mm)
    ours = (alone.long_mm, alone.short_mm)
    wanted = tuple(mm or own for mm, own in zip((*expected, None), ours, strict=False))
    assert found == pytest.approx(wanted)
    # The four ends say the same as the lengths, about the same middles; the box is the mask's.
    assert one.recist.diameters_mm(SPACING) == pytest.approx(wanted)
    middles = [np.asarray(m.recist.points).reshape(2, 2, 2).mean(axis=1) for m in (one, alone)]
    np.testing.assert_allclose(*middles, atol=1e-5)
    assert one.box == alone.box


def test_empty_segments_and_frames_without_a_place():
    dataset = segmentation(blob().astype(np.uint8), [described(1, "n")])
    for frame in dataset.PerFrameFunctionalGroupsSequence:
        del frame.PlanePositionSequence
    _, (refusal,) = read(dataset)
    assert refusal.verdict is Verdict.NO_COORDINATES
    assert "do not say where" in refusal.words
    masks = np.stack([blob(), np.zeros_like(blob())], axis=-1).astype(np.uint8)
    segments = [described(1, "n"), described(2, "nothing")]
    _, (refusal,) = read(segmentation(masks, segments))
    assert "'nothing' is empty" in refusal.words
