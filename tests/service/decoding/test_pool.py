"""Decoders as processes: limited, killed, replaced, and gone at the end."""

from __future__ import annotations

import io
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import psutil
import pytest

from service.decoding.decoder import DecoderBusyError, DecoderStorageError
from service.decoding.limits import DecodeLimits, UploadError
from service.decoding.pool import DecoderPool
from service.decoding.reading import UploadOptions
from tests.service import hostile as h

OPTIONS = UploadOptions(spacing_mm=(0.9, 0.9, 2.5))


@pytest.fixture(scope="module")
def pool():
    with DecoderPool(DecodeLimits(), size=1) as opened:
        yield opened


def decode(pool, content, options=OPTIONS):
    return pool.decode([io.BytesIO(content)], options).slab


def process_of(pool):
    (number,) = pool.process_ids()
    return psutil.Process(number)


def assert_honest_upload_is_right(pool):
    np.testing.assert_array_equal(decode(pool, h.png()).hu[0], h.plane())


def test_one_process_serves_many_uploads_and_imports_no_torch(pool):
    assert_honest_upload_is_right(pool)
    first = process_of(pool)
    for _ in range(5):
        assert_honest_upload_is_right(pool)
        with pytest.raises(UploadError, match="of no kind"):
            decode(pool, b"nothing")
    assert process_of(pool) == first
    mapped = Path(f"/proc/{first.pid}/maps").read_text()
    assert "torch" not in mapped
    assert "faiss" not in mapped
    assert first.memory_info().rss < 200 << 20


def test_the_process_is_confined(pool):
    assert_honest_upload_is_right(pool)
    limits = Path(f"/proc/{process_of(pool).pid}/limits").read_text()
    rows = {line[:26].strip(): line[26:].split() for line in limits.splitlines()}
    assert int(rows["Max address space"][0]) < 6 << 30
    assert rows["Max core file size"][:2] == ["0", "0"]
    assert rows["Max open files"][0] == "64"
    assert int(rows["Max file size"][0]) == 1 << 30
    assert int(rows["Max cpu time"][0]) < 100
    environment = process_of(pool).environ()
    assert not {name for name in environment if "LESION" in name or "KEY" in name}


def test_several_files_and_their_order(pool):
    files = [io.BytesIO(h.png(h.plane(n))) for n in (5, 3, 4)]
    slab = pool.decode(files, UploadOptions(2, (0.9, 0.8, 2.5))).slab
    np.testing.assert_array_equal(slab.hu, np.stack([h.plane(n) for n in (4, 3, 5)]))
    assert (slab.key_slice_index, slab.slice_numbers) == (2, range(1, 4))
    assert slab.spacing_mm_px == (0.9, 0.8)


def test_a_decoder_that_was_killed_while_idle_is_replaced(pool):
    assert_honest_upload_is_right(pool)
    killed = process_of(pool)
    killed.kill()
    killed.wait(10)
    assert_honest_upload_is_right(pool)
    assert process_of(pool) != killed


def test_a_decoder_that_hangs_is_killed_at_its_deadline():
    with DecoderPool(DecodeLimits(seconds=1.5), size=1) as pool:
        assert_honest_upload_is_right(pool)
        hanging = process_of(pool)
        hanging.suspend()
        start = time.monotonic()
        with pytest.raises(UploadError, match=r"more than 1\.5 s"):
            decode(pool, h.png())
        assert time.monotonic() - start < 15
        assert not hanging.is_running()
        assert_honest_upload_is_right(pool)


def test_a_decoder_that_dies_at_work_refuses_the_upload_alone(pool):
    assert_honest_upload_is_right(pool)
    dying = process_of(pool)
    dying.suspend()
    killing = threading.Timer(0.3, dying.kill)
    killing.start()
    with pytest.raises(UploadError, match="broke the decoder"):
        decode(pool, h.png())
    killing.join()
    assert_honest_upload_is_right(pool)


