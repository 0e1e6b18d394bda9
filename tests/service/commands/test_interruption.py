"""Ctrl-C and SIGTERM of commands that run long: one line, nothing left behind, and it goes on."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import stat
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import psutil
import pytest

from service.interruption import WORDS
from service.jobs.ray_cluster import _scratch_folder
from tests.service.samples import write_archive

LESIONS = 100 * 3
SIGNALS = [signal.SIGINT, signal.SIGTERM]


@pytest.fixture(scope="module")
def large_archive(tmp_path_factory):
    root = tmp_path_factory.mktemp("large")
    write_archive(root, patients=LESIONS // 3)
    return root


def start(*words):
    """A command in a process group of its own, as a terminal starts it."""
    return subprocess.Popen(
        [sys.executable, "-m", "service.cli", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        # A shell that starts jobs in the background hands down an ignored Ctrl-C.
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509
    )


def wait_for(condition, process, *, within_s=120.0):
    deadline = time.monotonic() + within_s
    while not condition():
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.05)


def interrupted(process, number):
    """Sends Ctrl-C to the whole group, or SIGTERM to the command; its status and words."""
    family = psutil.Process(process.pid).children(recursive=True)
    if number is signal.SIGINT:
        os.killpg(process.pid, number)
    else:
        process.send_signal(number)
    try:
        _, said = process.communicate(timeout=60)
    finally:
        process.kill()
    _, alive = psutil.wait_procs(family, timeout=20)
    assert alive == []
    return process.returncode, said


@pytest.mark.parametrize("number", SIGNALS)
def test_a_build_ends_in_one_line_and_goes_on(number, large_archive, encoder_file, tmp_path, run):
    out = tmp_path / "index"
    words = ["index", "build", "--archive", large_archive, "--encoder", encoder_file, "--out", out]
    process = start(*words)
    wait_for((out / "catalog.sqlite-wal").exists, process)
    time.sleep(0.5)
    assert interrupted(process, number) == (128 + number, WORDS)
    assert run(*words, "--json")[0] == 0
    status, answer, _ = run("index", "info", "--index", out, "--json")
    assert status == 0
    assert json.loads(answer)["lesions"] == LESIONS


@pytest.mark.parametrize("number", SIGNALS)
def test_processes_that_draw_phantoms_end_without_a_word(number, tmp_path):
    process = start("phantom", tmp_path / "p", "--patients", 400, "--workers", 2)
    wait_for(lambda: len(list((tmp_path / "p").rglob("*.png"))) > 3, process)
    assert interrupted(process, number) == (128 + number, WORDS)


def test_rays_folder_is_the_owners_alone_and_goes():
    """Ray makes its own 0777, and its processes write into it a moment longer than it says."""
    with _scratch_folder() as scratch:
        scratch.mkdir()
        scratch.chmod(0o777)
        outer = scratch.parent
        assert stat.S_IMODE(outer.stat().st_mode) == 0o700
        assert outer.name.startswith(f"lesion-ray-{os.getpid()}-")
        late = threading.Thread(target=write_on, args=(scratch,))
        late.start()
    late.join()
    assert not outer.exists()


def write_on(folder, seconds=1.0):
    """Files that appear while the folder is being removed."""
    deadline = time.monotonic() + seconds
    number = 0
    while time.monotonic() < deadline:
        number += 1
        with contextlib.suppress(OSError):
            (folder / f"{number}.log").write_text("late")


def test_what_a_killed_job_left_is_swept_by_the_next():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    gone = ended.pid
    left = Path(tempfile.mkdtemp(prefix=f"lesion-ray-{gone}-"))
    (left / "r").mkdir()
    running = Path(tempfile.mkdtemp(prefix=f"lesion-ray-{os.getppid()}-"))
    link = left.with_name(f"lesion-ray-{gone}-link")
    link.symlink_to(running)
    try:
        with _scratch_folder():
            assert not left.exists()
            assert running.exists(), "of a process that runs"
            assert link.is_symlink(), "a link is nobody's folder"
    finally:
        link.unlink()
        running.rmdir()


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_a_build_on_ray_ends_in_one_line(number, large_archive, encoder_file, tmp_path):
    pytest.importorskip("ray")
    out = tmp_path / "index"
    words = ["--archive", large_archive, "--encoder", encoder_file, "--out", out, "--ray", "local"]
    process = start("index", "build", *words)

    def folders():
        return list(Path(tempfile.gettempdir()).glob(f"lesion-ray-{process.pid}-*"))

    wait_for(lambda: list(out.glob("catalog.sqlite-wal")) and folders(), process)
    time.sleep(10)
    assert interrupted(process, number) == (128 + number, WORDS)
    assert folders() == []
