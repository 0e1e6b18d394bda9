"""The keyless default: a token for each start, and nothing that came through a proxy."""

from __future__ import annotations

import pytest

from service.commands.serve import _with_start_token
from service.http.guards.start_token import new_start_token
from service.http.settings import Settings

TOKEN = new_start_token()
CALLS = (
    ("GET", "/v1/lesions"),
    ("POST", "/v1/search"),
    ("DELETE", "/v1/lesions/abc"),
    ("GET", "/metrics"),
)


def follow_link(client, token=TOKEN):
    return client.get("/", params={"token": token}, follow_redirects=False)


def test_without_the_token_nothing_is_answered_but_the_page_and_its_health(guarded):
    client = guarded(start_token=TOKEN)
    for method, path in CALLS:
        refused = client.request(method, path)
        assert refused.status_code == 401, path
        assert refused.headers["content-type"] == "application/problem+json"
        assert "lesion-search serve" in refused.json()["detail"]
        assert TOKEN not in refused.text
    for path in ("/", "/healthz", "/web/page.js"):
        assert client.get(path).status_code == 200


def test_the_link_is_followed_once_and_the_page_carries_the_token_on(guarded):
    client = guarded(start_token=TOKEN)
    answer = follow_link(client)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = answer.headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie, "a browser's cookies do not give the token away"
    assert answer.headers["cache-control"] == "no-store"
    for method, path in CALLS:
        assert client.request(method, path).status_code == 200, path


@pytest.mark.parametrize("wrong", ["", "x", TOKEN[:-1], TOKEN + "x", "\ud800", "é"])
def test_a_wrong_token_opens_nothing(guarded, wrong):
    client = guarded(start_token=TOKEN)
    sent = wrong.encode("utf-8", "surrogatepass")
    assert follow_link(client, sent).status_code == 200
    for headers in (
        {b"Authorization": b"Bearer " + sent},
        {b"X-API-Key": sent},
        {b"Cookie": b"lesion_search_80=" + sent.replace(b"\xed", b"x")},
    ):
        assert client.get("/v1/lesions", headers=headers).status_code == 401
    assert not client.cookies


def test_programs_send_it_as_they_would_a_key(guarded):
    client = guarded(start_token=TOKEN)
    for headers in ({"Authorization": f"Bearer {TOKEN}"}, {"X-API-Key": TOKEN}):
        assert client.get("/v1/lesions", headers=headers).status_code == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example"},
        {"Origin": "http://testserver:9999"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
def test_another_sites_page_cannot_use_the_cookie(guarded, headers):
    """A browser sends the cookie to every port of a host: the origin is judged as well."""
    client = guarded(start_token=TOKEN)
    follow_link(client)
    for method, path in CALLS:
        assert client.request(method, path, headers=headers).status_code == 403, path


@pytest.mark.parametrize(
    "header",
    [
        {"Forwarded": "for=203.0.113.9"},
        {"X-Forwarded-For": "203.0.113.9"},
        {"X-Forwarded-Host": "search.example"},
        {"X-Forwarded-Proto": "https"},
        {"x-forwarded-anything": "1"},
        {"Via": "1.1 proxy"},
        {"X-Real-IP": "203.0.113.9"},
    ],
)
@pytest.mark.parametrize("settings", [{}, {"start_token": TOKEN}])
def test_what_came_through_a_proxy_is_refused_without_keys(guarded, header, settings):
    client = guarded(**settings)
    follow_link(client)
    for method, path in CALLS:
        refused = client.request(method, path, headers=header)
        assert refused.status_code == 403, path
        assert "--keys" in refused.json()["detail"]
    assert client.get("/healthz", headers=header).status_code == 200


def test_with_keys_a_proxy_may_pass_requests_on(guarded, tmp_path):
    from service.http.guards.keys import Role, add_key

    file = tmp_path / "keys.json"
    bearer = {"Authorization": f"Bearer {add_key(file, 'r', Role.READ)}"}
    client = guarded(keys=file, start_token=TOKEN)
    assert client.get("/v1/lesions", headers={**bearer, "Via": "1.1 proxy"}).status_code == 200
    as_key = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/v1/lesions", headers=as_key).status_code == 401, "keys alone count then"
    assert follow_link(client).status_code == 200


def test_serve_makes_a_token_unless_it_is_told_not_to(tmp_path):
    first = _with_start_token(Settings(index=tmp_path)).start_token
    second = _with_start_token(Settings(index=tmp_path)).start_token
    assert first != second
    assert len(first) >= 32
    given = _with_start_token(Settings(index=tmp_path, start_token="x" * 20))
    assert given.start_token == "x" * 20
    for opened in (Settings(index=tmp_path, token=False), Settings(index=tmp_path, keys=tmp_path)):
        assert _with_start_token(opened).start_token is None
    assert first not in repr(_with_start_token(Settings(index=tmp_path, start_token=first)))
