from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from dataclasses import replace

import cv2
import numpy as np
import pytest

from index.lesion_index import LesionIndex
from retrieval.patch import extract_patch
from retrieval.pixel_hash import pixel_hash
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from service.engine.lesion_location import LocationEstimate
from service.engine.search_engine import binding_of
from service.jobs.indexing import IndexingOptions, index_archive
from tests.service.samples import ToyEncoder, write_archive

SMALL = IndexingOptions(readers=2, batch_size=2, commit_every=4)


@pytest.fixture
def encoder():
    return ToyEncoder()


@pytest.fixture
def index(tmp_path, encoder):
    with LesionIndex.create(tmp_path / "index", binding_of(encoder)) as opened:
        yield opened


def test_every_lesion_is_stored_with_its_own_vector(archive, index, encoder):
    report = index_archive(archive, index, encoder, options=SMALL)
    assert report.added == index.count() == len(archive.lesions)
    for lesion in archive.lesions:
        slab = archive.slab(lesion, half_depth_mm=encoder.spec.half_depth_mm)
        expected = encoder.embed([extract_patch(slab, lesion.box, encoder.spec)]).vectors[0]
        record = index.get(lesion.lesion_id)
        assert np.allclose(record.vector, expected, atol=1e-6)
        assert record.lesion == lesion
        key_slice = archive.slab(lesion, half_depth_mm=0).hu[0]
        assert record.source == replace(archive.source(lesion), pixel_hash=pixel_hash(key_slice))
        assert lesion in [one.lesion for one in index.with_pixels(pixel_hash(key_slice))]


class HalfKnown:
    """The archive with every second lesion's location unknown."""

    def __init__(self, archive):
        self._archive = archive
        self.lesions = [
            lesion.with_changes(location=None) if place % 2 else lesion
            for place, lesion in enumerate(archive.lesions)
        ]

    def __getattr__(self, name):
        return getattr(self._archive, name)


class FixedLocator:
    def locate_lesion(self, slab, box):
        return LocationEstimate((0.25, 0.5, 0.75), (0.01, 0.02, 0.04))


def test_an_estimated_location_is_kept_with_its_error_and_a_given_one_stays(
    archive, index, encoder
):
    half = HalfKnown(archive)
    options = IndexingOptions(locator=FixedLocator())
    index_archive(half, index, encoder, options=options)
    for lesion in half.lesions:
        stored = index.get(lesion.lesion_id).lesion
        if lesion.location is None:
            assert stored.location == (0.25, 0.5, 0.75)
            assert stored.location_error == (0.01, 0.02, 0.04)
        else:
            assert (stored.location, stored.location_error) == (lesion.location, None)


def test_progress_counts_to_the_end(archive, index, encoder):
    seen = []
    index_archive(archive, index, encoder, options=SMALL, progress=lambda *step: seen.append(step))
    total = len(archive.lesions)
    assert seen[-1] == (total, total)
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)


def test_a_second_run_reads_no_pixels(archive, index, encoder, monkeypatch):
    index_archive(archive, index, encoder, options=SMALL)

    def refuse(*_, **__):
        raise AssertionError("a slab was read")

    monkeypatch.setattr(DeepLesionArchive, "slab", refuse)
    again = index_archive(archive, index, encoder, options=SMALL)
    assert (again.added, again.already_there) == (0, len(archive.lesions))


def test_a_lesion_without_its_image_is_named_and_keeps_nobody_out(tmp_path, index, encoder):
    write_archive(tmp_path / "archive")
    archive = DeepLesionArchive.open(tmp_path / "archive")
    lost, damaged = archive.lesions[1], archive.lesions[5]
    (archive.root / archive.source(lost).image).unlink()
    (archive.root / archive.source(damaged).image).write_bytes(b"\x89PNG\r\n\x1a\nno more")
    report = index_archive(archive, index, encoder, options=SMALL)
    assert [failure.lesion_id for failure in report.failed] == [lost.lesion_id, damaged.lesion_id]
    assert "does not exist" in report.failed[0].reason
    assert report.added == index.count() == len(archive.lesions) - 2
    assert report.to_json()["failed"][0]["lesion_id"] == lost.lesion_id


