"""CSV with a declared mapping, and lengths in words."""

from __future__ import annotations

import pytest

from retrieval.sources.marks.content.words import image_of_words, lengths_of_words
from retrieval.sources.marks.reading import CsvColumns, ReadingOptions
from retrieval.sources.marks.verdicts import Verdict
from tests.retrieval.sources.marks.carriers import CtStudy, read

STUDY = CtStudy()
NAMES = {"sop_uid": "Image", "points": "Coords", "long": "L", "short": "S", "finding": "What"}


def table(*rows: str, columns: CsvColumns | None = None, head: str = "Image,Coords,L,S,What"):
    content = "\n".join((head, *rows)).encode()
    return read(content, options=ReadingOptions(columns or CsvColumns(NAMES)))


def test_rows_are_marks_under_the_declared_names_and_origin():
    marks, refusals = table(
        f'{STUDY.sop(4)},"21, 31, 41, 31, 30, 25, 30, 38",15,9.75,nodule',
        columns=CsvColumns(NAMES, origin=1.0),
    )
    assert refusals == []
    assert marks[0].points.tolist() == [[20, 30], [40, 30], [29, 24], [29, 37]]
    assert [one.mm for one in marks[0].lengths] == [15, 9.75]
    assert marks[0].finding.meaning == "nodule"


def test_columns_of_single_numbers_and_kinds():
    names = {"sop_uid": "i", "x1": "a", "y1": "b", "x2": "c", "y2": "d", "kind": "k"}
    marks, (refusal,) = table(
        "u;1;2;3;4;box",
        "u;1;2;3;4;line",
        "u;1;2;3;4;blob",
        columns=CsvColumns(names),
        head="i;a;b;c;d;k",
    )
    assert [mark.kind for mark in marks] == ["box", "line"]
    assert "'blob'" in refusal.words


@pytest.mark.parametrize(
    ("cells", "verdict"),
    [
        ('u,"1,2,3",,,', Verdict.NO_COORDINATES),
        ('u,"1,2,3,4",,,', Verdict.NO_COORDINATES),
        ('u,"1,2,3,4,5,6,7,nan",,,', Verdict.NOT_A_NUMBER),
        ('u,"1,2,3,4,5,6,7,1e99",,,', Verdict.NOT_A_NUMBER),
        ('u,"1,2,3,4,5,6,7,=cmd()",,,', Verdict.NOT_A_NUMBER),
        ("u,,,,", Verdict.NO_COORDINATES),
    ],
)
def test_broken_rows_have_a_reason_and_stop_nothing(cells, verdict):
    marks, (refusal,) = table(cells, 'u,"1,2,30,4,5,6,7,8",,,')
    assert len(marks) == 1
    assert refusal.verdict is verdict
    assert "row 2" in refusal.words


def test_a_missing_column_an_undeclared_table_and_no_utf8():
    _, (refusal,) = table("u,1", head="Image,Other")
    assert "Coords" in refusal.words
    _, (refusal,) = read(b"Image,Coords\n1,2")
    assert refusal.verdict is Verdict.NOT_A_CARRIER
    _, (refusal,) = read(b"Image\xff", options=ReadingOptions(CsvColumns(NAMES)))
    assert refusal.verdict is Verdict.UNREADABLE


@pytest.mark.parametrize(
    ("words", "lengths"),
    [
        ("12 x 8 mm", (12, 8)),
        ("8 x 12 mm", (12, 8)),
        ("1.2 x 0,8 cm", (12, 8)),
        ("12mm × 8mm", (12, 8)),
        ("1.2 cm x 8 mm", (12, 8)),
        ("22 x 18 x 30 mm", (30, 22)),
        ("node of 9 mm in station 7", (9,)),
        ("area 120 mm2", ()),
        ("40 HU", ()),
        ("12 x 8", ()),
        ("2024-01-31 10:22", ()),
        ("distance 9000 mm", ()),
        ("", ()),
    ],
)
def test_lengths_in_words(words, lengths):
    assert tuple(one.mm for one in lengths_of_words(words)) == pytest.approx(lengths)


@pytest.mark.parametrize(
    ("words", "series", "image"),
    [
        ("68 x 40 mm (IMA 8-34)", 8, 34),
        ("(series 8, image 34)", 8, 34),
        ("SE 8 / IM 34", 8, 34),
        ("image 34", None, 34),
    ],
)
def test_images_in_words(words, series, image):
    named = image_of_words(words)
    assert (named.series_number, named.instance_number) == (series, image)


def test_words_without_an_image_name_none():
    assert image_of_words("important 12 x 8 mm") is None


def test_a_text_column_names_image_and_lengths():
    names = {"series_uid": "s", "text": "t"}
    marks, _ = table(
        f'{STUDY.uid("series")},"68 x 40 mm (IMA 8-34)"',
        head="s,t",
        columns=CsvColumns(names, kind="text"),
    )
    assert marks[0].image.instance_number == 34
    assert [one.mm for one in marks[0].lengths] == [68, 40]
