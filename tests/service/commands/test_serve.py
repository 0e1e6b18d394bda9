"""The service as a process: it answers on the loopback address and ends on Ctrl-C."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import socket
import subprocess
import sys
import time
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

from service.cli import main
from service.http.settings import GPU_BATCH_PATCHES, Settings


def test_serve_answers_until_it_is_interrupted(built_index, encoder_file, archive):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["serve", "--index", built_index, "--encoder", encoder_file, "--port", port]
    command = [sys.executable, "-m", "service.cli", *(str(word) for word in words)]
    service = subprocess.Popen(command, stderr=subprocess.PIPE, text=True)
    try:
        health = wait_for(f"http://127.0.0.1:{port}/readyz", service)
        assert health == {"status": "ready", "lesions": len(archive.lesions)}
        started = map(json.loads, service.stderr)
        link = next(line["link"] for line in started if "link" in line)
        token = link.partition("?token=")[2]
        lesions = f"http://127.0.0.1:{port}/v1/lesions"
        with pytest.raises(HTTPError, match="401"):
            urlopen(lesions, timeout=30)
        asked = Request(lesions, headers={"Authorization": f"Bearer {token}"})
        with urlopen(asked, timeout=30) as answer:
            assert answer.status == 200
        service.send_signal(signal.SIGINT)
        _, said = service.communicate(timeout=30)
    finally:
        service.kill()
    assert service.returncode == 0
    assert f"http://127.0.0.1:{port}/?token=" in link
    assert token not in said, "the log does not repeat it"
    assert "Traceback" not in said


def test_serve_speaks_words_on_a_terminal(built_index, encoder_file):
    """At once where it will be, and when it is ready; no JSON, and nothing of the libraries."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    words = ["serve", "--index", built_index, "--encoder", encoder_file, "--port", port]
    command = [sys.executable, "-m", "service.cli", *(str(word) for word in words)]
    reader, writer = pty.openpty()
    service = subprocess.Popen(command, stderr=writer)
    os.close(writer)
    said = b""
    try:
        while b"ready" not in said:
            said += os.read(reader, 4096)
    finally:
        service.terminate()
        service.wait(30)
        os.close(reader)
    first, link, index, *others, ready = said.decode().splitlines()
    assert all(re.match(r"\d\d:\d\d:\d\d  warning: ", line) for line in others)
    assert first == f"Lesion Search on http://127.0.0.1:{port} (Ctrl-C ends it)"
    assert link.startswith(f"open http://127.0.0.1:{port}/?token=")
    assert index == f"opening {built_index} ..."
    assert re.fullmatch(r"\d\d:\d\d:\d\d  ready \(lesions \d+\)", ready)


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--host", "0.0.0.0"], "keys add"),
        (["--host", "0.0.0.0", "--keys", "none.json"], "none.json"),
        (["--certificate", "none.pem"], "none.pem"),
    ],
)
def test_serve_refuses_what_would_not_be_safe(options, said, tmp_path, monkeypatch, capsys):
    """At once and in one line: not even the index is looked at."""
    monkeypatch.chdir(tmp_path)
    assert main(["serve", "--index", "no-index", *options]) == 2
    captured = capsys.readouterr()
    assert said in captured.err
    assert len(captured.err.splitlines()) == 1


def wait_for(url: str, service: subprocess.Popen[str]) -> dict[str, object]:
    deadline = time.monotonic() + 90
    while time.monotonic() < deadline:
        assert service.poll() is None, service.communicate()[1]
        try:
            with urlopen(url, timeout=5) as answer:
                return dict(json.load(answer))
        except URLError:
            time.sleep(0.2)
    raise AssertionError("the service did not become ready")


@pytest.mark.parametrize("device", ["cuda", "tpu"])
def test_a_device_that_is_not_there_is_one_line(device, built_index, monkeypatch, capsys):
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    monkeypatch.setenv("LESION_SEARCH_DEVICE", device)
    assert main(["serve", "--index", str(built_index), "--port", "8765"]) == 2
    assert f"device '{device}'" in capsys.readouterr().err


def test_patches_are_put_together_on_a_gpu_alone(tmp_path):
    sizes = {
        Settings(index=tmp_path, **given).most_batch_patches: given
        for given in ({}, {"device": "cuda"}, {"device": "cuda", "batch_patches": 4})
    }
    assert list(sizes) == [1, GPU_BATCH_PATCHES, 4]
