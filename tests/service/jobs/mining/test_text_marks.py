"""Words that draw nothing: the detector's box of that size becomes the lesion, or none does."""

from __future__ import annotations

import csv
import json
from datetime import date

import pytest

from retrieval.detection.proposals import Proposal, estimated_long_mm
from retrieval.lesion import Box
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.marks.mark import Carrier, ImageReference, Mark, MarkKind
from retrieval.sources.marks.verdicts import JudgedMark, Verdict
from retrieval.sources.mining.proposing import NoProposalError, SizedBox, chosen, with_box
from service.cli import main
from tests.service.dicom_samples import write_files
from tests.service.jobs.mining.archive_as_dicom import series_with_pixels
from tests.service.jobs.mining.hospital import SPACING_MM, Study
from tests.service.jobs.mining.words import text_on_image, text_report

LESION = Box(36.0, 41.0, 64.0, 60.0)
"""About the bright lesion of the hospital's studies, 5 px around it: 18 x 9 px of 0.8 mm."""


def words_of(long_mm, short_mm=None, point=None):
    mark = Mark("sr-1", Carrier.SR, MarkKind.TEXT, ImageReference("1.2", "1.3", "1.4"))
    return JudgedMark(
        mark, Verdict.PROPOSAL_NEEDED, long_mm=long_mm, short_mm=short_mm, point=point
    )


def sized(x, y, width, height, score):
    box = Box(x - 5, y - 5, x + width + 5, y + height + 5)
    return SizedBox(box, score, estimated_long_mm(box, (1.0, 1.0)))


@pytest.mark.parametrize(
    ("words", "boxes", "expected"),
    [
        # One box of that size, a likelier one of another size.
        (words_of(20, 12), [sized(0, 0, 60, 50, 0.9), sized(100, 100, 19, 13, 0.6)], 1),
        (words_of(20, 12), [sized(0, 0, 60, 50, 0.9), sized(100, 100, 19, 13, 0.4)], "no"),
        # Two of that size, one three times as likely.
        (words_of(20, 12), [sized(0, 0, 19, 13, 0.7), sized(100, 100, 19, 13, 0.2)], 0),
        (words_of(20, 12), [sized(0, 0, 19, 13, 0.6), sized(100, 100, 19, 13, 0.3)], "several"),
        # The same lesion boxed twice is one.
        (words_of(20, 12), [sized(0, 0, 19, 13, 0.6), sized(1, 1, 19, 13, 0.5)], 0),
        # The place tells which: near one and far from the other; between both it does not.
        (
            words_of(20, 12, (102.0, 94.0)),
            [sized(60, 60, 19, 13, 0.6), sized(100, 100, 19, 13, 0.5)],
            1,
        ),
        (
            words_of(20, 12, (90.0, 88.0)),
            [sized(60, 60, 19, 13, 0.6), sized(100, 100, 19, 13, 0.5)],
            "several",
        ),
        (words_of(20, 12, (300.0, 300.0)), [sized(0, 0, 19, 13, 0.9)], "no"),
        # Words on a box vouch for it; one that stands off must be likely of itself.
        (words_of(20, 12, (9.0, 6.0)), [sized(0, 0, 19, 13, 0.12)], 0),
        (words_of(20, 12, (22.0, 6.0)), [sized(0, 0, 19, 13, 0.12)], 0),
        (words_of(20, 12, (30.0, 6.0)), [sized(0, 0, 19, 13, 0.4)], "no"),
        (words_of(20, 12, (30.0, 6.0)), [sized(0, 0, 19, 13, 0.6)], 0),
        # Such a one is no rival either.
        (
            words_of(20, 12, (9.0, 30.0)),
            [sized(0, 0, 19, 13, 0.6), sized(0, 45, 19, 13, 0.4)],
            0,
        ),
        (words_of(20, 12), [sized(0, 0, 60, 50, 0.9)], "no"),
        # As long, but far too narrow.
        (words_of(30, 25), [sized(0, 0, 30, 6, 0.9)], "no"),
        (words_of(20), [sized(0, 0, 19, 13, 0.04)], "no"),
        (words_of(20), [], "no"),
    ],
)
def test_which_box_is_meant(words, boxes, expected):
    if isinstance(expected, int):
        assert chosen(words, boxes, (1.0, 1.0)) is boxes[expected]
        return
    with pytest.raises(NoProposalError) as none:
        chosen(words, boxes, (1.0, 1.0))
    wanted = {"several": Verdict.SEVERAL_PROPOSALS, "no": Verdict.NO_PROPOSAL}[expected]
    assert none.value.verdict is wanted
    assert "20 mm are stated" in str(none.value) or "30 mm are stated" in str(none.value)


def test_the_box_is_the_detector_s_and_the_diameters_are_the_reader_s():
    found = sized(100, 50, 19, 13, 0.5)
    judged = with_box(words_of(21.0, 12.0), found, (0.5, 0.8))
    assert judged.verdict is Verdict.PROPOSED
    assert judged.box.to_list() == pytest.approx(found.box.to_list())
    assert judged.recist.diameters_mm((0.5, 0.8)) == pytest.approx((21.0, 12.0))
    assert judged.is_doubtful
    assert judged.proposal_score == 0.5


class FixedDetector:
    """Proposes the same boxes on every slice."""

    name, fingerprint, half_depth_mm = "fixed", "fixed", 5.0

    def __init__(self, boxes):
        self.boxes = boxes
        self.asked = 0

    def detect(self, slab):
        self.asked += 1
        return [
            Proposal(box, score, estimated_long_mm(box, SPACING_MM)) for box, score in self.boxes
        ]


