"""Structured reports: read back by highdicom, by our reader and by dcmtk, number for number."""

from __future__ import annotations

import io
import shutil
import subprocess
import zipfile
from dataclasses import replace
from datetime import date

import highdicom.sr as hd
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.sr.codedict import codes as dictionary

from retrieval.lesion import Box, Lesion, LesionType, Recist
from retrieval.measured_size import MeasuredSizes, MeasuredValue
from retrieval.sources.marks.mark import Mark
from retrieval.sources.marks.meaning.judging import judge_marks
from retrieval.sources.marks.planes import PlaneIndex
from retrieval.sources.marks.reading import read_marks
from retrieval.sources.marks.verdicts import Refusal, Verdict
from service.pacs.reports import codes
from service.pacs.reports.files import names_of, write_reports
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


def test_each_study_has_a_report_of_its_own(track):
    reports = reports_of([track])
    latest, earlier = track.lesions
    assert [one.StudyInstanceUID for one in reports] == [earlier.study_uid, latest.study_uid]
    for report, one in zip(reports, (earlier, latest), strict=True):
        assert report.PatientID == "MRN-1"
        assert report.VerificationFlag == "UNVERIFIED"
        (current,) = report.CurrentRequestedProcedureEvidenceSequence
        assert current.StudyInstanceUID == one.study_uid
        assert "PertinentOtherEvidenceSequence" not in report
        (group,) = groups_of(report)
        assert group.tracking_uid == track.uid
    assert len({one.SOPInstanceUID for one in reports}) == 2


def groups_of(report):
    content = hd.ComprehensiveSR.from_dataset(report).content
    return [*content.get_planar_roi_measurement_groups(), *content.get_image_measurement_groups()]


def test_highdicom_reads_the_same_numbers(track, tmp_path):
    contents = []
    for report in reports_of([track]):
        report.save_as(tmp_path / "report.dcm")
        contents.append(hd.srread(tmp_path / "report.dcm").content)
    (boxed,) = contents[0].get_planar_roi_measurement_groups(tracking_uid=track.uid)
    (marked,) = contents[1].get_image_measurement_groups(tracking_uid=track.uid)
    assert not contents[1].get_planar_roi_measurement_groups()
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
    headers = [one.header for one in track.lesions]
    (earlier,), (latest,) = (marks_of(report, *headers) for report in reports_of([track]))
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


def test_measured_values_of_the_mask_go_along_and_are_read_back(track):
    diameters = RECIST.diameters_mm(SPACING)
    of_mark = measured("1.2.3.1", date(2020, 1, 1), **measured_values(sized(*diameters)))
    of_mask = measured(
        "1.2.3.2", date(2020, 6, 1), recist=None, **measured_values(sized(None, None))
    )
    reports = reports_of([replace(track, lesions=(of_mark, of_mask))])
    (marked,), (boxed,) = map(groups_of, reports)
    for group, long_mm, is_estimate in ((marked, diameters[0], False), (boxed, 12.0, True)):
        found = {one.name: one for one in group.get_measurements()}
        assert found[codes.VOLUME].value == 750.5
        assert found[codes.VOLUME].unit == codes.CUBIC_MILLIMETRE
        assert found[codes.VOLUME].derivation == codes.ESTIMATED
        assert found[codes.ATTENUATION].value == 12.0
        assert found[codes.LONG_AXIS].value == pytest.approx(long_mm, abs=1e-9)
        derivation = found[codes.LONG_AXIS].derivation
        assert (derivation is not None) is is_estimate
    headers = [of_mark.header, of_mask.header]
    read = [mark for report in reports for mark in marks_of(report, *headers)]
    assert [one.long_mm for one in read] == pytest.approx([diameters[0], 12.0])
    assert {one.track_uid for one in read} == {track.uid}


def test_dcmtk_reads_it(track, tmp_path):
    for report in reports_of([track]):
        text = dumped(report, tmp_path)
        for word in (
            "Imaging Measurement Report",
            "Lesion Search",
            "Long Axis",
            "research software",
        ):
            assert word in text
        assert track.uid in text
        assert text.count("Measurement Group") == 1


def test_tracks_of_one_study_stand_in_its_one_report(track, tmp_path):
    gone = measured("one", date(2020, 1, 1), box=Box(1, 1, 9, 9), recist=None, long_mm=None)
    other = MeasuredTrack("T2", track_uid(gone), (gone,))
    first, latest = reports_of([track, other])
    assert latest.StudyInstanceUID == track.lesions[0].study_uid
    assert first.StudyInstanceUID == gone.study_uid
    assert {group.tracking_uid for group in groups_of(first)} == {track.uid, other.uid}
    assert [group.tracking_uid for group in groups_of(latest)] == [track.uid]
    assert "T2" in dumped(first, tmp_path)
    assert "T2" not in dumped(latest, tmp_path)
    with pytest.raises(ReportError, match="no lesion track"):
        reports_of([])


def test_stable_reports_are_the_same_each_time(track):
    first, again = (reports_of([track], stable=True) for _ in range(2))
    assert [one.SOPInstanceUID for one in first] == [one.SOPInstanceUID for one in again]
    alone = reports_of([replace(track, lesions=track.lesions[:1])], stable=True)
    # It is the first time point now: not the same report.
    assert alone[0].SOPInstanceUID not in {one.SOPInstanceUID for one in first}


def test_files_are_named_by_their_study_s_date(track, tmp_path):
    undated = measured("three", None)
    twice = measured("four", date(2020, 7, 1))
    lesions = (*track.lesions, undated, twice)
    reports = reports_of([replace(track, lesions=lesions)])
    names = ["report_study_1", "report_2020-01-01", "report_2020-07-01", "report_2020-07-01_2"]
    assert names_of(reports, "report") == [f"{name}.dcm" for name in names]
    studies = [str(one.StudyInstanceUID) for one in reports]
    for out in (tmp_path / "folder", tmp_path / "all.zip", tmp_path / "report.dcm"):
        files = write_reports(reports, out)
        if out.suffix == ".zip":
            with zipfile.ZipFile(out) as archive:
                contents = [io.BytesIO(archive.read(name)) for name in archive.namelist()]
        else:
            assert [one.stem for one in files] == names
            contents = files
        assert [dcmread(one).StudyInstanceUID for one in contents] == studies
    assert write_reports(reports[:1], tmp_path / "one.dcm") == [tmp_path / "one.dcm"]


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
    earlier, report = reports_of([track])
    latest = track.lesions[0].header
    (mark,) = marks_of(report, latest)
    assert mark.study_uid == report.StudyInstanceUID
    marks = [one for each in (earlier, report) for one in read_marks(each)]
    verdicts = {one.verdict for one in judge_marks(marks, PlaneIndex.of([latest]))}
    assert verdicts == {Verdict.KEPT, Verdict.NO_IMAGE}
    report.ContentSequence = []
    (refusal,) = read_marks(report)
    assert isinstance(refusal, Refusal)
    assert refusal.verdict is Verdict.NOT_A_CARRIER