def test_memory_is_bounded():
    """100 MB of values need 400 MB and more on their way to HU; the decoder has 64."""
    limits = DecodeLimits(memory_bytes=64 << 20)
    volume = h.nifti(np.zeros((512, 512, 200), np.int16))
    with DecoderPool(limits, size=1) as pool:
        with pytest.raises(UploadError, match=r"memory|more than 64 MB"):
            decode(pool, volume, UploadOptions())
        assert_honest_upload_is_right(pool)


def test_no_more_uploads_are_decoded_at_once_than_there_are_decoders():
    with DecoderPool(DecodeLimits(seconds=5), size=1, wait_s=0.2) as pool:
        assert_honest_upload_is_right(pool)
        busy = process_of(pool)
        busy.suspend()
        waiting = threading.Thread(target=lambda: decode(pool, h.png()))
        waiting.start()
        try:
            time.sleep(0.3)
            with pytest.raises(DecoderBusyError, match="try again"):
                decode(pool, h.png())
        finally:
            busy.resume()
            waiting.join()
        assert_honest_upload_is_right(pool)


def test_closing_leaves_neither_process_nor_folder_nor_descriptor():
    before = set(os.listdir("/proc/self/fd"))
    pool = DecoderPool(DecodeLimits(), size=2)
    assert_honest_upload_is_right(pool)
    running = process_of(pool)
    folder = Path(running.cmdline()[-2])
    assert folder.is_dir()
    assert folder.stat().st_mode & 0o077 == 0
    pool.close()
    assert not running.is_running()
    assert not folder.exists()
    assert pool.process_ids() == ()
    assert set(os.listdir("/proc/self/fd")) == before
    with pytest.raises(DecoderBusyError):
        decode(pool, h.png())


def test_closing_ends_an_upload_that_is_being_decoded():
    pool = DecoderPool(DecodeLimits(), size=1)
    assert_honest_upload_is_right(pool)
    process_of(pool).suspend()
    refused = []

    def upload():
        with pytest.raises(UploadError) as caught:
            decode(pool, h.png())
        refused.append(caught)

    waiting = threading.Thread(target=upload)
    waiting.start()
    time.sleep(0.3)
    pool.close()
    waiting.join(10)
    assert len(refused) == 1
    assert pool.process_ids() == ()


SERVICE = """
import io, signal, sys, time
from service.decoding.limits import DecodeLimits
from service.decoding.pool import DecoderPool
from service.decoding.reading import UploadOptions
# A shell that starts jobs in the background hands down an ignored SIGINT.
signal.signal(signal.SIGINT, signal.default_int_handler)
pool = DecoderPool(DecodeLimits(), size=1)
pool.decode([io.BytesIO(sys.stdin.buffer.read())], UploadOptions(spacing_mm=(1, 1, 1)))
print(*pool.process_ids(), flush=True)
time.sleep(60)
"""


@pytest.mark.parametrize("ending", [signal.SIGKILL, signal.SIGINT])
def test_decoders_end_with_their_service_however_it_ends(ending):
    service = subprocess.Popen(
        [sys.executable, "-c", SERVICE],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    with service:
        service.stdin.write(h.png())
        service.stdin.close()
        decoder = psutil.Process(int(service.stdout.readline()))
        folder = Path(decoder.cmdline()[-2])
        assert folder.is_dir()
        service.send_signal(ending)
        service.wait(30)
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline and (decoder.is_running() or folder.exists()):
        time.sleep(0.05)
    assert not decoder.is_running()
    assert not folder.exists()


def test_a_full_disk_is_told_apart_from_a_bad_upload():
    """The kernel's bound on the decoder's files says what a full disk says."""
    small = DecodeLimits(max_inflated_bytes=2000, max_upload_bytes=2000, max_volume_bytes=2000)
    with DecoderPool(small, size=1) as pool:
        with pytest.raises(DecoderStorageError, match="no room"):
            pool.decode([io.BytesIO(h.png()), io.BytesIO(h.png())], OPTIONS)
        with pytest.raises(UploadError, match="of no kind"):
            pool.decode([io.BytesIO(b"x")], OPTIONS)
