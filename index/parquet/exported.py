"""An exported file, opened: what it claims is judged before anything of it is decoded.

A few hundred bytes of Parquet can stand for gigabytes: one text in a dictionary, repeated by a
run length, or a list without end. So the sizes that the file states of every part are bounded by
its number of rows, and texts stay in their dictionaries until the longest of them is known.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from index.catalog.complete_studies import Study
from index.catalog.measures import LARGEST_BYTES
from index.catalog.reader import EncoderBinding, LesionRecord
from index.parquet.columns import (
    ABOUT,
    BATCH,
    NUMBERS_A_ROW,
    TAG_COLUMNS,
    TAG_TEXTS,
    TEXTS,
    ParquetError,
    expected_schema,
)
from index.parquet.rows import LONGEST_PATH, MOST_TAGS, judged
from index.reports import Match, ReaderDecision
from retrieval.lesion import LesionSearchError
from retrieval.tracking.searched import SearchedStudy

LARGEST_DIMENSION = 65_536
MOST_ROWS_A_GROUP = 1 << 20
BYTES_A_VALUE = 3 * LONGEST_PATH
"""What one value may take, undecoded, beside 1 MiB for each column of a row group."""

BYTES_OF = {"vector": 4, "packed_mask": LARGEST_BYTES}

LARGEST_ABOUT = 256 << 20
"""Bytes of the schema metadata: some millions of matches."""

_NOT_READ = (OSError, pa.ArrowException, KeyError, TypeError, ValueError, RecursionError)


class ExportedIndex:
    """An exported file: ``binding``, ``matches``, ``complete_studies``, ``searches``, records."""

    def __init__(self, path: Path) -> None:
        """Reads the file's schema and judges its sizes.

        Raises:
            ParquetError: no such file, not Parquet, not an exported index, or one whose parts
                claim to be larger than its lesions could make them.
        """
        self._path = path
        try:
            held = pq.read_schema(path)
            about = _about(held)
            # Texts that repeat stay one text each until they are known to be short.
            texts = [name for name in TEXTS if name in held.names]
            listed = [f"{name}.list.element" for name in TAG_TEXTS if name in held.names]
            self._file = pq.ParquetFile(path, read_dictionary=[*texts, *listed])
            self.binding = _binding(about["binding"])
            self.matches = [
                Match(
                    str(match["lesion_a"]), str(match["lesion_b"]), ReaderDecision(match["verdict"])
                )
                for match in about["matches"]
            ]
            # An older program exported neither these nor searches.
            self.complete_studies: list[Study] = [
                (str(patient_id), str(study_id))
                for patient_id, study_id in about.get("complete_studies", ())
            ]
            self.searches = [SearchedStudy.from_json(one) for one in about.get("searches", ())]
            self._check_columns(held)
            self._check_sizes()
        except ParquetError:
            raise
        except _NOT_READ as error:
            raise ParquetError(
                f"{path} is not an exported index ({_line(error)}): write one with "
                "`lesion-search index export --index I --out FILE.parquet`"
            ) from error

    @property
    def count(self) -> int:
        """How many lesions the file has."""
        return int(self._file.metadata.num_rows)

    def records(self) -> Iterator[LesionRecord]:
        """The lesions in the order they were exported, each judged.

        Raises ParquetError naming the first row that cannot be a lesion's.
        """
        row = 0
        try:
            for batch in self._file.iter_batches(batch_size=BATCH):
                self._check_texts(batch)
                vectors = _vectors(batch.column("vector"), self.binding.dimension)
                columns = batch.drop_columns(["vector"]).to_pylist()
                for fields, vector in zip(columns, vectors, strict=True):
                    row += 1
                    yield judged(fields, vector, self.binding.dimension)
        except LesionSearchError as error:
            raise ParquetError(
                f"{self._path}, row {row}: {_line(error)}; nothing was imported"
            ) from error
        except (*_NOT_READ, OverflowError, MemoryError) as error:
            raise ParquetError(
                f"{self._path} is damaged after row {row} ({_line(error)}): export it again"
            ) from error

    def _check_columns(self, held: pa.Schema) -> None:
        wanted = expected_schema(self.binding.dimension, held)
        if not held.equals(wanted):
            lacking = sorted(set(wanted.names) - set(held.names))
            raise ParquetError(
                f"{self._path} has other columns than an exported index: lacking "
                f"{lacking or 'none'}; wanted "
                f"{', '.join(f'{column.name} {column.type}' for column in wanted)}"
            )

    def _check_sizes(self) -> None:
        """Raises ParquetError for a part that claims more than its rows could hold."""
        metadata = self._file.metadata
        for number in range(metadata.num_row_groups):
            group = metadata.row_group(number)
            if not 0 <= group.num_rows <= MOST_ROWS_A_GROUP:
                raise self._too_large(f"{group.num_rows} rows in one group", MOST_ROWS_A_GROUP)
            for place in range(group.num_columns):
                column = group.column(place)
                name = column.path_in_schema.split(".")[0]
                values = group.num_rows * self._values_a_row(name)
                if not 0 <= column.num_values <= values:
                    raise self._too_large(f"{column.num_values} values of {name}", values)
                most = (1 << 20) + values * BYTES_OF.get(name, BYTES_A_VALUE)
                if not 0 <= column.total_uncompressed_size <= most:
                    raise self._too_large(f"{column.total_uncompressed_size} bytes of {name}", most)

    def _values_a_row(self, name: str) -> int:
        of_tags = dict.fromkeys(TAG_COLUMNS, MOST_TAGS)
        return {"vector": self.binding.dimension, **of_tags, **NUMBERS_A_ROW}.get(name, 1)

    def _check_texts(self, batch: pa.RecordBatch) -> None:
        for name in (*TEXTS, *TAG_TEXTS):
            if name not in batch.schema.names:
                continue
            column = batch.column(name)
            texts = column.flatten() if name in TAG_TEXTS else column
            lengths = pc.binary_length(texts.dictionary)
            longest = pc.max(lengths).as_py() if len(lengths) else None
            if longest is not None and longest > 4 * LONGEST_PATH:
                raise self._too_large(f"a text of {longest} bytes in {name}", 4 * LONGEST_PATH)

    def _too_large(self, what: str, most: int) -> ParquetError:
        return ParquetError(
            f"{self._path} claims {what}: an exported index has at most {most} there"
        )


def _about(held: pa.Schema) -> dict[str, Any]:
    text = (held.metadata or {})[ABOUT]
    if len(text) > LARGEST_ABOUT:
        raise ValueError(f"{len(text)} bytes of metadata")
    about = json.loads(text)
    if not isinstance(about, dict):
        raise TypeError("its metadata is no JSON object")
    return about


def _binding(fields: dict[str, Any]) -> EncoderBinding:
    binding = EncoderBinding(**fields)
    if type(binding.dimension) is not int or not 1 <= binding.dimension <= LARGEST_DIMENSION:
        raise ValueError(f"vectors of {binding.dimension!r} numbers")
    for text in (binding.fingerprint, binding.name):
        if not isinstance(text, str) or not 0 < len(text) <= LONGEST_PATH:
            raise TypeError("its encoder has no fingerprint and name")
    if not isinstance(binding.patch_spec, dict):
        raise TypeError("its encoder's patch specification is no JSON object")
    return binding


def _vectors(column: pa.FixedSizeListArray, dimension: int) -> NDArray[np.float32]:
    if column.null_count:
        raise ParquetError("a vector is missing")
    numbers = column.flatten().to_numpy(zero_copy_only=False)
    return np.asarray(numbers, dtype=np.float32).reshape(-1, dimension)


def _line(error: BaseException) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
