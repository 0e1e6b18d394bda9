"""Bodies that are compressed, too large, or never end; and too many requests at once."""

from __future__ import annotations

import gzip
import time

import anyio
import pytest

from service.http.guards.bodies import PLAIN_BYTES, BodyLimits, BodyPace
from service.http.guards.crowd import CrowdLimit, Places
from service.http.guards.headers import SECURITY_HEADERS

MEGABYTE = 1 << 20


@pytest.mark.parametrize("encoding", ["gzip", "GZIP", "deflate", "br", "zstd", "gzip, identity"])
def test_a_compressed_body_is_not_inflated(guarded, encoding):
    bomb = gzip.compress(bytes(8 * MEGABYTE))
    answer = guarded(max_body_mb=1).post(
        "/v1/search", content=bomb, headers={"Content-Encoding": encoding}
    )
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"


def test_a_plain_body_passes(guarded):
    headers = {"Content-Encoding": "identity"}
    answer = guarded(max_body_mb=1).post("/v1/search", content=bytes(MEGABYTE), headers=headers)
    assert answer.json() == {"bytes": MEGABYTE}


@pytest.mark.parametrize(
    ("declared", "status"),
    [
        (str(MEGABYTE + 1), 413),
        ("9" * 19, 413),
        ("9" * 40, 400),
        ("-1", 400),
        ("1e9", 400),
        ("0x10", 400),
        ("٣", 400),
        ("", 400),
    ],
)
def test_a_declared_length_is_judged_before_the_body(declared, status):
    asked = []

    async def receive():
        asked.append(True)
        return {"type": "http.request", "body": b""}

    limits = BodyLimits(never, max_bytes=MEGABYTE, pace=BodyPace(1, 1))
    headers = [(b"content-length", declared.encode("latin-1", "replace"))]
    assert status_of(limits, receive, headers) == status
    assert not asked


def test_a_body_without_a_length_is_counted(guarded):
    def chunks():
        for _ in range(40):
            yield bytes(MEGABYTE // 8)

    answer = guarded(max_body_mb=1).post("/v1/search", content=chunks())
    assert answer.status_code == 413


@pytest.mark.parametrize("kind", ["application/json", "application/x-www-form-urlencoded", ""])
def test_what_is_parsed_whole_is_small(guarded, kind):
    """A form of images may be large; 100 MB of JSON would stop the service while it is parsed."""
    client = guarded(max_body_mb=64)
    headers = {"Content-Type": kind}
    whole = client.post("/v1/search", content=bytes(PLAIN_BYTES), headers=headers)
    assert whole.json() == {"bytes": PLAIN_BYTES}
    more = client.post("/v1/search", content=bytes(PLAIN_BYTES + 1), headers=headers)
    assert more.status_code == 413
    form = {"Content-Type": "multipart/form-data; boundary=x"}
    large = client.post("/v1/search", content=bytes(2 * PLAIN_BYTES), headers=form)
    assert large.json() == {"bytes": 2 * PLAIN_BYTES}


def test_a_body_that_pauses_is_given_up():
    async def receive():
        await anyio.sleep(30)
        return {"type": "http.request", "body": b"", "more_body": True}

    async def app(scope, receive, send):
        from starlette.exceptions import HTTPException
        from starlette.responses import Response

        try:
            await receive()
        except HTTPException as given_up:
            await Response(status_code=given_up.status_code)(scope, receive, send)

    start = time.monotonic()
    assert status_of(BodyLimits(app, max_bytes=1, pace=BodyPace(0.05, 1)), receive, []) == 408
    assert time.monotonic() - start < 5


def test_a_body_that_trickles_is_given_up():
    """64 connections that sent a byte in 20 s each held every place for days."""
    pace = BodyPace(30, 4096)
    assert pace.patience_s(0, 0) == 30
    assert pace.patience_s(5, 29) == pytest.approx(1, abs=0.01)
    assert pace.patience_s(5, 100) == 0
    assert pace.patience_s(100 << 20, 3600) == 30
    assert pace.patience_s(4096 * 1000, 1025) == pytest.approx(5)


def test_waiting_for_the_client_to_leave_is_no_pause():
    async def receive():
        if bodies:
            return bodies.pop()
        await anyio.sleep(0.2)
        return {"type": "http.disconnect"}

    async def app(scope, receive, send):
        from starlette.responses import Response

        assert (await receive())["type"] == "http.request"
        assert (await receive())["type"] == "http.disconnect"
        await Response(status_code=204)(scope, receive, send)

    bodies = [{"type": "http.request", "body": b"x", "more_body": False}]
    assert status_of(BodyLimits(app, max_bytes=1, pace=BodyPace(0.05, 1)), receive, []) == 204


def test_more_requests_than_are_served_at_once_are_told_to_come_back():
    release = anyio.Event()
    statuses = []

    async def app(scope, receive, send):
        from starlette.responses import Response

        await release.wait()
        await Response(status_code=200)(scope, receive, send)

    limit = CrowdLimit(app, places=Places(3, per_client=3))

    async def ask(path):
        async def send(message):
            if message["type"] == "http.response.start":
                statuses.append((message["status"], dict(message["headers"])))

        await limit({"type": "http", "path": path, "method": "GET", "headers": []}, None, send)

    async def crowd():
        async with anyio.create_task_group() as group:
            for _ in range(3):
                group.start_soon(ask, "/v1/lesions")
            await anyio.wait_all_tasks_blocked()
            await ask("/v1/lesions")
            assert statuses[-1][0] == 503
            assert statuses[-1][1][b"retry-after"] == b"1"
            group.start_soon(ask, "/healthz")
            await anyio.wait_all_tasks_blocked()
            release.set()
        await ask("/v1/lesions")

    anyio.run(crowd)
    assert [status for status, _ in statuses] == [503, 200, 200, 200, 200, 200]


@pytest.mark.parametrize(
    ("method", "path", "headers", "status"),
    [
        ("GET", "/", {}, 200),
        ("GET", "/v1/lesions", {}, 200),
        ("GET", "/v1/nothing", {}, 404),
        ("PUT", "/v1/lesions", {}, 405),
        ("GET", "/v1/defect", {}, 500),
        ("POST", "/v1/search", {"Content-Encoding": "gzip"}, 415),
        ("GET", "/v1/lesions", {"Host": "evil.example"}, 421),
        ("GET", "/v1/lesions", {"Origin": "https://evil.example"}, 403),
    ],
)
def test_every_answer_carries_the_security_headers(guarded, method, path, headers, status):
    answer = guarded().request(method, path, headers=headers)
    assert answer.status_code == status
    for name, value in SECURITY_HEADERS.items():
        assert answer.headers[name] == value
        assert len(answer.headers.get_list(name)) == 1
    assert "server" not in answer.headers
    if path.startswith("/v1/"):
        assert answer.headers["cache-control"] == "no-store"
    if status >= 400:
        assert answer.headers["content-type"] == "application/problem+json"


async def never(scope, receive, send):
    raise AssertionError("the body's limits let it through")


def status_of(app, receive, headers):
    """The status that an ASGI application answers with."""
    statuses = []

    async def send(message):
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    scope = {"type": "http", "method": "POST", "path": "/v1/search", "headers": headers}
    anyio.run(app, scope, receive, send)
    return statuses[0]
