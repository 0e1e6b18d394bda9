"""Files of other tools: what each of their marks is, or why it is none."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pydicom
import pytest

from retrieval.lesion import LesionType
from retrieval.sources.marks.mark import Mark
from retrieval.sources.marks.meaning.judging import judge_marks
from retrieval.sources.marks.meaning.options import JudgingOptions, SinglesPolicy
from retrieval.sources.marks.planes import PlaneIndex
from retrieval.sources.marks.reading import read_marks
from retrieval.sources.marks.verdicts import JudgedMark, Verdict

SQUARES = JudgingOptions(singles=SinglesPolicy.SQUARE)


def judged_folder(folder: Path, options: JudgingOptions | None = None) -> list[JudgedMark]:
    files = sorted(file for file in folder.rglob("*.dcm") if file.is_file())
    planes = PlaneIndex.of(pydicom.dcmread(file, stop_before_pixels=True) for file in files)
    marks = [one for file in files for one in read_marks(file) if isinstance(one, Mark)]
    return list(judge_marks(marks, planes, options))


def test_the_tumour_and_the_nodes_of_4d_lung(real_data):
    found = judged_folder(real_data / "samples" / "rtstruct_4dlung")
    verdicts = Counter((one.mark.label, one.verdict) for one in found)
    assert verdicts == {
        ("Tumor_c40", Verdict.KEPT): 1,
        # Two nodes on the slices that are here; the third's largest contour is on none of them.
        ("LN_c40", Verdict.KEPT): 2,
        ("LN_c40", Verdict.NO_IMAGE): 1,
        ("Carina_c40", Verdict.ANATOMY): 1,
        ("Vertebra_c40", Verdict.ANATOMY): 1,
    }
    tumour, node, _ = (one for one in found if one.verdict is Verdict.KEPT)
    assert tumour.long_mm == pytest.approx(83.1, abs=0.05)
    assert tumour.plane.position[2] == -928.0
    assert node.long_mm == pytest.approx(21.8, abs=0.05)
    assert node.plane.position[2] == -913.0


def test_highdicom_s_and_dcmqi_s_reports(real_data):
    found = judged_folder(real_data / "samples" / "sr_tid1500")
    by_words = Counter((one.mark.carrier.value, one.verdict) for one in found)
    assert by_words == {
        # A spinal cord, bones and a spine; and a neoplasm on PET images that are not there, which
        # report and segment tell together.
        ("sr", Verdict.ANATOMY): 1,
        ("seg", Verdict.ANATOMY): 5,
        ("seg", Verdict.NO_IMAGE): 1,
    }
    (neoplasm,) = (one for one in found if one.verdict is Verdict.NO_IMAGE)
    assert len(neoplasm.parts) == 2
    assert neoplasm.mark.tracking_id == "primary tumor"


def test_dcmqi_s_liver_is_no_lesion_unless_it_is_named(real_data):
    folder = real_data / "samples" / "seg_dcmqi_liver"
    kept = [one for one in judged_folder(folder) if one.verdict is Verdict.KEPT]
    assert [one.mark.label for one in kept] == ["LIGHT_BLUE"]
    named = judged_folder(folder, JudgingOptions(names=("liver",)))
    livers = [one for one in named if one.mark.label == "Liver" and one.verdict is Verdict.KEPT]
    largest = max(livers, key=lambda one: one.long_mm)
    assert largest.lesion_type is LesionType.LIVER
    assert largest.extent.to_list() == pytest.approx([78.5, 144.5, 350.5, 366.5])
    # Specks of its mask are no lesions.
    assert len(livers) == 1


def test_structure_sets_without_their_images(real_data):
    found = judged_folder(real_data / "samples" / "rtstruct_other")
    assert {one.verdict for one in found} == {Verdict.NOT_A_LESION}
    named = judged_folder(
        real_data / "samples" / "rtstruct_other", JudgingOptions(names=("ROI-*",))
    )
    assert {one.verdict for one in named} == {Verdict.NO_IMAGE}


def test_a_circle_whatever_its_point(real_data):
    found = judged_folder(real_data / "cases" / "sr_circle")
    for one in found:
        assert one.extent.to_list() == pytest.approx([13.5, 13.5, 25.5, 25.5], abs=0.01)
        assert one.long_mm == pytest.approx(12, abs=0.01)
    assert len(found) == 2


def test_single_lengths(real_data):
    for one in judged_folder(real_data / "cases" / "sr_length_line"):
        assert one.verdict is Verdict.SINGLE_LINE
    for one in judged_folder(real_data / "cases" / "sr_length_line", SQUARES):
        assert one.long_mm == pytest.approx(12, abs=0.01)
        assert (one.extent.width, one.extent.height) == pytest.approx((12, 12), abs=0.01)


def test_an_ellipsoid_in_millimetres(real_data):
    (one,) = judged_folder(real_data / "cases" / "sr_scoord3d_ellipsoid")
    assert one.extent.to_list() == pytest.approx([14, 8, 26, 20])
    assert one.plane.position[2] == 20


def test_a_dose_report_beside_slices(real_data):
    (one,) = judged_folder(real_data / "cases" / "report_in_folder")
    assert one.verdict is Verdict.ANATOMY


def test_epad_s_segment_and_the_annotation_of_another(real_data):
    folder = real_data / "samples" / "aim_epad_recist"
    marks = [one for one in read_marks(folder / "testseg.dcm") if isinstance(one, Mark)]
    marks += [one for one in read_marks(folder / "seg_sample_aim.json") if isinstance(one, Mark)]
    mass, annotation = judge_marks(marks, PlaneIndex())
    assert (mass.mark.label, mass.verdict) == ("Mass", Verdict.NO_IMAGE)
    # The annotation names a segmentation that is not among the files.
    assert annotation.verdict is Verdict.NO_COORDINATES
