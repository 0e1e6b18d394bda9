"""The HTTP session with a PACS: credentials, no redirects, no proxy, every answer bounded."""

from __future__ import annotations

import time
from typing import Any

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth

from service.pacs.settings import PacsSettings, PacsSettingsError

_CHUNK = 1 << 16


class AnswerTooLargeError(requests.RequestException):
    """An answer that does not end within the limit."""


class RedirectError(requests.RequestException):
    """An answer that sends us elsewhere: the operator named one host, and no other."""


class BearerAuth(AuthBase):
    """A token in the Authorization header."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        """The request with the header."""
        request.headers["Authorization"] = f"Bearer {self._token}"
        return request


class BoundedAdapter(HTTPAdapter):
    """Bounds an answer in bytes (after inflation) and seconds, and follows no redirect."""

    def __init__(self, max_bytes: int, max_seconds: float) -> None:
        super().__init__(max_retries=0)
        self._max, self._max_seconds = max_bytes, max_seconds

    def send(
        self, request: requests.PreparedRequest, *args: Any, **kwargs: Any
    ) -> requests.Response:
        """One request and its whole answer; arguments are those of ``requests``."""
        start = time.monotonic()
        path, mark, query = (request.url or "").partition("?")
        request.url = path + mark + _with_wildcards(query)
        response = super().send(request, *args, **{**kwargs, "stream": True})
        if response.is_redirect:
            response.close()
            raise RedirectError("the answer is a redirect")
        body = bytearray()
        with response:
            # Whatever has come, never waiting for a full chunk: a slow drip must meet the deadline.
            while chunk := _next_chunk(response):
                body += chunk
                if len(body) > self._max:
                    raise AnswerTooLargeError("the answer is too large")
                if time.monotonic() - start > self._max_seconds:
                    raise requests.Timeout("the answer does not end")
        # What requests itself keeps of an answer that was read whole.
        response._content = bytes(body)
        response._content_consumed = True
        return response


def _with_wildcards(query: str) -> str:
    """The query with its wildcards as they are: RFC 3986 allows both, and Orthanc decodes none."""
    return query.replace("%2A", "*").replace("%3F", "?")


def _next_chunk(response: requests.Response) -> bytes:
    try:
        chunk: bytes = response.raw.read1(_CHUNK, decode_content=True)
    except urllib3.exceptions.ReadTimeoutError as late:
        raise requests.Timeout("the answer stopped") from late
    except urllib3.exceptions.HTTPError as broken:
        raise requests.ConnectionError("the answer is broken off or damaged") from broken
    return chunk


def open_session(settings: PacsSettings) -> requests.Session:
    """A session with the operator's credentials; raises PacsSettingsError for half of them."""
    session = requests.Session()
    # Neither a proxy nor a .netrc of the environment: the PACS is the one host spoken to.
    session.trust_env = False
    if settings.ca_file is not None:
        session.verify = str(settings.ca_file)
    adapter = BoundedAdapter(settings.max_mb << 20, settings.answer_timeout_s)
    session.mount("http://", adapter)
    session.mount("https://", adapter)
    session.auth = _auth(settings)
    return session


def _auth(settings: PacsSettings) -> AuthBase | None:
    if settings.token is not None:
        if settings.user is not None or settings.password is not None:
            raise PacsSettingsError("the PACS has a token and a user: set one of the two")
        return BearerAuth(settings.token.get_secret_value())
    if (settings.user is None) != (settings.password is None):
        raise PacsSettingsError("the PACS needs both a user and a password, or a token")
    if settings.user is None or settings.password is None:
        return None
    secret = settings.password.get_secret_value()
    return HTTPBasicAuth(settings.user.encode(), secret.encode())