def mined(capsys, *words):
    assert main(["mine", *map(str, words), "--json"]) == 0, capsys.readouterr().err
    return json.loads(capsys.readouterr().out)


def lines_of(folder):
    return [json.loads(line) for line in (folder / "mined.jsonl").read_text().splitlines()]


@pytest.fixture
def detector(monkeypatch):
    one = FixedDetector([(LESION, 0.7), (Box(2.0, 2.0, 60.0, 60.0), 0.6)])
    monkeypatch.setattr("service.engine.detectors.detector_in_use", lambda path: one)
    return one


def write_words(tmp_path, patient, number, words, *, on_image=None):
    study = Study(patient, number, date(2020, number, 2))
    datasets = study.datasets()
    write_files(datasets, tmp_path / "source" / f"{patient}-{number}")
    key = datasets[study.key]
    texts = words.format(series=int(key.SeriesNumber), image=int(key.InstanceNumber))
    made = text_report(key, [texts]) if on_image is None else text_on_image(key, texts, on_image)
    made.save_as(tmp_path / "source" / f"{patient}-{number}.dcm", enforce_file_format=True)
    return key


def test_words_become_lesions_marked_as_proposed(tmp_path, capsys, detector):
    write_words(tmp_path, "A", 1, "Liver mass of 15 x 8 mm (IMA {series}-{image}).")
    write_words(tmp_path, "B", 2, "15 x 8 mm", on_image=(66.0, 42.0))
    write_words(tmp_path, "C", 3, "Node of 61 x 40 mm (IMA {series}-{image}).")
    write_words(tmp_path, "D", 4, "15 x 8 mm (IMA {series}-999).")
    words = [tmp_path / "source", "--out", tmp_path / "a", "--no-locate"]
    told = mined(
        capsys, *words, "--figure", tmp_path / "sheet.png", "--reports", tmp_path / "reports"
    )
    assert told["verdicts"] == {"proposed": 2, "no image": 1, "no proposal": 1}
    assert (told["lesions"], told["reports"]) == (2, 0)
    rows = DeepLesionArchive.open(tmp_path / "a").rows
    for row in rows:
        assert row.lesion.box.to_list() == pytest.approx(LESION.to_list())
        assert (row.lesion.long_mm, row.lesion.short_mm) == pytest.approx((15.0, 8.0), abs=1e-4)
    with (tmp_path / "a" / "DL_info.csv").open(newline="") as file:
        assert [one["Possibly_noisy"] for one in csv.DictReader(file)] == ["1", "1"]
    with (tmp_path / "a" / "attributes.csv").open(newline="") as file:
        scores = {one["lesion_id"]: float(one["proposal_score"]) for one in csv.DictReader(file)}
    assert scores == {row.lesion.lesion_id: 0.7 for row in rows}
    by_verdict = {one["verdict"]: one for one in lines_of(tmp_path / "a")}
    assert by_verdict["proposed"]["proposal_score"] == 0.7
    assert by_verdict["proposed"]["length_source"] == "stated"
    assert "score 0.70" in by_verdict["proposed"]["reason"]
    assert "61 mm are stated" in by_verdict["no proposal"]["reason"]
    asked = detector.asked
    assert mined(capsys, *words)["patients_mined_now"] == 0
    assert detector.asked == asked == 3
    # Without proposals the words wait; nobody asks the detector.
    waiting = mined(capsys, *words, "--no-propose")
    assert waiting["verdicts"] == {"proposal needed": 3, "no image": 1}
    assert (waiting["lesions"], detector.asked) == (0, asked)


def test_the_same_words_twice_are_one_lesion(tmp_path, capsys, detector):
    key = write_words(tmp_path, "A", 1, "Liver mass of 15 x 8 mm (IMA {series}-{image}).")
    again = text_on_image(key, "15 x 8 mm", (66.0, 42.0))
    again.save_as(tmp_path / "source" / "again.dcm", enforce_file_format=True)
    told = mined(capsys, tmp_path / "source", "--out", tmp_path / "a", "--no-locate")
    assert told["verdicts"] == {"proposed": 1, "duplicate of": 1}


@pytest.mark.parametrize("has_place", [False, True])
def test_real_lesions_told_in_words(has_place, real_data, tmp_path, capsys):
    """Lesions of the development patients, the bundled detector: the right box, or none."""
    official = DeepLesionArchive.open(real_data / "deeplesion_windowed")
    truth = {}
    for number, (datasets, drawn) in enumerate(series_with_pixels(official)):
        folder = tmp_path / "source" / str(number)
        write_files(datasets, folder)
        for place, one in enumerate(drawn):
            key, box = one.header, one.recist.box()
            lengths = " x ".join(f"{mm:.0f}" for mm in one.recist.diameters_mm(one.spacing_mm_px))
            made = text_report(
                key, [f"{lengths} mm (IMA {key.SeriesNumber}-{key.InstanceNumber})"], f"r{place}"
            )
            if has_place:
                made = text_on_image(key, f"{lengths} mm", box.center, f"r{place}")
            made.save_as(folder / f"r{place}.dcm", enforce_file_format=True)
            truth[str(key.SOPInstanceUID)] = box
    told = mined(capsys, tmp_path / "source", "--out", tmp_path / "a", "--no-locate", "--own-ids")
    assert sum(told["verdicts"].values()) == len(truth) == 5
    assert set(told["verdicts"]) <= {"proposed", "no proposal", "several proposals"}
    taken = [line for line in lines_of(tmp_path / "a") if line["verdict"] == "proposed"]
    assert all(Box(*line["box"]).iou(truth[line["sop_uid"]]) > 0.5 for line in taken)
    assert len(taken) == (1 if has_place else 0)
