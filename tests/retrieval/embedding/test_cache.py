from __future__ import annotations

import shutil
from collections import namedtuple
from pathlib import Path

import numpy as np
import pytest

from retrieval.embedding.cache import PatchCache, room_for_augmentation
from retrieval.image import Slab
from retrieval.lesion import Box, ImageSource, Lesion, LesionType, Split
from retrieval.patch import PatchSpec, extract_patch
from retrieval.sources.errors import ArchiveError
from retrieval.training.cut_images import CacheError

SPEC = PatchSpec(size_px=16)
Usage = namedtuple("Usage", "total used free")


class Slabs:
    """Ten lesions in memory, each on pixels of its own, that counts how often it is read."""

    def __init__(self, unreadable: tuple[int, ...] = ()) -> None:
        self.root = Path("slabs")
        self.track_ids: dict[str, str] = {}
        self.attributes: dict[str, dict[str, float]] = {}
        self.unreadable = unreadable
        self.read = 0
        self.lesions = [
            Lesion(
                lesion_id=f"L{number}",
                patient_id=f"P{number}",
                study_id=f"P{number}_01",
                series_id=f"P{number}_01_01",
                key_slice_index=1,
                box=Box(20, 22, 30 + number, 34),
                long_mm=10.0,
                short_mm=8.0,
                location=None,
                lesion_type=LesionType.LIVER,
                split=Split.TRAIN,
            )
            for number in range(10)
        ]

    def slab(self, lesion: Lesion, *, half_depth_mm: float) -> Slab:
        self.read += 1
        number = int(lesion.lesion_id[1:])
        if number in self.unreadable:
            raise ArchiveError(f"lesion {number} has no image")
        hu = np.random.default_rng(number).normal(0, 200, (5, 64, 64)).astype(np.float32)
        return Slab(hu, (1.0, 1.0), 2.0, key_slice=2)

    def source(self, lesion: Lesion) -> ImageSource:
        raise AssertionError("a cache needs no sources")


def test_cached_patches_are_those_of_extract_patch_in_whole_hu(tmp_path: Path) -> None:
    archive = Slabs()
    cache = PatchCache.build(archive, SPEC, tmp_path)
    wide = room_for_augmentation(SPEC)
    assert cache.patches.shape == (10, 5, 48, 48)
    for number, lesion in enumerate(archive.lesions):
        patch = extract_patch(
            archive.slab(lesion, half_depth_mm=wide.half_depth_mm), lesion.box, wide
        )
        assert np.abs(cache.patches[number] - patch.hu).max() <= 0.5
        np.testing.assert_allclose(cache.boxes[number], patch.box.to_list(), rtol=1e-6)
    assert cache.verify(tmp_path) == []


def test_a_killed_job_goes_on_where_it_was(tmp_path: Path) -> None:
    archive = Slabs()
    said = []

    def killed(done: int, total: int) -> None:
        said.append((done, total))
        if done == 4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        PatchCache.build(archive, SPEC, tmp_path, progress=killed)
    assert said == [(1, 10), (2, 10), (3, 10), (4, 10)]
    archive.read = 0
    resumed = PatchCache.build(archive, SPEC, tmp_path, progress=lambda *done: said.append(done))
    assert archive.read == 6
    assert said[4:] == [(done, 10) for done in range(5, 11)]
    whole = PatchCache.build(Slabs(), SPEC, tmp_path.parent / "whole")
    assert (resumed.patches == whole.patches).all()
    assert (resumed.boxes == whole.boxes).all()
    archive.read = 0
    PatchCache.build(archive, SPEC, tmp_path)
    assert archive.read == 0


def test_damage_is_found_and_only_the_damaged_patch_cut_again(tmp_path: Path) -> None:
    archive = Slabs()
    cache = PatchCache.build(archive, SPEC, tmp_path)
    whole = np.array(cache.patches)
    with (tmp_path / "patches.i16").open("r+b") as file:
        file.seek(int(whole[0].nbytes) * 7 + 11)
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 4]))
    assert cache.verify(tmp_path) == [7]
    archive.read = 0
    mended = PatchCache.build(archive, SPEC, tmp_path)
    assert archive.read == 1
    assert mended.verify(tmp_path) == []
    assert (mended.patches == whole).all()


def test_other_lesions_or_another_spec_are_refused(tmp_path: Path) -> None:
    PatchCache.build(Slabs(), SPEC, tmp_path)
    moved = Slabs()
    moved.lesions[3] = moved.lesions[3].with_changes(box=Box(19, 22, 33, 34))
    with pytest.raises(CacheError, match="other lesions or with another patch spec"):
        PatchCache.build(moved, SPEC, tmp_path)
    with pytest.raises(CacheError, match="another patch spec"):
        PatchCache.build(Slabs(), PatchSpec(size_px=16, mm_px=0.8), tmp_path)


def test_a_disk_that_is_too_small_is_refused_before_anything_is_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needed = 10 * 5 * 48 * 48 * 2
    archive = Slabs()
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, needed))
    with pytest.raises(CacheError, match=r"needs 0\.0 GB and the disk has 0\.0 GB left"):
        PatchCache.build(archive, SPEC, tmp_path)
    assert archive.read == 0
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, int(needed * 1.06)))
    PatchCache.build(archive, SPEC, tmp_path)


def test_an_unreadable_image_is_no_patch_and_keeps_nobody_else_out(tmp_path: Path) -> None:
    archive = Slabs(unreadable=(2, 5))
    cache = PatchCache.build(archive, SPEC, tmp_path)
    assert np.flatnonzero(~cache.readable).tolist() == [2, 5]
    archive.read = 0
    assert PatchCache.build(archive, SPEC, tmp_path).readable.sum() == 8
    assert archive.read == 0
