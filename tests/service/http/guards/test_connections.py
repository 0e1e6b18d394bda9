"""Clients that do not read, do not write, or only connect: bounded in memory, places and time."""

from __future__ import annotations

import gc
import socket
import time
from contextlib import ExitStack, closing

import psutil
import pytest
from fastapi import Response

from service.http.guards.connections import RESERVED_DESCRIPTORS, connection_limits
from service.http.guards.keys import Role, add_key
from service.http.guards.sending import PIECE_BYTES, UnsentBytes
from service.http.settings import Settings
from tests.service.http.guards.conftest import guarded_app
from tests.service.http.guards.listening import free_port, head, listening, silent, status_of, until

MEGABYTE = 1 << 20
ANSWER_MB = 8
HEALTH_S = 0.1


def large_answer() -> Response:
    return Response(bytes(range(256)) * (ANSWER_MB * MEGABYTE // 256), media_type="text/plain")


@pytest.fixture
def serve():
    """Serves a guarded application with the settings; gives its port, server and state."""
    with ExitStack() as held:

        def start(**named):
            port = free_port()
            app = guarded_app(**named)
            app.add_api_route("/v1/large", large_answer, methods=["GET"])
            settings = Settings(index="unused", port=port, **named)
            return port, held.enter_context(listening(app, settings)), app.state

        yield start


def memory_mb() -> int:
    gc.collect()
    return psutil.Process().memory_info().rss >> 20


def health_s(port: int) -> float:
    start = time.perf_counter()
    assert status_of(port, "/healthz") == 200
    return time.perf_counter() - start


def test_clients_that_do_not_read_fill_no_memory(serve):
    """40 of them with 16 MB each took 647 MB and now 81; 180 with larger answers 6.5 GB."""
    port, _, state = serve(max_unsent_mb=32, send_idle_s=6)
    assert status_of(port, "/v1/large") == 200
    before = memory_mb()
    with ExitStack() as held:
        clients = [
            held.enter_context(closing(silent(port, head("GET", "/v1/large")))) for _ in range(60)
        ]
        assert until(lambda: state.places.taken == 4)
        waits = [health_s(port) for _ in range(20)]
        grown = memory_mb() - before
        assert status_of(port, "/v1/lesions") == 200, "small answers have room"
        assert status_of(port, "/v1/large") == 503
        statuses = sorted(client.recv(100).split(b" ")[1] for client in clients)
        assert statuses == [b"200"] * 4 + [b"503"] * 56
        assert grown < 160, "unsent answers alone would be 480 MB"
        assert sorted(waits)[-2] < HEALTH_S
        assert until(lambda: state.places.taken == 0), "who never reads is cut off"
    assert status_of(port, "/v1/large") == 200


def test_a_place_is_kept_until_the_answer_is_read(serve):
    port, _, state = serve(send_idle_s=20)
    with closing(silent(port, head("GET", "/v1/large", Connection="close"))) as client:
        assert until(lambda: state.places.taken == 1)
        time.sleep(0.3)
        assert state.places.taken == 1
        answer = bytearray()
        while chunk := client.recv(MEGABYTE):
            answer += chunk
        assert until(lambda: state.places.taken == 0, within_s=5)
    content = bytes(answer).split(b"\r\n\r\n", 1)[1]
    assert content == bytes(large_answer().body)


def test_a_slow_client_that_reads_is_served_and_one_that_trickles_is_not(serve):
    port, _, state = serve(send_idle_s=1, min_bytes_per_s=4 * MEGABYTE)
    with closing(silent(port, head("GET", "/v1/large"), buffer_bytes=MEGABYTE)) as client:
        received = 0
        while received < ANSWER_MB * MEGABYTE:
            chunk = client.recv(MEGABYTE // 4)
            assert chunk
            received += len(chunk)
            time.sleep(0.01)
    with closing(silent(port, head("GET", "/v1/large"))) as client:
        assert until(lambda: state.places.taken == 1)
        start = time.monotonic()
        while not is_reset(client):
            time.sleep(0.1)
        assert time.monotonic() - start < 8
    assert until(lambda: state.places.taken == 0)


def is_reset(client: socket.socket) -> bool:
    """Reads a little; whether the server has ended the connection, its own buffers with it."""
    try:
        return client.recv(2048) == b""
    except ConnectionError:
        return True


def test_one_key_with_slow_bodies_does_not_shut_out_another(serve, tmp_path):
    """64 connections of one key that sent a byte in 20 s shut everybody out."""
    keys = tmp_path / "keys.json"
    slow, other = (add_key(keys, name, Role.WRITE) for name in ("slow", "other"))
    port, _, state = serve(keys=keys, max_concurrent=8, body_idle_s=1, min_bytes_per_s=1000)
    post = head("POST", "/v1/search", Authorization=f"Bearer {slow}", Content_Length="100000")
    with ExitStack() as held:
        clients = [held.enter_context(closing(silent(port, post))) for _ in range(16)]
        assert until(lambda: state.places.taken == 2)
        bearer = {"Authorization": f"Bearer {other}"}
        assert [status_of(port, "/v1/lesions", **bearer) for _ in range(5)] == [200] * 5
        slow_bearer = {"Authorization": f"Bearer {slow}"}
        assert status_of(port, "/v1/lesions", **slow_bearer) == 429
        assert not state.places.are_all_taken
        start = time.monotonic()
        while state.places.taken and time.monotonic() - start < 10:
            for client in clients[:2]:
                drip(client)
            time.sleep(0.1)
        assert state.places.taken == 0, "a byte in 0.1 s is slower than the slowest rate"
        assert time.monotonic() - start < 5
    assert status_of(port, "/v1/lesions", **slow_bearer) == 200


def drip(client: socket.socket) -> None:
    """Sends one byte, if the server still listens."""
    try:
        client.sendall(b"x")
    except ConnectionError:
        return


def test_idle_connections_make_room_for_the_next(serve):
    port, server, _ = serve(max_connections=20)
    with ExitStack() as held:
        idle = [held.enter_context(closing(silent(port, b""))) for _ in range(100)]
        assert status_of(port, "/v1/lesions") == 200
        assert until(lambda: len(server.server_state.connections) <= 20)
        closed = [client for client in idle[:70] if is_closed(client)]
        assert len(closed) == 70, "those that were idle for longest went first"


def test_connections_that_are_all_at_work_are_kept_and_the_next_is_told(serve):
    port, _, state = serve(max_connections=6, send_idle_s=20)
    with ExitStack() as held:
        for _ in range(6):
            held.enter_context(closing(silent(port, head("GET", "/v1/large"))))
        assert until(lambda: state.places.taken == 6)
        with closing(silent(port, head("GET", "/healthz"))) as client:
            answer = client.recv(4096)
        assert answer.startswith(b"HTTP/1.1 503 ")
        assert b"every connection is in use" in answer
        assert state.places.taken == 6


@pytest.mark.parametrize("sent", [b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\nX"])
def test_a_head_that_does_not_come_is_not_waited_for(serve, sent):
    port, server, _ = serve(head_s=0.5)
    with closing(silent(port, sent)) as client:
        start = time.monotonic()
        for _ in range(100):
            if is_closed(client):
                break
            drip(client)
            time.sleep(0.05)
        assert is_closed(client)
        assert 0.3 < time.monotonic() - start < 4
    assert until(lambda: not server.server_state.connections)


def test_requests_one_after_another_on_one_connection(serve):
    port, _, _ = serve(head_s=0.5)
    with closing(silent(port, head("GET", "/healthz") * 3)) as client:
        answers = b""
        while answers.count(b'{"through":true}') < 3:
            chunk = client.recv(4096)
            assert chunk
            answers += chunk
        client.sendall(head("GET", "/healthz", Connection="close"))
        assert b'{"through":true}' in client.recv(4096)


def is_closed(client: socket.socket) -> bool:
    client.settimeout(0.2)
    try:
        return client.recv(65536) == b""
    except TimeoutError:
        return False
    except ConnectionError:
        return True


def test_descriptors_are_kept_in_reserve():
    limits = connection_limits(Settings(index="unused", max_connections=10_000_000))
    assert limits.most > 0
    assert connection_limits(Settings(index="unused", max_connections=50)).most == 50
    assert RESERVED_DESCRIPTORS >= 128


def test_small_answers_always_have_room():
    unsent = UnsentBytes(MEGABYTE)
    assert unsent.take(MEGABYTE)
    assert not unsent.take(PIECE_BYTES + 1)
    assert unsent.take(PIECE_BYTES)
    unsent.give_back(MEGABYTE)
    assert unsent.take(MEGABYTE // 2)
