"""Readers and writers at once, in threads and in processes, and kills."""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from index.errors import IndexBusyError
from index.lesion_index import LesionIndex

ROOT = Path(__file__).parents[2]
GROUP = 12


def turned(samples, version: int):
    """A group of lesions whose vectors all lean towards the same axis, chosen by the version."""
    axis = np.eye(samples.dimension, dtype=np.float32)[version % 2]
    return [replace(samples.record(number), vector=axis) for number in range(GROUP)]


def assert_one_generation(index: LesionIndex, samples) -> None:
    """All of the group come back, and all at one version: near 0 or near 1, never some of each."""
    hits = index.search(np.eye(samples.dimension)[0], k=GROUP)
    assert len({hit.lesion.lesion_id for hit in hits}) == GROUP
    assert len({round(hit.similarity, 3) for hit in hits}) == 1


def test_readers_see_one_generation_while_a_thread_writes(tmp_path: Path, samples):
    with LesionIndex.create(tmp_path / "index", samples.binding) as index:
        index.add(turned(samples, 0))
        done = threading.Event()

        def read() -> int:
            seen = 0
            while not done.is_set():
                assert_one_generation(index, samples)
                seen += 1
            return seen

        with ThreadPoolExecutor(3) as pool:
            readers = [pool.submit(read) for _ in range(3)]
            try:
                for version in range(1, 60):
                    index.add(turned(samples, version))
                    if version % 20 == 0:
                        index.snapshot()
            finally:
                done.set()
            assert all(reader.result() > 3 for reader in readers)
        assert index.verify().sound


def test_threads_write_side_by_side(tmp_path: Path, samples):
    with LesionIndex.create(tmp_path / "index", samples.binding) as index:
        parts = [[samples.record(n) for n in range(start, 80, 4)] for start in range(4)]

        def write(part) -> int:
            return sum(index.add([one]).added for one in part)

        with ThreadPoolExecutor(4) as pool:
            assert sum(pool.map(write, parts)) == 80
        assert index.count() == 80
        assert index.verify().sound


WRITER = """
import sys
import numpy as np
from index.catalog.reader import EncoderBinding, LesionRecord
from index.lesion_index import LesionIndex
from retrieval.lesion import Box, ImageSource, Lesion

folder, name, count = sys.argv[1], sys.argv[2], int(sys.argv[3])
vector = np.eye(16, dtype=np.float32)[3]
source = ImageSource("archive", "image.png", (1.0, 1.0), 1.0)
with LesionIndex.open(folder) as index:
    print("open", flush=True)
    for number in range(count):
        lesion = Lesion(f"{name}{number}", name, "01", "01", number, Box(0, 0, 9, 9))
        index.add([LesionRecord(lesion, vector, source)])
        if number % 7 == 3:
            index.remove([f"{name}{number}"])
    index.snapshot()
"""


def start_writer(folder: Path, name: str, count: int) -> subprocess.Popen[str]:
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen(
        [sys.executable, "-c", WRITER, str(folder), name, str(count)],
        env=environment,
        stdout=subprocess.PIPE,
        text=True,
    )


def test_processes_write_at_once_while_this_one_reads(tmp_path: Path, samples):
    count = 60
    with LesionIndex.create(tmp_path / "index", samples.binding) as index:
        writers = [start_writer(index.path, name, count) for name in ("a", "b")]
        generations = []
        while any(writer.poll() is None for writer in writers):
            generations.append(index.info().generation)
            hits = index.search(np.eye(16)[3], k=500)
            assert len({hit.lesion.lesion_id for hit in hits}) == len(hits)
            for name in ("a", "b"):
                numbers = {
                    int(hit.lesion.lesion_id[1:]) for hit in hits if hit.lesion.patient_id == name
                }
                # Each writer adds in order: whatever is seen, nothing before it is missing.
                latest = max(numbers, default=-1)
                settled = {number for number in range(latest) if number % 7 != 3}
                assert settled <= numbers
        for writer in writers:
            writer.communicate()
            assert writer.returncode == 0
        assert generations == sorted(generations)
        left = sum(number % 7 != 3 for number in range(count))
        assert index.count() == 2 * left
        assert len(index.search(np.eye(16)[3], k=500)) == 2 * left
        assert index.verify().sound
        assert len(list(index.path.glob("*.faiss"))) == 1


def test_a_second_writer_is_told_and_readers_go_on(tmp_path: Path, samples):
    with LesionIndex.create(tmp_path / "index", samples.binding) as index:
        index.add(samples.records(10))
    with (
        LesionIndex.open(tmp_path / "index", write_timeout_s=0.1) as index,
        closing(sqlite3.connect(index.path / "catalog.sqlite", isolation_level=None)) as other,
    ):
        other.execute("BEGIN IMMEDIATE")
        started = time.monotonic()
        with pytest.raises(IndexBusyError, match="another program is writing"):
            index.add([samples.record(11)])
        assert time.monotonic() - started < 5
        assert len(index.search(samples.record(0).vector)) == 10
        with LesionIndex.open(index.path, read_only=True) as reader:
            assert reader.count() == 10
        other.execute("ROLLBACK")
        assert index.add([samples.record(11)]).added == 1


def test_a_slow_source_of_records_blocks_nobody(tmp_path: Path, samples):
    """Lesions being embedded one by one hold no lock while they are waited for."""
    with (
        LesionIndex.create(tmp_path / "index", samples.binding) as index,
        LesionIndex.open(index.path, write_timeout_s=0.1) as other,
    ):

        def slow():
            for number in range(3):
                assert other.add([samples.record(100 + number)]).added == 1
                yield samples.record(number)

        assert index.add(slow()).added == 3
        assert index.count() == 6


def test_kills_at_random_moments(tmp_path: Path):
    """The short form of benchmarks/crash.py."""
    out = tmp_path / "crash.json"
    finished = subprocess.run(
        [sys.executable, "benchmarks/crash.py", "--kills", "8", "--seed", "5", "--out", str(out)],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert finished.returncode == 0, finished.stdout + finished.stderr
    result = json.loads(out.read_text())
    assert result["kills"] == 8
    assert result["failures"] == []
    assert sum(result["acknowledged"].values()) > 0
