"""Patches of concurrent queries embedded together; the gate they wait at."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from retrieval.image import Slab
from retrieval.lesion import Box
from retrieval.patch import Patch
from service.engine.search_engine import SearchEngine
from service.http.batching import BatchingEncoder, BatchingOptions
from service.http.gate import Gate
from service.http.settings import Settings
from service.http.state import ServiceState
from tests.service.detectors import FixedDetector
from tests.service.samples import ToyEncoder


class HeldEncoder(ToyEncoder):
    """Waits in its first batch until it is let go; remembers the size of each."""

    def __init__(self):
        super().__init__()
        self.batches = []
        self.entered = threading.Event()
        self.go_on = threading.Event()

    def embed(self, patches, *, batch_size=32):
        self.batches.append(len(patches))
        self.entered.set()
        assert self.go_on.wait(30)
        if any(patch.hu[0, 0, 0] == -1 for patch in patches):
            raise ArithmeticError("a bad patch")
        return super().embed(patches, batch_size=batch_size)


def patch_of(seed, *, bad=False):
    hu = np.random.default_rng(seed).normal(0, 100, (3, 32, 32)).astype(np.float32)
    if bad:
        hu[0, 0, 0] = -1
    return Patch(hu, Box(8, 8, 24, 24), 0)


def wait_until(condition):
    for _ in range(3000):
        if condition():
            return
        threading.Event().wait(0.01)
    raise AssertionError("it did not come about")


def embed_together(encoder, patches, options):
    """One query runs; the others come while it does. Answers or errors, in the patches' order."""
    batching = BatchingEncoder(encoder, options)

    def ask(patch):
        try:
            return batching.embed([patch]).vectors[0]
        except ArithmeticError as error:
            return error

    with ThreadPoolExecutor(len(patches)) as pool:
        first = pool.submit(ask, patches[0])
        assert encoder.entered.wait(30)
        others = [pool.submit(ask, patch) for patch in patches[1:]]
        wait_until(lambda: len(batching._queue) == len(others))
        encoder.go_on.set()
        return [future.result(30) for future in (first, *others)]


def test_a_lone_query_waits_for_nobody():
    sizes = []
    encoder = BatchingEncoder(ToyEncoder(), BatchingOptions(on_batch=sizes.append))
    patches = [patch_of(1), patch_of(2)]
    found = encoder.embed(patches)
    np.testing.assert_array_equal(found.vectors, ToyEncoder().embed(patches).vectors)
    assert found.locations.shape == (2, 3)
    assert sizes == [2]


def test_those_that_wait_are_embedded_together_and_each_gets_its_own():
    encoder = HeldEncoder()
    patches = [patch_of(seed) for seed in range(7)]
    found = embed_together(encoder, patches, BatchingOptions(max_patches=4))
    assert encoder.batches == [1, 4, 2]
    for patch, vector in zip(patches, found, strict=True):
        np.testing.assert_allclose(vector, ToyEncoder().embed([patch]).vectors[0], atol=1e-6)


def test_one_querys_bad_patch_fails_no_other():
    encoder = HeldEncoder()
    patches = [patch_of(0), patch_of(1), patch_of(2, bad=True), patch_of(3)]
    found = embed_together(encoder, patches, BatchingOptions())
    assert [isinstance(one, ArithmeticError) for one in found] == [False, False, True, False]
    assert encoder.batches[:2] == [1, 3]


def test_a_failed_query_leaves_the_lane_free():
    encoder = HeldEncoder()
    encoder.go_on.set()
    batching = BatchingEncoder(encoder, BatchingOptions())
    with pytest.raises(ArithmeticError):
        batching.embed([patch_of(0, bad=True)])
    assert batching.embed([patch_of(1)]).vectors.shape == (1, 256)


def test_batches_of_one_embed_each_query_alone():
    encoder = HeldEncoder()
    encoder.go_on.set()
    batching = BatchingEncoder(encoder, BatchingOptions(max_patches=1))
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda seed: batching.embed([patch_of(seed)]), range(8)))
    assert encoder.batches == [1] * 8


def test_who_waits_for_a_batch_gives_up_its_place():
    gate = Gate(1)
    encoder = HeldEncoder()
    options = BatchingOptions(waiting=gate.left)
    batching = BatchingEncoder(encoder, options)

    def ask(seed):
        with gate.held():
            return batching.embed([patch_of(seed)])

    with ThreadPoolExecutor(3) as pool:
        others = Gate(1)
        with others.held():
            assert (others.computing, others.waiting) == (1, 0)
        blocked = BatchingEncoder(encoder, BatchingOptions())
        first = pool.submit(blocked.embed, [patch_of(9)])
        assert encoder.entered.wait(30)
        batching._running = 1
        asked = [pool.submit(ask, seed) for seed in range(2)]
        wait_until(lambda: len(batching._queue) == 2)
        assert gate.computing == 0
        encoder.go_on.set()
        batching._hand_on()
        assert all(future.result(30).vectors.shape == (1, 256) for future in asked)
        first.result(30)
    assert (gate.computing, gate.waiting) == (0, 0)


def test_the_gate_lets_no_more_in_than_it_has_places():
    gate = Gate(2)
    seen = []
    lock = threading.Lock()

    def compute(_):
        with gate.held():
            with lock:
                seen.append(gate.computing)
            threading.Event().wait(0.005)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(compute, range(24)))
    assert max(seen) <= 2
    assert (gate.computing, gate.waiting) == (0, 0)


def test_the_gate_is_entered_once_by_a_thread_however_often_it_asks():
    gate = Gate(1)
    with gate.held(), gate.held():
        assert (gate.computing, gate.waiting) == (1, 0)
        with gate.left():
            assert gate.computing == 0
        assert gate.computing == 1
    assert (gate.computing, gate.waiting) == (0, 0)


def test_nobody_gives_up_a_place_that_it_does_not_hold():
    gate = Gate(1)
    with pytest.raises(RuntimeError, match="holds none"), gate.left():
        pass
    assert (gate.computing, gate.waiting) == (0, 0)


def test_a_search_that_waits_for_the_pacs_between_times_takes_a_place_only_to_compute(engine):
    """A search of the PACS holds no place of its own: only embedding and detecting take one."""
    encoder = HeldEncoder()
    settings = Settings(index=engine.index.path, workers=1)
    service = ServiceState(SearchEngine(encoder, engine.index), settings)
    gate, embed = service.gate, service.engine.encoder.embed
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(embed, [patch_of(1)])
        assert encoder.entered.wait(30)
        second = pool.submit(embed, [patch_of(2)])
        wait_until(lambda: gate.waiting == 1)
        assert gate.computing == 1
        encoder.go_on.set()
        assert first.result(30).vectors.shape == second.result(30).vectors.shape == (1, 256)
    assert (gate.computing, gate.waiting) == (0, 0)


def test_the_detector_of_a_service_takes_a_place_too(engine):
    class LookingDetector(FixedDetector):
        def detect(self, slab):
            seen.append(service.gate.computing)
            return super().detect(slab)

        def detect_slices(self, slab, positions):
            seen.append(service.gate.computing)
            return [() for _ in positions]

    seen = []
    settings = Settings(index=engine.index.path, workers=1)
    with_detector = SearchEngine(engine.encoder, engine.index, LookingDetector())
    service = ServiceState(with_detector, settings)
    slab = Slab(np.zeros((1, 8, 8), np.float32), (1.0, 1.0), 1.0)
    service.engine.detect(slab)
    service.engine.detector.detect_slices(slab, [0])
    assert seen == [1, 1]
    assert service.gate.computing == 0
