"""A table from elsewhere is judged from end to end; what cannot be imports nothing, in one line."""

from __future__ import annotations

import base64
import json
import math
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from index.lesion_index import LesionIndex
from index.own_images import OWN_ARCHIVE
from index.parquet.columns import ABOUT, ParquetError, schema_of
from index.parquet.importing import import_index

ROWS = 6


@pytest.fixture
def table(tmp_path: Path, samples) -> pa.Table:
    """An honest export."""
    with LesionIndex.create(tmp_path / "honest", samples.binding) as index:
        index.add(samples.records(ROWS))
        index.set_match(*(samples.record(n).lesion.lesion_id for n in (0, 1)), "confirmed")
        index.export(tmp_path / "honest.parquet")
    return pq.read_table(tmp_path / "honest.parquet")


def changed(table: pa.Table, column: str, values: dict[int, object]) -> pa.Table:
    place = table.schema.get_field_index(column)
    held = table.column(column).to_pylist()
    for row, value in values.items():
        held[row] = value
    field = table.schema.field(column)
    return table.set_column(place, field, pa.array(held, type=field.type))


def told(table: pa.Table, **about: object) -> pa.Table:
    known = json.loads(table.schema.metadata[ABOUT])
    return table.replace_schema_metadata({ABOUT: json.dumps({**known, **about}).encode()})


def refusal(table: pa.Table, folder: Path, *, into: Path | None = None) -> str:
    """The one line that refuses a table, and nothing made or changed by it."""
    pq.write_table(table, folder / "hostile.parquet")
    target = into or folder / "made"
    with pytest.raises(ParquetError) as error:
        import_index(folder / "hostile.parquet", target)
    assert into is not None or not target.exists()
    assert "\n" not in str(error.value)
    return str(error.value)


NAN = math.nan

BAD_ROWS = [
    ("lesion_id", "", "printable"),
    ("lesion_id", "a\nb", "printable"),
    ("lesion_id", " a", "without blanks"),
    ("patient_id", "p" * 257, "1 to 256"),
    ("study_id", "\u202e", "printable"),
    ("series_id", "\0", "printable"),
    ("key_slice_index", -1, "key_slice_index is -1"),
    ("key_slice_index", 1 << 60, "key_slice_index"),
    ("box", [1.0, 2.0, 3.0], "4 numbers"),
    ("box", [1.0, 2.0, NAN, 4.0], "4 numbers"),
    ("box", [1.0, 2.0, None, 4.0], "4 numbers"),
    ("box", [9.0, 2.0, 3.0, 4.0], "empty or inverted"),
    ("box", [1e9, 2.0, 2e9, 4.0], "4 numbers"),
    ("long_mm", -1.0, "long_mm"),
    ("long_mm", NAN, "long_mm"),
    ("short_mm", 1e9, "short_mm"),
    ("short_mm", 90.0, "longer than"),
    ("location", [0.5, 0.5], "3 numbers"),
    ("location", [0.5, 0.5, 1.5], "from 0 to 1"),
    ("location_error", [0.1, 0.1, -0.1], "location_error"),
    ("lesion_type", "heart", "heart"),
    ("split", "secret", "secret"),
    ("tags", ["t"] * 65, "64"),
    ("tags", [None, None], "a tag"),
    ("tag_probabilities", [1.0, 1.5], "probability"),
    ("tag_probabilities", [1.0], "one for each"),
    ("tag_sources", ["given", "rumour"], "rumour"),
    ("tag_models", [None, "x\n"], "model"),
    ("measured_long_mm", NAN, "measured_long_mm"),
    ("measured_method", "network\n", "measured_method"),
    ("volume_mm3_interval_90", [1.0], "volume_mm3_interval_90"),
    ("packed_mask", b"no mask", "not what its name says"),
    ("category", "", "category"),
    ("category_confidence", 2.0, "category_confidence"),
    ("tags", ["x\x1b[2J", "y"], "a tag"),
    ("archive", OWN_ARCHIVE, "own pixels"),
    ("archive", "/data/../etc", "without '..'"),
    ("archive", "", "archive"),
    ("image", "../../../etc/passwd", "without '..'"),
    ("image", "/etc/passwd", "inside the archive"),
    ("image", "a\\..\\b", "inside the archive"),
    ("spacing_mm_px", [0.0, 1.0], "none may be 0"),
    ("spacing_mm_px", [1.0], "2 numbers"),
    ("spacing_mm_px", [math.inf, 1.0], "2 numbers"),
    ("slice_interval_mm", -2.0, "slice_interval_mm"),
    ("pixel_hash", "F" * 64, "64 hexadecimal"),
    ("pixel_hash", "0" * 63, "64 hexadecimal"),
]


