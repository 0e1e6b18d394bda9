"""Who may call what, and how often."""

from __future__ import annotations

import pytest

from service.http.app import create_app
from service.http.guards.access import is_open, role_for
from service.http.guards.install import ExposedServiceError
from service.http.guards.keys import KeyFileError, Role, add_key, revoke_key
from service.http.settings import Settings

OPEN = ("/", "/healthz", "/web/page.js")
READING = (
    ("GET", "/v1/lesions"),
    ("GET", "/metrics"),
    ("POST", "/v1/search"),
    ("POST", "/v1/uploads"),
    ("DELETE", "/v1/uploads/abc"),
)
WRITING = (
    ("POST", "/v1/lesions"),
    ("DELETE", "/v1/lesions/abc"),
    ("POST", "/v1/matches"),
    ("POST", "/v1/unheard-of"),
)


@pytest.fixture
def keys(tmp_path):
    """The file, a reader's secret and a writer's."""
    file = tmp_path / "keys.json"
    return file, add_key(file, "r", Role.READ), add_key(file, "w", Role.WRITE)


def bearer(secret):
    return {"Authorization": f"Bearer {secret}"}


def test_without_a_file_of_keys_nobody_is_asked(guarded):
    client = guarded()
    for method, path in (*READING, *WRITING):
        assert client.request(method, path).status_code == 200, path


def test_roles(guarded, keys):
    file, reader, writer = keys
    client = guarded(keys=file)
    for path in OPEN:
        assert client.get(path).status_code == 200
    for method, path in READING:
        assert client.request(method, path).status_code == 401, path
        assert client.request(method, path, headers=bearer(reader)).status_code == 200, path
        assert client.request(method, path, headers=bearer(writer)).status_code == 200, path
    for method, path in WRITING:
        assert client.request(method, path).status_code == 401, path
        assert client.request(method, path, headers=bearer(reader)).status_code == 403, path
        assert client.request(method, path, headers=bearer(writer)).status_code == 200, path


def test_every_route_of_the_service_asks_for_the_role_that_it_should():
    """Who adds a route that changes anything says here what it needs."""
    document = create_app(Settings(index="unused")).openapi()
    roles = {
        (method.upper(), path): role_for(method.upper(), path.replace("{", "").replace("}", ""))
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert {route for route, role in roles.items() if role is Role.WRITE} == {
        ("POST", "/v1/lesions"),
        ("DELETE", "/v1/lesions/{lesion_id}"),
        ("PUT", "/v1/lesions/{lesion_id}/tags"),
        ("POST", "/v1/marks"),
        ("POST", "/v1/matches"),
        ("POST", "/v1/dicomweb/reports"),
        ("POST", "/v1/dicomweb/uploads/report"),
        ("POST", "/v1/mining"),
        ("GET", "/v1/mining"),
        ("DELETE", "/v1/mining"),
        ("GET", "/v1/mining/marks"),
        ("GET", "/v1/mining/sheet.png"),
    }
    assert {path for _, path in roles if is_open(path)} == {"/healthz", "/readyz"}


@pytest.mark.parametrize(
    "path",
    ["/v1/nothing", "/openapi.json", "/web", "//v1/lesions", "/WEB/x", "/web%2f..%2fv1/lesions"],
)
def test_what_is_not_named_open_needs_a_key(guarded, keys, path):
    assert guarded(keys=keys[0]).get(path).status_code in {401, 404}
    if not path.startswith("/web%2f"):
        assert guarded(keys=keys[0]).get(path).status_code == 401


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": "Bearer"},
        {"Authorization": "Bearer "},
        {"Authorization": "Basic {reader}"},
        {"Authorization": "Bearer {reader}x"},
        {"Authorization": "{reader}"},
        {"X-API-Key": "lsk_"},
        {"Cookie": "key={reader}"},
    ],
)
def test_what_is_no_key_is_refused_as_a_problem(guarded, keys, headers):
    sent = {name: value.format(reader=keys[1]) for name, value in headers.items()}
    answer = guarded(keys=keys[0]).get("/v1/lesions", headers=sent)
    assert answer.status_code == 401
    assert answer.headers["www-authenticate"] == "Bearer"
    assert answer.headers["content-type"] == "application/problem+json"
    assert answer.json()["status"] == 401
    assert keys[1] not in answer.text


def test_both_headers_carry_a_key(guarded, keys):
    client = guarded(keys=keys[0])
    assert client.get("/v1/lesions", headers={"X-API-Key": keys[1]}).status_code == 200
    assert client.get("/v1/lesions", headers=bearer(keys[1])).status_code == 200
    assert client.get("/v1/lesions", headers={"Authorization": f"bearer {keys[1]}"}).is_success


def test_a_revoked_key_opens_nothing_from_the_next_request_on(guarded, keys):
    file, reader, writer = keys
    client = guarded(keys=file)
    assert client.get("/v1/lesions", headers=bearer(reader)).status_code == 200
    revoke_key(file, "r")
    assert client.get("/v1/lesions", headers=bearer(reader)).status_code == 401
    assert client.get("/v1/lesions", headers=bearer(writer)).status_code == 200


def test_a_file_that_has_gone_closes_the_service(guarded, keys):
    client = guarded(keys=keys[0])
    keys[0].unlink()
    answer = client.get("/v1/lesions", headers=bearer(keys[2]))
    assert answer.status_code == 503
    assert str(keys[0]) not in answer.text
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.168.1.9", "research.example"])
def test_beyond_loopback_there_is_no_service_without_keys(guarded, keys, tmp_path, host):
    with pytest.raises(ExposedServiceError, match="keys add"):
        guarded(host=host)
    with pytest.raises(KeyFileError):
        guarded(host=host, keys=tmp_path / "none.json")
    assert guarded(host=host, keys=keys[0]).get("/v1/lesions").status_code == 401


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.8.8.8"])
def test_on_loopback_there_is(guarded, host):
    assert guarded(host=host).get("/v1/lesions").status_code == 200


def test_a_client_that_asks_too_often_waits_and_no_other(guarded, keys):
    file, reader, writer = keys
    client = guarded(keys=file, requests_per_s=0.01, request_burst=3)
    for _ in range(3):
        assert client.get("/v1/lesions", headers=bearer(reader)).status_code == 200
    refused = client.get("/v1/lesions", headers=bearer(reader))
    assert refused.status_code == 429
    assert refused.headers["content-type"] == "application/problem+json"
    assert 90 <= int(refused.headers["retry-after"]) <= 100
    assert client.get("/v1/lesions", headers=bearer(writer)).status_code == 200
    assert client.get("/healthz").status_code == 200


def test_wrong_keys_are_counted_by_address(guarded, keys):
    client = guarded(keys=keys[0], requests_per_s=0.01, request_burst=3)
    statuses = [client.get("/v1/lesions", headers=bearer(f"lsk_{n}")).status_code for n in range(5)]
    assert statuses == [401, 401, 401, 429, 429]
    assert client.get("/v1/lesions", headers=bearer(keys[1])).status_code == 200


def test_loopback_without_keys_has_no_rate_unless_it_is_set(guarded):
    client = guarded(request_burst=2)
    assert {client.get("/v1/lesions").status_code for _ in range(9)} == {200}
    client = guarded(request_burst=2, requests_per_s=0.01)
    assert [client.get("/v1/lesions").status_code for _ in range(3)] == [200, 200, 429]
