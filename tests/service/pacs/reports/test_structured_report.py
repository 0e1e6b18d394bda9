"""Structured reports: read back by highdicom, by our reader and by dcmtk, number for number."""

from __future__ import annotations

import shutil
import subprocess
from dataclasses import replace
from datetime import date

import highdicom.sr as hd
import numpy as np
import pytest
from pydicom.sr.codedict import codes as dictionary

from retrieval.lesion import Box, Lesion, LesionType, Recist
from retrieval.measured_size import MeasuredSizes, MeasuredValue
from retrieval.sources.marks.mark import Mark
from retrieval.sources.marks.meaning.judging import judge_marks
from retrieval.sources.marks.planes import PlaneIndex
from retrieval.sources.marks.reading import read_marks
from retrieval.sources.marks.verdicts import Refusal, Verdict
from service.pacs.reports import codes
from service.pacs.reports.stored import stored_mark
from service.pacs.reports.writing import (
    Measured,
    MeasuredTrack,
    ReportError,
    measured_values,
    reports_of,
    track_uid,
)
from tests.service.dicom_samples import SeriesLabels, ct_series

RECIST = Recist(((10.0, 20.5), (30.0, 20.5), (18.0, 14.0), (18.0, 26.25)))
SPACING = (0.7, 0.8)


def header(study, day, *, position=1):
    labels = SeriesLabels("MRN-1", study, day)
    image = ct_series(np.zeros((3, 64, 64)), labels, spacing_mm_px=SPACING, interval_mm=2.5)[
        position
    ]
    del image.PixelData
    return image


def measured(study, day, **changes):
    long_mm, short_mm = RECIST.diameters_mm(SPACING)
    fields = {
        "header": header(study, day),
        "box": RECIST.box(),
        "lesion_type": LesionType.LIVER,
        "recist": RECIST,
        "long_mm": long_mm,
        "short_mm": short_mm,
    }
    return Measured(**{**fields, **changes})


def marks_of(report, *headers):
    """What the product reads back, on the images of the headers."""
    marks = [one for one in read_marks(report) if isinstance(one, Mark)]
    judged = judge_marks(marks, PlaneIndex.of(headers))
    return [mark for mark in map(stored_mark, judged) if mark is not None]


@pytest.fixture
def track():
    first = measured("one", date(2020, 1, 1), long_mm=12.5, recist=None)
    second = measured("two", date(2020, 7, 1))
    return MeasuredTrack("T1", track_uid(first), (second, first))