@pytest.mark.parametrize(("column", "value", "words"), BAD_ROWS)
def test_a_row_that_is_no_lesions_is_named_and_nothing_is_imported(
    table, tmp_path, samples, column, value, words
):
    bad = changed(table, column, {3: value})
    line = refusal(bad, tmp_path)
    assert "row 4:" in line
    assert words in line
    assert "nothing was imported" in line
    with LesionIndex.open(tmp_path / "honest") as index:
        before = index.generation
    refusal(bad, tmp_path, into=tmp_path / "honest")
    with LesionIndex.open(tmp_path / "honest") as index:
        assert (index.generation, index.count()) == (before, ROWS)


@pytest.mark.parametrize(
    "vector", [np.full(16, np.nan), np.zeros(16), np.full(16, 1e38), np.full(16, 0.3)]
)
def test_a_vector_that_is_no_direction_is_refused(table, tmp_path, vector):
    line = refusal(changed(table, "vector", {2: vector.astype(np.float32).tolist()}), tmp_path)
    assert "row 3:" in line
    assert "norm" in line


@pytest.mark.parametrize("what", ["id", "slice and box"])
def test_a_lesion_that_is_there_twice_is_refused(table, tmp_path, what):
    if what == "id":
        bad = changed(table, "lesion_id", {4: table.column("lesion_id")[1].as_py()})
    else:
        bad = pa.concat_tables([table, table.slice(1, 1)])
        bad = changed(bad, "lesion_id", {ROWS: "another"})
    assert "is there twice" in refusal(bad, tmp_path)


def test_matches_that_cannot_be_are_refused(table, tmp_path):
    first, second, third, fourth = table.column("lesion_id").to_pylist()[:4]

    def match(a, b, verdict="confirmed"):
        return {"lesion_a": a, "lesion_b": b, "verdict": verdict}

    for matches, words in (
        ([match(first, "nobody")], "not in the file"),
        ([match(first, first)], "one patient"),
        ([match(first, fourth)], "one study"),
        ([match(first, second), match(second, third), match(first, third, "rejected")], "rejected"),
        ([match(first, second, "maybe")], "maybe"),
        ([7], "not an exported index"),
    ):
        assert words in refusal(told(table, matches=matches), tmp_path)
    stranger = changed(table, "patient_id", {1: "somebody else"})
    assert "one patient" in refusal(stranger, tmp_path)


@pytest.mark.parametrize(
    "binding",
    [
        {"dimension": 0},
        {"dimension": -4},
        {"dimension": 1 << 40},
        {"dimension": "16"},
        {"dimension": True},
        {"fingerprint": 7},
        {"fingerprint": ""},
        {"patch_spec": []},
        {"weights": "evil.pt"},
    ],
)
def test_an_encoder_that_cannot_be_is_refused(table, tmp_path, samples, binding):
    known = json.loads(table.schema.metadata[ABOUT])["binding"]
    line = refusal(told(table, binding={**known, **binding}), tmp_path)
    assert "not an exported index" in line


def test_metadata_that_is_nested_without_end_is_refused(table, tmp_path):
    deep = table.replace_schema_metadata({ABOUT: b"[" * 200_000})
    assert "not an exported index" in refusal(deep, tmp_path)


