"""An index measured from its own pixels: as the engine measures, and resumed after a kill."""

from __future__ import annotations

import json
import shutil

import pytest

from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from index.measured import count_unmeasured, measures_added, packed_mask
from retrieval.segmentation.kept import KeptMask
from retrieval.sources.deeplesion.archive import DeepLesionArchive
from service.engine.measuring import measure_kept
from service.engine.search_engine import binding_of
from service.jobs.indexing import index_archive
from service.jobs.measuring import MeasuringOptions, measure_index
from tests.service.samples import ToyEncoder, write_archive

ONE_BY_ONE = MeasuringOptions(readers=2, commit_every=1)


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    root = tmp_path_factory.mktemp("small")
    write_archive(root, patients=1)
    return DeepLesionArchive.open(root)


@pytest.fixture
def index(tmp_path, small):
    copied = DeepLesionArchive.open(shutil.copytree(small.root, tmp_path / "archive"))
    encoder = ToyEncoder()
    with LesionIndex.create(tmp_path / "index", binding_of(encoder)) as made:
        index_archive(copied, made, encoder)
        yield made


def test_every_lesion_is_measured_as_the_engine_does(index, small):
    counts = []
    report = measure_index(
        index, small, options=ONE_BY_ONE, progress=lambda *pair: counts.append(pair)
    )
    assert report.measured == index.count() == len(small.lesions) == counts[-1][1]
    assert counts[-1][0] == report.measured
    assert report.failed == []
    for lesion in small.lesions[:1]:
        slab = small.slab(lesion, half_depth_mm=2.5)
        expected = measure_kept(slab, lesion.box, small.recist(lesion))
        kept = index.get(lesion.lesion_id).lesion
        assert kept.measured.to_json() | {"mask": None} == expected.sizes.to_json()
        assert packed_mask(index, lesion.lesion_id) == expected.packed
        assert (kept.long_mm, kept.short_mm) == (lesion.long_mm, lesion.short_mm)
        mask = KeptMask.unpack(expected.packed)
        assert 0 <= mask.key < len(mask.mask) <= 3
    volumes = sorted(one.measured.volume_mm3.value for one in index.page("", 100))
    assert index.count(LesionFilter.parse(f"volume={volumes[1]}..")) == len(volumes) - 1
    assert index.verify().sound


def test_a_job_that_was_killed_goes_on_where_it_was(index, small):
    class Killed(BaseException):
        pass

    def kill(done, total):
        if done >= 2:
            raise Killed

    with pytest.raises(Killed):
        measure_index(index, options=ONE_BY_ONE, progress=kill)
    assert count_unmeasured(index) == index.count() - 2
    report = measure_index(index, options=ONE_BY_ONE)
    assert (report.already_there, report.measured) == (2, index.count() - 2)
    generation = index.generation
    assert measure_index(index).measured == 0
    assert index.generation == generation
    again = measure_index(index, options=MeasuringOptions(again=True))
    assert again.measured == index.count()
    assert index.generation == generation, "the same again is no change"


def test_a_lesion_whose_pixels_are_gone_is_named_and_tried_again(index, tmp_path):
    lesion = index.page("", 1)[0]
    source = index.get(lesion.lesion_id).source
    file = tmp_path / "archive" / source.image
    file.rename(tmp_path / "away.png")
    report = measure_index(index)
    assert [one.lesion_id for one in report.failed] == [lesion.lesion_id]
    assert "no longer where" in report.failed[0].reason
    (tmp_path / "away.png").rename(file)
    assert measure_index(index).measured == 1


def test_build_and_measure_on_the_command_line(run, small, encoder_file, tmp_path):
    folder = tmp_path / "index"
    build = ("index", "build", "--archive", small.root, "--out", folder, "--encoder", encoder_file)
    status, out, _ = run(*build, "--measure", "--json")
    document = json.loads(out)
    assert (status, document["added"]) == (0, len(small.lesions))
    assert document["measured"]["measured"] == len(small.lesions)
    status, out, _ = run(*build, "--measure", "--json")
    assert json.loads(out)["measured"]["already_there"] == len(small.lesions)
    status, out, _ = run("index", "measure", "--index", folder)
    assert status == 0
    assert "already there" in out
    with LesionIndex.open(folder, read_only=True) as opened:
        assert measures_added(opened)
        assert opened.count(LesionFilter.parse("volume=0..")) == len(small.lesions)