def dumped(report, tmp_path):
    """What dcmtk makes of the report; it must find nothing wrong."""
    if shutil.which("dsrdump") is None:
        pytest.skip("dcmtk is not installed: apt-get install dcmtk")
    path = tmp_path / "report.dcm"
    report.save_as(path, enforce_file_format=True)
    done = subprocess.run(
        ["dsrdump", "+Pl", str(path)], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stderr == ""
    return done.stdout


def test_the_report_belongs_to_the_latest_study_and_names_the_earlier(track):
    (report,) = reports_of([track])
    latest = track.lesions[0].header
    assert report.StudyInstanceUID == latest.StudyInstanceUID
    assert report.PatientID == "MRN-1"
    assert report.VerificationFlag == "UNVERIFIED"
    (current,) = report.CurrentRequestedProcedureEvidenceSequence
    (earlier,) = report.PertinentOtherEvidenceSequence
    assert current.StudyInstanceUID == latest.StudyInstanceUID
    assert earlier.StudyInstanceUID == track.lesions[1].study_uid


def test_highdicom_reads_the_same_numbers(track, tmp_path):
    (report,) = reports_of([track])
    report.save_as(tmp_path / "report.dcm")
    content = hd.srread(tmp_path / "report.dcm").content
    (boxed,) = content.get_planar_roi_measurement_groups(tracking_uid=track.uid)
    (marked,) = content.get_image_measurement_groups(tracking_uid=track.uid)
    latest, earlier = track.lesions
    for group, one in ((boxed, earlier), (marked, latest)):
        assert group.tracking_identifier == "T1"
        assert group.finding_type == codes.LESION
        assert group.finding_sites[0].value == dictionary.SCT.Liver
        values = {m.name: (m.value, m.unit.value) for m in group.get_measurements()}
        assert values[codes.LONG_AXIS] == (pytest.approx(one.long_mm, abs=1e-9), "mm")
        assert values[codes.SHORT_AXIS] == (pytest.approx(one.short_mm, abs=1e-9), "mm")
    corners = boxed.roi.value - 0.5
    np.testing.assert_allclose(corners.min(axis=0), earlier.box.to_list()[:2])
    np.testing.assert_allclose(corners.max(axis=0), earlier.box.to_list()[2:])
    ends = marked.get_measurements(name=codes.LONG_AXIS)[0].referenced_coordinates[0].value
    np.testing.assert_allclose(ends - 0.5, RECIST.points[:2])


def test_our_reader_gets_back_what_was_written(track):
    (report,) = reports_of([track])
    earlier, latest = marks_of(report, *(one.header for one in track.lesions))
    assert latest.recist == RECIST
    assert latest.box == earlier.box == RECIST.box()
    assert earlier.recist is None
    assert earlier.long_mm == 12.5
    assert latest.long_mm == pytest.approx(RECIST.diameters_mm(SPACING)[0], abs=1e-9)
    assert latest.lesion_type is LesionType.LIVER
    assert {earlier.track_uid, latest.track_uid} == {track.uid}
    assert latest.sop_uid == track.lesions[0].header.SOPInstanceUID
    assert earlier.series_uid == track.lesions[1].header.SeriesInstanceUID


def sized(long_mm, short_mm):
    value = MeasuredValue(12.0, None, None)
    sizes = MeasuredSizes(
        value,
        MeasuredValue(9.0, None, None),
        MeasuredValue(750.5, None, None),
        value,
        value,
        "network",
    )
    return Lesion("a", "p", "s", "r", 1, RECIST.box(), long_mm, short_mm, measured=sizes)


def test_measured_values_of_the_mask_go_along_and_are_read_back(track, tmp_path):
    diameters = RECIST.diameters_mm(SPACING)
    of_mark = measured("1.2.3.1", date(2020, 1, 1), **measured_values(sized(*diameters)))
    of_mask = measured(
        "1.2.3.2", date(2020, 6, 1), recist=None, **measured_values(sized(None, None))
    )
    (report,) = reports_of([replace(track, lesions=(of_mark, of_mask))])
    report.save_as(tmp_path / "report.dcm")
    content = hd.srread(tmp_path / "report.dcm").content
    (marked,) = content.get_image_measurement_groups(tracking_uid=track.uid)
    (boxed,) = content.get_planar_roi_measurement_groups(tracking_uid=track.uid)
    for group, long_mm, is_estimate in ((marked, diameters[0], False), (boxed, 12.0, True)):
        found = {one.name: one for one in group.get_measurements()}
        assert found[codes.VOLUME].value == 750.5
        assert found[codes.VOLUME].unit == codes.CUBIC_MILLIMETRE
        assert found[codes.VOLUME].derivation == codes.ESTIMATED
        assert found[codes.ATTENUATION].value == 12.0
        assert found[codes.LONG_AXIS].value == pytest.approx(long_mm, abs=1e-9)
        derivation = found[codes.LONG_AXIS].derivation
        assert (derivation is not None) is is_estimate
    first, second = marks_of(report, of_mark.header, of_mask.header)
    assert sorted([first.long_mm, second.long_mm]) == pytest.approx([12.0, diameters[0]])
    assert {first.track_uid, second.track_uid} == {track.uid}


def test_dcmtk_reads_it(track, tmp_path):
    (report,) = reports_of([track])
    text = dumped(report, tmp_path)
    for word in ("Imaging Measurement Report", "Lesion Search", "Long Axis", "research software"):
        assert word in text
    assert track.uid in text
    assert text.count("Measurement Group") == 2


def test_one_report_for_each_latest_study(track, tmp_path):
    gone = measured("one", date(2020, 1, 1), box=Box(1, 1, 9, 9), recist=None, long_mm=None)
    other = MeasuredTrack("T2", track_uid(gone), (gone,))
    latest, first = reports_of([track, other])
    assert latest.StudyInstanceUID == track.lesions[0].study_uid
    assert first.StudyInstanceUID == gone.study_uid
    assert "T2" in dumped(first, tmp_path)
    with pytest.raises(ReportError, match="no lesion track"):
        reports_of([])


@pytest.mark.parametrize("lesion_type", list(LesionType))
def test_every_lesion_type_has_its_site(lesion_type, tmp_path):
    one = measured("one", date(2020, 1, 1), lesion_type=lesion_type)
    (report,) = reports_of([MeasuredTrack("T1", track_uid(one), (one,))])
    (mark,) = marks_of(report, one.header)
    assert mark.lesion_type is lesion_type


def test_an_estimate_says_so_and_a_box_alone_measures_nothing(tmp_path):
    guess = measured("one", date(2020, 1, 1), recist=None, short_mm=None, estimated=True)
    (report,) = reports_of([MeasuredTrack("T1", track_uid(guess), (guess,))])
    assert "Estimated" in dumped(report, tmp_path)
    bare = measured("one", date(2020, 1, 1), recist=None, short_mm=None, long_mm=None)
    (report,) = reports_of([MeasuredTrack("T1", track_uid(bare), (bare,))])
    assert "Long Axis" not in dumped(report, tmp_path)


def test_the_long_axis_is_the_longer_line_whichever_was_drawn_first():
    swapped = Recist((*RECIST.points[2:], *RECIST.points[:2]))
    one = measured("one", date(2020, 1, 1), recist=swapped)
    (report,) = reports_of([MeasuredTrack("T1", track_uid(one), (one,))])
    (mark,) = marks_of(report, one.header)
    assert mark.recist == RECIST


def test_marks_whose_image_is_missing_and_a_report_without_marks_are_told(track):
    (report,) = reports_of([track])
    latest = track.lesions[0].header
    (mark,) = marks_of(report, latest)
    assert mark.study_uid == report.StudyInstanceUID
    marks = [one for one in read_marks(report) if isinstance(one, Mark)]
    verdicts = {one.verdict for one in judge_marks(marks, PlaneIndex.of([latest]))}
    assert verdicts == {Verdict.KEPT, Verdict.NO_IMAGE}
    report.ContentSequence = []
    (refusal,) = read_marks(report)
    assert isinstance(refusal, Refusal)
    assert refusal.verdict is Verdict.NOT_A_CARRIER
