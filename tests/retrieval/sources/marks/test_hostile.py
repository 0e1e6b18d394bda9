"""Bad input: a verdict each, none a wrong lesion, none stops the rest; ten thousand in a minute."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import replace

import numpy as np
import pydicom
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from retrieval.sources.marks.mark import (
    Carrier,
    ImageReference,
    Mark,
    MarkError,
    MarkKind,
    mark_id_of,
)
from retrieval.sources.marks.meaning.judging import judge_marks
from retrieval.sources.marks.meaning.options import JudgingOptions, SinglesPolicy
from retrieval.sources.marks.planes import PlaneIndex
from retrieval.sources.marks.verdicts import Verdict
from tests.retrieval.sources.marks.carriers import (
    LENGTH,
    LONG,
    SHORT,
    SLICES,
    CtStudy,
    contour,
    finding,
    graphic,
    group,
    judged,
    number,
    presentation,
    read,
    report,
    scoord,
    structures,
    tracking,
)

STUDY = CtStudy()
KEY = STUDY.sop(4)
LONG_LINE, SHORT_LINE = [[20.0, 30.0], [40.0, 30.0]], [[29.0, 24.0], [29.0, 37.0]]
GOOD = group(
    number(LONG, 15.0, "mm", scoord("POLYLINE", LONG_LINE, KEY)),
    number(SHORT, 9.75, "mm", scoord("POLYLINE", SHORT_LINE, KEY)),
)
SQUARES = JudgingOptions(singles=SinglesPolicy.SQUARE)


def moved(points, uid=KEY, long_mm=15.0):
    """A mark like the good one with other points or another image."""
    lines = np.asarray(points, float)
    return group(
        number(LONG, long_mm, "mm", scoord("POLYLINE", lines[:2], uid)),
        number(SHORT, 9.75, "mm", scoord("POLYLINE", lines[2:], uid)),
    )


RECIST = np.array([*LONG_LINE, *SHORT_LINE])
NAN = RECIST.copy()
NAN[0, 0] = np.nan
POISON = {
    "NaN": (moved(NAN), {Verdict.NOT_A_NUMBER, Verdict.SINGLE_LINE}),
    "infinite": (moved(RECIST * 1e30), {Verdict.NOT_A_NUMBER}),
    "off the image": (moved(RECIST + np.array([0, 60])), {Verdict.OFF_IMAGE}),
    "swapped axes off the image": (
        moved((RECIST + np.array([50, 0]))[:, ::-1]),
        {Verdict.OFF_IMAGE},
    ),
    "no image": (moved(RECIST, "1.2.3.4"), {Verdict.NO_IMAGE}),
    "no image at all": (moved(RECIST, None), {Verdict.NO_IMAGE}),
    "contradiction": (moved(RECIST, long_mm=60.0), {Verdict.CONTRADICTING_LENGTHS}),
    "parallel": (moved([*LONG_LINE, [20, 32], [40, 33]]), {Verdict.NOT_PERPENDICULAR}),
    "a point": (moved([[20, 30]] * 4), {Verdict.POINT}),
    "empty": (group(*tracking("x" * 5000, "1.2")), {Verdict.NO_COORDINATES}),
    "thousand points": (
        group(scoord("MULTIPOINT", np.random.default_rng(0).uniform(5, 60, (1000, 2)), KEY)),
        {Verdict.POINT},
    ),
    "a million points": (
        group(scoord("POLYLINE", np.ones((150_000, 2)), KEY)),
        {Verdict.TOO_MANY_POINTS},
    ),
    "odd numbers": (group(scoord("POLYLINE", [1, 2, 3], KEY)), {Verdict.NO_COORDINATES}),
    "unknown shape": (group(scoord("BLOB", LONG_LINE, KEY)), {Verdict.NO_COORDINATES}),
    "hostile words": (
        group(
            *tracking("\x00\x1b[31m' OR 1=1;--<script>", "../../etc"),
            finding(("x", "y", "Aorta\n\n\x07")),
            scoord("CIRCLE", [[30, 30], [36, 30]], KEY),
        ),
        {Verdict.ANATOMY},
    ),
    "circle of no radius": (
        group(scoord("CIRCLE", [[30, 30], [30, 30]], KEY)),
        {Verdict.TOO_SMALL},
    ),
    "three point circle": (
        group(scoord("CIRCLE", [[30, 30], [33, 30], [1, 1]], KEY)),
        {Verdict.NO_COORDINATES},
    ),
}


@pytest.mark.parametrize("name", list(POISON))
def test_each_poisoned_mark_has_its_verdict_and_the_good_one_beside_it_stays(name):
    poison, verdicts = POISON[name]
    marks, refusals = read(report(STUDY, poison, GOOD))
    found = list(judge_marks(marks, PlaneIndex.of(STUDY.headers), None))
    kept = [one for one in found if one.verdict.is_kept]
    assert len(kept) == 1
    assert kept[0].recist.points == ((20, 30), (40, 30), (29, 24), (29, 37))
    told = {one.verdict for one in (*found, *refusals)} - {Verdict.KEPT}
    assert told == verdicts
    words = [one.words for one in (*found, *refusals)]
    assert all(len(one) < 500 and one.isprintable() for one in words)


@pytest.mark.parametrize(
    ("study", "words"),
    [
        (CtStudy(image_type=("ORIGINAL", "PRIMARY", "LOCALIZER")), "a scout"),
        (CtStudy(axes=(1, 0, 0, 0, 0, -1)), "a coronal slice"),
        (CtStudy(axes=(0, 1, 0, 0, 0, -1)), "a sagittal slice"),
    ],
)
def test_marks_on_scouts_and_other_planes(study, words):
    (one,) = judged(report(study, GOOD), study)
    assert one.verdict is Verdict.NOT_AXIAL_CT
    assert words in one.words


def test_a_mark_on_another_patient_s_image():
    (one,) = judged(report(replace(STUDY, patient="P2"), GOOD), STUDY)
    assert one.verdict is Verdict.OTHER_PATIENT


def test_another_modality():
    headers = STUDY.headers
    for header in headers:
        header.Modality = "MR"
    marks, _ = read(report(STUDY, GOOD))
    (one,) = judge_marks(marks, PlaneIndex.of(headers))
    assert one.verdict is Verdict.NOT_AXIAL_CT
    assert "MR" in one.words


def test_an_image_without_spacing_leaves_the_word_to_the_stated_lengths():
    headers = STUDY.headers
    for header in headers:
        del header.PixelSpacing
    marks, _ = read(report(STUDY, GOOD))
    (one,) = judge_marks(marks, PlaneIndex.of(headers))
    assert (one.long_mm, one.short_mm, one.length_source) == (15, 9.75, "stated")
    assert "no spacing" in one.length_words


@pytest.mark.parametrize("cut", [0.2, 0.5, 0.8, 0.99])
def test_cut_files(tmp_path, cut):
    dataset = report(STUDY, GOOD, GOOD)
    dataset.save_as(tmp_path / "whole.dcm", enforce_file_format=True)
    content = (tmp_path / "whole.dcm").read_bytes()
    found, refusals = read(content[: int(len(content) * cut)])
    assert len(found) + len(refusals) >= 1
    assert all(np.isfinite(mark.points).all() for mark in found)


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.integers(300, 2500), st.binary(min_size=1, max_size=12))
def test_files_with_random_bytes_in_them_never_raise(whole, at, noise):
    content = whole[:at] + noise + whole[at + len(noise) :]
    marks, _ = read(content)
    list(judge_marks(marks, PlaneIndex.of(STUDY.headers), SQUARES))


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> bytes:
    path = tmp_path_factory.mktemp("whole") / "sr.dcm"
    report(STUDY, GOOD).save_as(path, enforce_file_format=True)
    return path.read_bytes()


def test_deep_trees_and_missing_parts():
    deep = group(scoord("CIRCLE", [[30, 30], [36, 30]], KEY))
    for _ in range(60):
        outer = pydicom.Dataset()
        outer.ValueType, outer.ContentSequence = "CONTAINER", [deep]
        deep = outer
    marks, refusals = read(report(STUDY, deep))
    assert marks == []
    assert [one.verdict for one in refusals] == [Verdict.NOT_A_CARRIER]
    bare = pydicom.Dataset()
    bare.SOPClassUID = "1.2.840.10008.5.1.4.1.1.88.33"
    assert [one.verdict for one in read(bare)[1]] == [Verdict.NOT_A_CARRIER]
    for content in (b"", b"DICM", b"\x00" * 200, b"{}", b"<a/>", b"PK\x03\x04"):
        marks, (refusal,) = read(content)
        assert marks == []
        assert refusal.verdict in {Verdict.NOT_A_CARRIER, Verdict.UNREADABLE}


def test_a_mark_cannot_hold_what_is_no_point():
    mark = read(report(STUDY, GOOD))[0][0]
    for points in (np.array([[np.nan, 1.0]]), np.zeros((3, 3)), np.zeros(4)):
        with pytest.raises(MarkError, match="finite"):
            mark.with_changes(points=points)


def test_every_mark_stands_in_one_verdict_and_ids_do_not_depend_on_the_file_s_name():
    lines = [graphic("POLYLINE", one) for one in (LONG_LINE, SHORT_LINE, [[60, 60], [70, 60]])]
    sources = [
        report(
            STUDY, GOOD, group(number(LENGTH, 3, "mm", scoord("POLYLINE", [[1, 1], [5, 1]], KEY)))
        ),
        presentation(STUDY, 5, GraphicObjectSequence=lines),
        structures(
            STUDY, {"lesion": [contour(STUDY.mm([[9, 9], [20, 9], [9, 20]], 3), STUDY.sop(3))]}
        ),
    ]
    marks, _ = read(*sources)
    again, _ = read(*sources, name="other.dcm")
    assert [one.mark_id for one in marks] == [one.mark_id for one in again]
    found = list(judge_marks([*marks, *again], PlaneIndex.of(STUDY.headers)))
    parts = [part for one in found for part in one.parts]
    assert sorted(parts) == sorted(one.mark_id for one in marks)


def many(count: int) -> tuple[list[Mark], PlaneIndex]:
    """Pairs of lines and singles over many studies."""
    studies = [CtStudy(name=str(n)) for n in range(count // 100)]
    planes = PlaneIndex.of(header for study in studies for header in study.headers)
    marks = []
    for n in range(count):
        study = studies[n % len(studies)]
        image = ImageReference(study.uid("study"), study.uid("series"), study.sop(4))
        place = n // (2 * len(studies))
        middle = np.array([12 + 9 * (place % 9), 12 + 9 * (place // 9 % 7)], float)
        reach = np.array([4, 0] if n // len(studies) % 2 else [0, 3], float)
        marks.append(
            Mark(
                mark_id_of(Carrier.GSPS, study.name, (n,)),
                Carrier.GSPS,
                MarkKind.LINE,
                image,
                points=np.stack([middle - reach, middle + reach]),
                source_uid=study.name,
            )
        )
    return marks, planes


def test_ten_thousand_marks_in_a_minute():
    marks, planes = many(10_000)
    start = time.perf_counter()
    verdicts = {one.verdict for one in judge_marks(marks, planes)}
    assert time.perf_counter() - start < 60
    assert verdicts == {Verdict.KEPT}


def test_judging_takes_little_memory_a_mark():
    marks, planes = many(1_000)
    tracemalloc.start()
    count = sum(1 for _ in judge_marks(marks, planes))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert count == 500
    assert peak / len(marks) < 20_000


def test_many_lines_on_one_image_are_refused_and_not_compared_one_by_one():
    image = read(report(STUDY, GOOD))[0][0].image
    lines = [
        Mark(f"m{n}", Carrier.GSPS, MarkKind.LINE, image, points=RECIST[:2] + n / 100)
        for n in range(2000)
    ]
    start = time.perf_counter()
    found = list(judge_marks(lines, PlaneIndex.of(STUDY.headers)))
    assert time.perf_counter() - start < 10
    assert {one.verdict for one in found} == {Verdict.TOO_MANY_POINTS}
    assert len(STUDY.headers) == SLICES
