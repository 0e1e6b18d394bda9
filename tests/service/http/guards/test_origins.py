"""What a browser may be made to do for somebody else's page."""

from __future__ import annotations

import pytest

from service.http.guards.keys import Role, add_key
from service.http.guards.origins import name_of

LOCAL = "http://127.0.0.1:8000"


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("127.0.0.1:8000", 200),
        ("localhost:9", 200),
        ("LOCALHOST", 200),
        ("[::1]:8000", 200),
        ("testserver", 200),
        ("evil.example", 421),
        ("evil.example:8000", 421),
        ("127.0.0.1.evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1@evil.example", 421),
        ("", 421),
        ("[::1", 421),
    ],
)
def test_a_name_turned_to_loopback_reaches_nothing(guarded, host, status):
    client = guarded()
    for path in ("/", "/v1/lesions"):
        answer = client.get(path, headers={"Host": host})
        assert answer.status_code == status, path
    if status == 421:
        assert answer.headers["content-type"] == "application/problem+json"


def test_further_names_are_a_setting(guarded):
    client = guarded(allowed_hosts=("lesions.hospital.example",))
    sent = {"Host": "lesions.hospital.example"}
    assert client.get("/v1/lesions", headers=sent).status_code == 200
    assert client.get("/v1/lesions", headers={"Host": "testserver"}).status_code == 421


def test_beyond_loopback_any_name_is_good_unless_some_are_named(guarded, tmp_path):
    file = tmp_path / "keys.json"
    sent = {"X-API-Key": add_key(file, "r", Role.READ), "Host": "a.example"}
    assert (
        guarded(host="0.0.0.0", keys=file, allowed_hosts=())
        .get("/v1/lesions", headers=sent)
        .is_success
    )
    named = guarded(host="0.0.0.0", keys=file, allowed_hosts=("b.example",))
    assert named.get("/v1/lesions", headers=sent).status_code == 421


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"Origin": LOCAL}, 200),
        ({"Origin": LOCAL, "Sec-Fetch-Site": "same-origin"}, 200),
        ({"Sec-Fetch-Site": "none"}, 200),
        ({"Origin": "https://evil.example"}, 403),
        ({"Origin": "https://evil.example", "Sec-Fetch-Site": "cross-site"}, 403),
        ({"Origin": "http://127.0.0.1:9999", "Sec-Fetch-Site": "same-site"}, 403),
        ({"Origin": "http://127.0.0.1:9999"}, 403),
        ({"Origin": "null"}, 403),
        ({"Origin": "http://[::1"}, 403),
        ({"Sec-Fetch-Site": "cross-site"}, 403),
    ],
)
def test_another_sites_page_changes_and_asks_nothing(guarded, headers, status):
    client = guarded(base_url=LOCAL)
    for method, path in (("POST", "/v1/matches"), ("GET", "/v1/lesions"), ("POST", "/v1/search")):
        assert client.request(method, path, headers=headers).status_code == status, path
    assert client.get("/", headers=headers).status_code == 200


def test_a_key_is_proof_enough(guarded, tmp_path):
    secret = add_key(tmp_path / "keys.json", "w", Role.WRITE)
    client = guarded(keys=tmp_path / "keys.json", base_url=LOCAL)
    headers = {"Origin": "https://proxy.example", "X-API-Key": secret}
    assert client.post("/v1/matches", headers=headers).status_code == 200
    assert client.post("/v1/matches", headers={"Origin": "https://a.example"}).status_code == 401


def test_no_origin_is_told_that_it_may_read_unless_it_is_named(guarded):
    origin = {"Origin": "https://viewer.example"}
    asked = {**origin, "Access-Control-Request-Method": "POST"}
    closed = guarded()
    for answer in (
        closed.get("/v1/lesions", headers=origin),
        closed.options("/v1/search", headers=asked),
    ):
        assert not [name for name in answer.headers if name.startswith("access-control")]
    opened = guarded(cors_origins=("https://viewer.example",))
    answer = opened.get("/v1/lesions", headers={**origin, "Sec-Fetch-Site": "cross-site"})
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == "https://viewer.example"
    assert "access-control-allow-credentials" not in answer.headers
    allowed = opened.options("/v1/search", headers=asked)
    assert allowed.status_code == 200
    assert "X-API-Key" in allowed.headers["access-control-allow-headers"]
    other = opened.get("/v1/lesions", headers={"Origin": "https://evil.example"})
    assert other.status_code == 403
    assert "access-control-allow-origin" not in other.headers


@pytest.mark.parametrize(
    ("host", "name"), [("a:1", "a"), ("[::1]:1", "::1"), ("A.b", "a.b"), ("a@b", "b"), ("", "")]
)
def test_the_name_in_a_host_header(host, name):
    assert name_of(host) == name
