"""The seam of archives: a layout is found by what is there, and a further one is one more entry."""

from __future__ import annotations

import sys
import zlib
from types import SimpleNamespace

import numpy as np
import pytest

from retrieval.sources import archive as archives
from retrieval.sources.archive import open_archive, stored_series
from retrieval.sources.errors import ArchiveError
from tests.service.samples import write_archive

VOLUME = np.arange(3 * 4 * 5, dtype=np.float32).reshape(3, 4, 5)


class ArrayLayout:
    """A layout of this test alone: a folder with ``lesions.txt``; images are .npy files."""

    def recognises(self, path):
        return (path / "lesions.txt").is_file()

    def accepted(self):
        return "a folder with lesions.txt"

    def open(self, path):
        return SimpleNamespace(root=path, lesions=(path / "lesions.txt").read_text().split())

    def holds(self, image):
        return image.suffix == ".npy"

    def series(self, image, key_slice_index):
        volume = np.load(image)
        return SimpleNamespace(
            key_slice_index=key_slice_index,
            files=dict.fromkeys(range(len(volume)), image),
            key_slice=lambda: volume[key_slice_index],
            read=volume.__getitem__,
        )


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    folder = tmp_path_factory.mktemp("archive")
    write_archive(folder)
    return folder


def test_an_archive_is_opened_by_its_folder_or_its_table(root):
    by_folder, by_table = open_archive(root), open_archive(root / "DL_info.csv")
    assert list(by_folder.lesions) == list(by_table.lesions)
    assert by_folder.checksum() == zlib.crc32((root / "DL_info.csv").read_bytes())
    lesion = by_folder.lesions[0]
    name = f"{lesion.series_id}_{lesion.key_slice_index:03d}.png"
    assert by_folder.image_name(lesion) == name


def test_what_is_no_archive_is_refused_with_what_one_is(tmp_path):
    with pytest.raises(ArchiveError, match=r"no archive.*DL_info\.csv"):
        open_archive(tmp_path)
    with pytest.raises(ArchiveError, match="no archive"):
        open_archive(tmp_path / "nowhere")


def test_a_stored_series_reads_what_the_archive_reads_and_stops_at_a_gap(root):
    archive = open_archive(root)
    lesion = archive.lesions[0]
    key = lesion.key_slice_index
    series = stored_series(root / archive.source(lesion).image, key)
    slab = archive.slab(lesion, half_depth_mm=5)
    np.testing.assert_array_equal(series.key_slice(), slab.hu[slab.key_slice])
    for number in series.files:
        position = slab.grid.to_display_slice(number)
        if 0 <= position < len(slab.hu) and position not in slab.filled_slices:
            np.testing.assert_array_equal(series.read(number), slab.hu[position])
    numbers = list(series.files)
    assert numbers == list(range(numbers[0], numbers[-1] + 1))
    assert key in numbers


def test_a_file_of_no_layout_is_refused(tmp_path):
    with pytest.raises(ArchiveError, match=r"scan\.tiff"):
        stored_series(tmp_path / "scan.tiff", 3)


def test_a_further_layout_is_one_more_entry(root, tmp_path, monkeypatch):
    monkeypatch.setattr(archives, "_LAYOUTS", (*archives._LAYOUTS, f"{__name__}:ArrayLayout"))
    monkeypatch.setitem(sys.modules, __name__, SimpleNamespace(ArrayLayout=ArrayLayout))
    (tmp_path / "lesions.txt").write_text("one two")
    np.save(tmp_path / "scan.npy", VOLUME)
    assert open_archive(tmp_path).lesions == ["one", "two"]
    assert open_archive(root).root == root
    series = stored_series(tmp_path / "scan.npy", 1)
    np.testing.assert_array_equal(series.key_slice(), VOLUME[1])
    with pytest.raises(ArchiveError, match=r"DL_info\.csv.*or a folder with lesions\.txt"):
        open_archive(tmp_path / "nowhere")
