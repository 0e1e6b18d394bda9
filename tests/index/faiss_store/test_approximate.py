"""The approximate form: chosen by the rule, measured, filtered without a leak, kept in step."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from index.errors import StoreError
from index.faiss_store import approximate, exact
from index.faiss_store.approximate import choose
from index.filters.lesion_filter import LesionFilter
from index.lesion_index import LesionIndex
from index.reports import ApproximateKind

COUNT = 900


@pytest.fixture(scope="module")
def many(samples):
    return samples.records(COUNT)


@pytest.fixture(scope="module", params=list(ApproximateKind))
def built(request, tmp_path_factory, samples, many) -> Path:
    folder = tmp_path_factory.mktemp("built") / "index"
    with LesionIndex.create(folder, samples.binding) as made:
        made.add(many)
        assert made.build_approximate(request.param)["kind"] == request.param
    return folder


@pytest.fixture
def index(built: Path, tmp_path: Path):
    shutil.copytree(built, tmp_path / "index")
    with LesionIndex.open(tmp_path / "index") as opened:
        yield opened


def recall(index: LesionIndex, samples, **options) -> float:
    """Recall@10 of the approximate form against the exact one."""
    shares = []
    for query in samples.unit_vectors(30, seed=11):
        right = {hit.lesion.lesion_id for hit in index.search(query, **options)}
        hits = index.search(query, approximate=True, **options)
        assert len(hits) == len(right)
        shares.append(len(right & {hit.lesion.lesion_id for hit in hits}) / len(right))
    return float(np.mean(shares))


def test_the_rule():
    mib = 1 << 20
    assert choose(1_000_000, dimension=256, memory_bytes=4096 * mib) == "hnsw"
    assert choose(1_000_000, dimension=256, memory_bytes=512 * mib) == "ivf"
    assert choose(3_000_000, dimension=256, memory_bytes=16384 * mib) == "ivf"
    with pytest.raises(StoreError, match="needs 251 MiB, 100 MiB are free"):
        choose(1_000_000, dimension=256, memory_bytes=100 * mib)
    assert approximate.free_memory() > 0


def test_its_recall_is_measured_and_told(index, samples):
    facts = index.info().store["approximate"]
    assert facts["lesions"] == COUNT
    assert facts["recall_at_10"] >= 0.95
    assert recall(index, samples) >= 0.95
    assert index.verify().sound


def test_similarities_are_the_exact_ones(index, many):
    vectors = {one.lesion.lesion_id: one.vector for one in many}
    query = many[17].vector
    for hit in index.search(query, k=20, approximate=True):
        wanted = float(vectors[hit.lesion.lesion_id] @ query)
        assert hit.similarity == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize(
    "text",
    ["patient=000004", "type=lung", "type!=lung", "long_mm>=20", "long_mm>=8 and split!=test"],
)
@pytest.mark.parametrize("overfetch", [0, 128])
def test_filters_never_leak(index, samples, text, overfetch, monkeypatch):
    monkeypatch.setattr(exact, "OVERFETCH_LIMIT", overfetch)
    monkeypatch.setattr(exact, "GATHER_LIMIT", 10)
    where = LesionFilter.parse(text)
    excluded = samples.record(33).lesion.lesion_id
    for query in samples.unit_vectors(20, seed=4):
        hits = index.search(query, k=15, where=where, exclude=[excluded], approximate=True)
        assert hits
        assert all(where.accepts(hit.lesion) for hit in hits)
        assert excluded not in {hit.lesion.lesion_id for hit in hits}
    if index.info().store["approximate"]["kind"] == ApproximateKind.HNSW:
        assert recall(index, samples, where=where) >= 0.9


def test_it_keeps_step_with_changes(index, samples, many):
    """Added lesions are found, removed ones never, through snapshots and openings."""
    gone = [one.lesion.lesion_id for one in many[::9]]
    new = [samples.record(COUNT + n) for n in range(40)]
    index.remove(gone)
    index.add(new)

    def check(opened: LesionIndex) -> None:
        for one in new:
            assert opened.search(one.vector, k=1, approximate=True)[0].lesion == one.lesion
        for one in many[::9]:
            hits = opened.search(one.vector, k=30, approximate=True)
            assert len(hits) == 30
            assert not {hit.lesion.lesion_id for hit in hits} & set(gone)
        assert recall(opened, samples) >= 0.9
        assert opened.verify().sound

    check(index)
    for _ in range(2):
        with LesionIndex.open(index.path, read_only=True) as again:
            check(again)
        index.snapshot()
        check(index)
        index.remove([new.pop().lesion.lesion_id])
    assert index.build_approximate(ApproximateKind.HNSW)["lesions"] == index.count()
    check(index)


def test_without_one_it_says_so(tmp_path: Path, samples):
    with LesionIndex.create(tmp_path / "index", samples.binding) as index:
        index.add(samples.records(5))
        with pytest.raises(StoreError, match="no approximate form"):
            index.search(samples.record(0).vector, approximate=True)
        with pytest.raises(StoreError, match="too few"):
            index.build_approximate()
        assert list(index.path.glob("*.faiss")) == []
        index.add(samples.records(60))
        assert index.build_approximate()["kind"] == ApproximateKind.HNSW
        index.drop_approximate()
        assert index.info().store["approximate"] is None
        assert len(list(index.path.glob("*.faiss"))) == 1
        assert index.verify().sound


@pytest.mark.parametrize("harm", ["approximate", "flat"])
def test_a_harmed_file_costs_only_the_approximate_form(index, samples, harm, caplog):
    index.remove([samples.record(3).lesion.lesion_id])
    index.snapshot()
    path = next(index.path.glob(f"{harm}-*.faiss"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 16
    path.write_bytes(content)
    query = samples.unit_vectors(1)[0]
    with LesionIndex.open(index.path, read_only=True) as opened:
        assert opened.search(query) == index.search(query)
        with pytest.raises(StoreError, match="no approximate form"):
            opened.search(query, approximate=True)
    assert "damaged" in caplog.text