def test_slices_past_the_end_are_counted(tmp_path, index, encoder):
    write_archive(tmp_path / "archive", patients=1)
    archive = DeepLesionArchive.open(tmp_path / "archive")
    (archive.root / archive.source(archive.lesions[0]).image).with_name("012.png").unlink()
    report = index_archive(archive, index, encoder)
    assert report.with_repeated_slices == 1


def test_what_was_committed_before_a_failure_stays(archive, index, encoder, monkeypatch):
    """The third group meets a full disk: the first two stay, and the next run adds the rest."""
    add, groups = index.add, []

    def add_until_full(records):
        if len(groups) == 2:
            raise OSError(28, "No space left on device")
        groups.append(add(records))

    monkeypatch.setattr(index, "add", add_until_full)
    with pytest.raises(OSError, match="No space"):
        index_archive(archive, index, encoder, options=SMALL)
    assert index.count() == 8
    monkeypatch.undo()
    again = index_archive(archive, index, encoder, options=SMALL)
    assert (again.already_there, again.added) == (8, len(archive.lesions) - 8)


def test_a_killed_job_goes_on_where_it_was(tmp_path, archive_folder, archive, encoder):
    """SIGKILL between two groups: the index is whole, and a second run completes it."""
    folder, mark = tmp_path / "index", tmp_path / "mark"
    script = textwrap.dedent(
        """
        import sys, time
        from pathlib import Path
        from index.lesion_index import LesionIndex
        from retrieval.sources.deeplesion.archive import DeepLesionArchive
        from service.engine.search_engine import binding_of
        from service.jobs.indexing import IndexingOptions, index_archive
        from tests.service.samples import ToyEncoder

        archive, folder, mark = map(Path, sys.argv[1:])
        encoder = ToyEncoder()
        index = LesionIndex.create(folder, binding_of(encoder))

        def wait_after_two_groups(done, total):
            if done >= 8:
                mark.touch()
                time.sleep(60)

        index_archive(
            DeepLesionArchive.open(archive), index, encoder,
            options=IndexingOptions(batch_size=2, commit_every=4), progress=wait_after_two_groups,
        )
        """
    )
    job = subprocess.Popen([sys.executable, "-c", script, archive_folder, folder, mark])
    deadline = time.monotonic() + 60
    while not mark.exists() and time.monotonic() < deadline:
        assert job.poll() is None
        time.sleep(0.02)
    os.kill(job.pid, signal.SIGKILL)
    job.wait()
    with LesionIndex.open(folder, binding=binding_of(encoder)) as index:
        assert index.count() == 8
        assert index.verify().sound
        report = index_archive(archive, index, encoder, options=SMALL)
        assert (report.already_there, report.added) == (8, len(archive.lesions) - 8)


def test_slices_that_are_not_hu_are_left_out_unless_the_user_says_they_are(
    tmp_path, index, encoder
):
    write_archive(tmp_path / "lost", patients=1)
    for path in (tmp_path / "lost").rglob("*.png"):
        # A lost intercept: 1024 too much on every pixel.
        cv2.imwrite(str(path), cv2.imread(str(path), cv2.IMREAD_UNCHANGED) + np.uint16(1024))
    lost = DeepLesionArchive.open(tmp_path / "lost")
    report = index_archive(lost, index, encoder, options=SMALL)
    assert (report.added, len(report.failed)) == (0, len(lost.lesions))
    assert "slice 11 does not hold HU" in report.failed[0].reason
    told = index_archive(lost, index, encoder, options=replace(SMALL, assume_hu=True))
    assert told.added == told.doubtful_hu == len(lost.lesions)
    assert told.to_json()["doubtful_hu"] == len(lost.lesions)
