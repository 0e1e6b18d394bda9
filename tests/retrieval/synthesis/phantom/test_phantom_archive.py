"""Phantom archives: the same seed the same bytes, sound rows, true tracks, resumable."""

from __future__ import annotations

import csv
import hashlib
from collections import Counter, defaultdict
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from retrieval.lesion import Split
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from retrieval.sources.errors import ArchiveError
from retrieval.synthesis.phantom.archive import PhantomProgress, generate_archive, write_archive
from retrieval.synthesis.phantom.config import PhantomConfig, PhantomError

SMALL = PhantomConfig(patients=3, seed=11, image_size_px=160, half_depth_mm=6.0)


@pytest.fixture(scope="module")
def archive_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("phantoms")
    write_archive(root, SMALL)
    return root


@pytest.fixture(scope="module")
def archive(archive_root: Path) -> DeepLesionArchive:
    return DeepLesionArchive.open(archive_root)


def digests(root: Path) -> dict[str, str]:
    return {
        str(path.relative_to(root)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(root.rglob("*"))
        if path.is_file()
    }


def table(root: Path, name: str) -> list[dict[str, str]]:
    with (root / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_every_row_reads_back(archive_root: Path, archive: DeepLesionArchive) -> None:
    assert len(archive.lesions) == len(table(archive_root, "DL_info.csv")) >= SMALL.patients
    for lesion in archive.lesions:
        slab = archive.slab(lesion, half_depth_mm=5.0)
        assert slab.filled_slices == ()
        assert slab.hu.shape[1:] == (160, 160)
        assert (slab.hu.shape[0] - 1) * slab.slice_interval_mm >= 2 * 5.0 - 1e-6
        assert np.ptp(slab.hu[slab.key_slice]) > 1000


def test_sizes_and_spacings_are_plausible(archive: DeepLesionArchive) -> None:
    for lesion in archive.lesions:
        assert lesion.long_mm is not None
        assert lesion.short_mm is not None
        assert 4.5 <= lesion.long_mm <= 90
        assert 0 < lesion.short_mm <= lesion.long_mm + 1e-6
        assert 1.0 <= archive.source(lesion).spacing_mm_px[0] <= 3.5


def test_killed_generation_goes_on_and_gives_the_same_bytes(
    archive_root: Path, tmp_path: Path
) -> None:
    class KilledError(Exception):
        pass

    def kill_after_two(state: PhantomProgress) -> None:
        if state.patients_done == 2:
            raise KilledError

    with pytest.raises(KilledError):
        write_archive(tmp_path, SMALL, progress=kill_after_two)
    seen: list[int] = []
    write_archive(tmp_path, SMALL, progress=lambda state: seen.append(state.patients_done))
    assert seen[-1] == SMALL.patients
    assert len(seen) < SMALL.patients
    assert digests(tmp_path) == digests(archive_root)


def test_another_seed_gives_other_pixels(archive_root: Path, tmp_path: Path) -> None:
    generate_archive(tmp_path, patients=1, seed=12)
    assert DeepLesionArchive.open(tmp_path).lesions
    ours = {digest for name, digest in digests(archive_root).items() if name.endswith(".png")}
    other = {digest for name, digest in digests(tmp_path).items() if name.endswith(".png")}
    assert other
    assert not ours & other


def test_tracks_agree_with_the_table(archive_root: Path, archive: DeepLesionArchive) -> None:
    rows = table(archive_root, "tracks.csv")
    seen = Counter(row["lesion_id"] for row in rows if row["lesion_id"])
    assert seen == Counter(lesion.lesion_id for lesion in archive.lesions)
    by_track = defaultdict(list)
    for row in rows:
        assert row["state"] in {"baseline", "new", "persistent", "vanished"}
        assert (row["state"] == "vanished") == (row["lesion_id"] == "")
        by_track[row["track_id"]].append(row)
    types = {lesion.lesion_id: lesion.lesion_type for lesion in archive.lesions}
    for states in by_track.values():
        assert states[0]["state"] in {"baseline", "new"}
        gone = [row["state"] == "vanished" for row in states]
        assert gone == sorted(gone)
        assert len({types[row["lesion_id"]] for row in states if row["lesion_id"]}) == 1


def test_attributes_stand_beside_every_lesion(archive: DeepLesionArchive) -> None:
    for lesion in archive.lesions:
        values = archive.attributes[lesion.lesion_id]
        assert 0 <= values["spiculation"] <= 1
        assert 0 <= values["lobulation"] <= 1
        assert 4 <= values["diameter_3d_mm"] <= 90


def test_splits_follow_patients_and_shares() -> None:
    config = PhantomConfig(patients=1, seed=3)
    splits = Counter(config.split(number) for number in range(1, 1001))
    assert splits[Split.TRAIN] == pytest.approx(700, abs=50)
    assert splits[Split.VALIDATION] == pytest.approx(150, abs=40)
    assert splits[Split.TEST] == pytest.approx(150, abs=40)


@pytest.mark.slow
def test_workers_do_not_change_a_byte(archive_root: Path, tmp_path: Path) -> None:
    write_archive(tmp_path, SMALL, workers=2)
    assert digests(tmp_path) == digests(archive_root)


@pytest.mark.parametrize(
    "wrong", [{"patients": 0}, {"seed": -1}, {"first_patient": 0}, {"image_size_px": 8}]
)
def test_impossible_archives_are_refused(wrong: dict[str, int], tmp_path: Path) -> None:
    values = {"patients": 1, "seed": 0, **wrong}
    with pytest.raises(PhantomError, match="phantom"):
        write_archive(tmp_path, PhantomConfig(**values))


def test_two_runs_in_one_folder_are_refused_and_the_folder_is_free_again(tmp_path: Path) -> None:
    root = tmp_path / "archive"

    def meanwhile(_: PhantomProgress) -> None:
        with pytest.raises(ArchiveError, match="another run draws phantoms"):
            generate_archive(root, patients=1, seed=0)

    small = replace(SMALL, patients=1)
    write_archive(root, small, progress=meanwhile)
    kept = digests(root)
    write_archive(root, small)
    assert digests(root) == kept
