"""Shards, lost workers and refusals, with workers in this very process."""

from __future__ import annotations

import sys

import pytest

from retrieval.sources.deeplesion.archive import DeepLesionArchive
from service.cli import main
from service.jobs.bulk_embedding import BulkEmbeddingError, BulkOptions, index_archive_on_cluster
from service.jobs.ray_cluster import RayClusterError, connected
from tests.service.cluster.in_process import Calls, never
from tests.service.cluster.samples import assert_same
from tests.service.samples import write_archive


def test_shards_hold_each_lesion_once(archive, index, encoder_file, built_index):
    cluster, seen = Calls(never), []
    report = index_archive_on_cluster(
        archive, index, encoder_file, cluster=cluster, progress=lambda *step: seen.append(step)
    )
    total = len(archive.lesions)
    assert sorted(cluster.embedded) == sorted(lesion.lesion_id for lesion in archive.lesions)
    assert report.to_json() == {
        "added": total,
        "already_there": 0,
        "with_repeated_slices": 0,
        "doubtful_hu": 0,
        "failed": [],
        "workers": 2,
        "lost_workers": 0,
        "shards": 8,
        "retried_shards": 0,
    }
    assert seen[-1] == (total, total)
    assert len(cluster.shared) == 1
    assert cluster.stopped == {0, 1}
    assert_same(index, built_index)


def test_what_dead_workers_held_goes_to_others(archive, index, encoder_file, built_index):
    deaths = iter([False, True, False, True, True])
    cluster = Calls(lambda actor, method, _: method == "embed" and next(deaths, False))
    report = index_archive_on_cluster(archive, index, encoder_file, cluster=cluster)
    assert report.lost_workers == 3
    assert 3 <= report.retried_shards <= 6
    assert report.indexing.added == len(archive.lesions)
    assert len(cluster.embedded) == len(set(cluster.embedded)) == len(archive.lesions)
    assert len(cluster.workers) == 5
    assert cluster.stopped == set(range(5))
    assert_same(index, built_index)


def test_a_lesion_that_kills_every_worker_is_named(archive, index, encoder_file):
    """Its shard is left out after three workers; the shards that waited behind it are not."""
    deadly = archive.lesions[4].lesion_id
    cluster = Calls(lambda actor, method, given: method == "embed" and deadly in given[0])
    report = index_archive_on_cluster(archive, index, encoder_file, cluster=cluster)
    failed = {failure.lesion_id for failure in report.indexing.failed}
    assert deadly in failed
    assert len(failed) == 2
    assert "3 workers died" in report.indexing.failed[0].reason
    assert report.lost_workers == 3
    assert report.indexing.added == index.count() == len(archive.lesions) - 2
    again = index_archive_on_cluster(archive, index, encoder_file, cluster=Calls(never))
    assert (again.indexing.added, again.indexing.already_there) == (2, len(archive.lesions) - 2)


def test_a_second_run_asks_no_worker(archive, index, encoder_file):
    index_archive_on_cluster(archive, index, encoder_file, cluster=Calls(never))
    idle = Calls(never)
    report = index_archive_on_cluster(archive, index, encoder_file, cluster=idle)
    assert (report.indexing.added, report.indexing.already_there) == (0, len(archive.lesions))
    assert not idle.workers


def test_workers_that_die_before_they_are_ready_end_the_job(archive, index, encoder_file):
    cluster = Calls(lambda actor, method, _: method == "prepare")
    with pytest.raises(BulkEmbeddingError, match=r"die before they are ready.*actor \d was killed"):
        index_archive_on_cluster(archive, index, encoder_file, cluster=cluster)
    assert index.count() == 0
    assert cluster.stopped == set(range(len(cluster.workers)))


def test_a_cluster_without_a_worker_is_not_waited_for_without_end(archive, index, encoder_file):
    cluster = Calls(never)
    cluster.first_done = lambda asked, *, timeout_s: None
    with pytest.raises(BulkEmbeddingError, match="no worker of the cluster was ready for 600 s"):
        index_archive_on_cluster(archive, index, encoder_file, cluster=cluster)


def test_a_worker_that_sees_another_archive_or_encoder_is_refused(tmp_path, index, encoder_file):
    write_archive(tmp_path / "archive", patients=2)
    archive = DeepLesionArchive.open(tmp_path / "archive")
    table = tmp_path / "archive" / "DL_info.csv"

    def rewrite(actor, method, arguments) -> bool:
        table.write_text(table.read_text().replace("000002", "000003"))
        return False

    with pytest.raises(BulkEmbeddingError, match="is not the one the job was started with"):
        index_archive_on_cluster(archive, index, encoder_file, cluster=Calls(rewrite))
    cut = tmp_path / "cut.safetensors"
    cut.write_bytes(encoder_file.read_bytes()[:-8])
    with pytest.raises(BulkEmbeddingError, match="cannot be read"):
        index_archive_on_cluster(archive, index, cut, cluster=Calls(never))
    assert index.count() == 0


def test_a_lesion_without_its_image_keeps_nobody_out(tmp_path, index, encoder_file):
    write_archive(tmp_path / "archive", patients=2)
    archive = DeepLesionArchive.open(tmp_path / "archive")
    lost = archive.lesions[1]
    (archive.root / archive.source(lost).image).unlink()
    options = BulkOptions(workers=1, largest_shard=4)
    report = index_archive_on_cluster(
        archive, index, encoder_file, cluster=Calls(never), options=options
    )
    assert [failure.lesion_id for failure in report.indexing.failed] == [lost.lesion_id]
    assert "does not exist" in report.indexing.failed[0].reason
    assert index.count() == len(archive.lesions) - 1


# --- what can be wrong with the address ----------------------------------------------------------


@pytest.mark.parametrize(
    ("address", "said"),
    [
        ("127.0.0.1:1", "no Ray cluster answers at 127.0.0.1:1"),
        ("no-such-host.invalid:6379", "no Ray cluster answers"),
        ("127.0.0.1:99999", "no Ray cluster answers"),
        ("ray://127.0.0.1:10001", "no address of a cluster"),
        ("auto", "no address of a cluster"),
        ("", "no address of a cluster"),
    ],
)
def test_an_address_that_leads_nowhere_is_one_line(
    archive_folder, encoder_file, tmp_path, capsys, address, said
):
    options = ["--archive", archive_folder, "--encoder", encoder_file, "--ray", address]
    out = tmp_path / "index"
    assert main(["index", "build", *map(str, options), "--out", str(out)]) == 2
    line = capsys.readouterr().err
    assert said in line
    assert line.count("\n") == 1
    assert not out.exists()


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(RayClusterError, match=r"pip install 'lesion-search\[ray\]'"):
        connected("local").__enter__()
