"""A real service process: what it acknowledged survives a kill, and it ends in order."""

from __future__ import annotations

import json
import resource
import shutil
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager, suppress

import psutil
import pytest

from tests.service.serving import multipart, service_process


@pytest.fixture
def own_index(built_index, tmp_path):
    return shutil.copytree(built_index, tmp_path / "index")


@pytest.fixture
def form(archive):
    """A new lesion: the first one's slice under another patient."""
    lesion = archive.lesions[0]
    return {
        "file": (archive.root / archive.source(lesion).image).read_bytes(),
        "box": ",".join(str(edge) for edge in lesion.box.to_list()),
        "spacing": "0.9,0.9,2.5",
        "patient_id": "new",
        "study_id": "new_01",
    }


def test_what_was_acknowledged_survives_a_kill(own_index, encoder_file, archive, form, tmp_path):
    gone = archive.lesions[-1].lesion_id
    with service_process(own_index, encoder_file, tmp_path) as service:
        assert service.wait_until_ready()["lesions"] == len(archive.lesions)
        status, added = service.ask("POST", "/v1/lesions", form)
        assert status == 201, added
        assert service.ask("DELETE", f"/v1/lesions/{gone}")[0] == 204
        service.process.send_signal(signal.SIGKILL)
        assert service.process.wait(30) == -signal.SIGKILL
    with service_process(own_index, encoder_file, tmp_path) as service:
        assert service.wait_until_ready()["lesions"] == len(archive.lesions)
        path = f"/v1/lesions/{added['lesion_id']}"
        assert service.ask("GET", path) == (200, added)
        assert service.ask("GET", f"/v1/lesions/{gone}")[0] == 404
        query = {name: form[name] for name in ("file", "box", "spacing")}
        _, found = service.ask("POST", "/v1/search", {**query, "patient_id": "new", "k": 20})
        assert found["recognised"]["lesion_id"] == added["lesion_id"]
        assert gone not in [hit["lesion"]["lesion_id"] for hit in found["hits"]]
        assert service.ask("GET", f"{path}/slices")[1]["slices"] == 1
        finish_a_request_while_it_ends(service, query)


def finish_a_request_while_it_ends(service, query):
    """Half a request is sent, the service is told to end, then the rest: it is answered."""
    body, headers = multipart(query)
    lines = [
        "POST /v1/search HTTP/1.1",
        f"Host: 127.0.0.1:{service.port}",
        f"Content-Length: {len(body)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    head = "\r\n".join([*lines, "", ""]).encode()
    with socket.create_connection(("127.0.0.1", service.port), timeout=120) as connection:
        connection.sendall(head + body[: len(body) // 2])
        time.sleep(1.0)
        service.process.send_signal(signal.SIGTERM)
        time.sleep(1.0)
        assert service.process.poll() is None
        connection.sendall(body[len(body) // 2 :])
        answer = b""
        while chunk := connection.recv(1 << 16):
            answer += chunk
    assert answer.startswith(b"HTTP/1.1 200")
    assert service.process.wait(60) == 0
    lines = service.log.read_text().splitlines()
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    (search,) = [x for x in logged if x.get("route") == "/v1/search" and x["status"] == 200][1:]
    assert search["method"] == "POST"
    assert "Traceback" not in service.log.read_text()


def test_an_index_that_is_not_there_ends_the_service_in_one_line(tmp_path, encoder_file):
    words = ["serve", "--index", tmp_path / "none", "--encoder", encoder_file, "--port", "1999"]
    command = [sys.executable, "-m", "service.cli", *(str(word) for word in words)]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode == 2
    (line,) = [line for line in ended.stderr.splitlines() if line.startswith("error: ")]
    assert "none" in line
    assert "Traceback" not in ended.stderr


@contextmanager
def idle_connections(port, count):
    """Connections that say nothing; this process may open that many as well."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, max(soft, count + 500)), hard))
    try:
        with ExitStack() as held:
            for _ in range(count):
                held.enter_context(socket.create_connection(("127.0.0.1", port), timeout=30))
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_floods_of_headers_and_of_connections(own_index, encoder_file, archive, form, tmp_path):
    """1,100 idle connections at a limit of 1,024 descriptors: nobody else was served."""
    with service_process(own_index, encoder_file, tmp_path, descriptors=1024) as service:
        service.wait_until_ready()
        query = {name: form[name] for name in ("file", "box", "spacing")}
        with idle_connections(service.port, 1100):
            assert service.ask("GET", "/healthz")[0] == 200
            assert service.ask("GET", "/readyz")[0] == 200
            assert service.ask("POST", "/v1/search", query)[0] == 200
            assert service.ask("POST", "/v1/lesions", form)[0] == 201
            assert psutil.Process(service.process.pid).num_fds() < 900
        with socket.create_connection(("127.0.0.1", service.port), timeout=30) as stranger:
            stranger.sendall(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n")
            answer = b""
            with suppress(ConnectionError):
                for number in range(1000):
                    stranger.sendall(f"X-{number}: {'x' * 1000}\r\n".encode())
            with suppress(ConnectionError):
                answer = stranger.recv(4096)
        assert answer == b"" or answer.startswith(b"HTTP/1.1 400")
        assert service.ask("GET", "/healthz")[0] == 200