@pytest.mark.parametrize("column", ["lesion_id", "archive", "tags", "box", "location"])
def test_a_small_file_that_stands_for_gigabytes_is_refused_before_it_is_decoded(
    table, tmp_path, column
):
    """One megabyte of text 50,000 times, a list of 30 million numbers: a few kilobytes each."""
    many = pa.concat_tables([table.slice(0, 1)] * 50_000).combine_chunks()
    place, field = many.schema.get_field_index(column), many.schema.field(column)
    if column in ("box", "location"):
        offsets = np.arange(50_001) * 600
        numbers = pa.array(np.zeros(30_000_000))
        values = pa.ListArray.from_arrays(pa.array(offsets, pa.int32()), numbers)
    else:
        texts = pa.DictionaryArray.from_arrays(pa.array([0] * 50_000), pa.array(["x" * (1 << 20)]))
        values = texts
        if column == "tags":
            values = pa.ListArray.from_arrays(pa.array(range(50_001), pa.int32()), texts)
        field = pa.field(column, values.type, nullable=False)
    bomb = many.set_column(place, field, values)
    file = tmp_path / "bomb.parquet"
    write_as(bomb, table.schema, file)
    del bomb, many, values
    assert file.stat().st_size < 4 << 20
    tracemalloc.start()
    started = time.perf_counter()
    with pytest.raises(ParquetError, match=rf"claims .*{column}"):
        import_index(file, tmp_path / "made")
    seconds = time.perf_counter() - started
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert not (tmp_path / "made").exists()
    assert seconds < 20
    assert peak < 200 << 20


def write_as(bomb: pa.Table, claimed: pa.Schema, file: Path) -> None:
    """Writes a table under the schema of an honest one."""
    with pq.ParquetWriter(file, bomb.schema, compression="zstd", store_schema=False) as writer:
        writer.add_key_value_metadata(
            {
                "ARROW:schema": base64.b64encode(claimed.serialize().to_pybytes()).decode(),
                ABOUT.decode(): claimed.metadata[ABOUT].decode(),
            }
        )
        writer.write_table(bomb)


def test_what_is_no_parquet_or_cut_short_is_refused(table, tmp_path):
    pq.write_table(table, tmp_path / "whole.parquet")
    content = (tmp_path / "whole.parquet").read_bytes()
    rng = np.random.default_rng(0)
    for name, harmed in {
        "empty": b"",
        "text": b"lesion_id,patient_id\n",
        "cut": content[: len(content) // 2],
        "no end": content[:-8],
        **{f"flipped {n}": _flipped(content, rng) for n in range(60)},
    }.items():
        file = tmp_path / "harmed.parquet"
        file.write_bytes(harmed)
        target = tmp_path / f"made {name}"
        line = told_why(file, target)
        assert "\n" not in line
        assert target.exists() == (line == "")


def told_why(file: Path, target: Path) -> str:
    """The line that refuses a file; empty if it is imported, for not every bit matters."""
    try:
        import_index(file, target).close()
    except ParquetError as error:
        return str(error)
    return ""


def _flipped(content: bytes, rng: np.random.Generator) -> bytes:
    harmed = bytearray(content)
    harmed[rng.integers(len(harmed))] ^= 1 << int(rng.integers(8))
    return bytes(harmed)


def test_an_export_of_an_older_program_is_imported(table, tmp_path, samples):
    older = table.drop_columns(["location_error", "pixel_hash"])
    pq.write_table(older, tmp_path / "older.parquet")
    with import_index(tmp_path / "older.parquet", tmp_path / "made") as made:
        record = made.get(samples.record(5).lesion.lesion_id)
        assert record.source.pixel_hash is None
        assert record.lesion.location_error is None
        assert made.verify().sound


def test_the_columns_are_those_that_are_written(table, samples):
    assert table.schema.equals(schema_of(samples.dimension))
