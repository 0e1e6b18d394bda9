"""Hostile uploads: each is a problem document in bounded time, and the service goes on.

The names of the cases say what is wrong; the words that must be answered show that it was found
for what it is, and not by accident.
"""

from __future__ import annotations

import time

from tests.service import hostile as h

BOUND_S = 25.0
"""No case may take longer: the decoder has 10 s, the rest is for a busy machine."""


def ask(client, *contents, **fields):
    """Sends files to the search, under names that lead out of every folder."""
    name = "file" if len(contents) == 1 else "files"
    files = [(name, ("../../../etc/cron.d/x", content)) for content in contents]
    return client.post("/v1/search", files=files, data={"box": h.BOX, **fields})


def assert_honest_query_is_right(client, expected):
    answer = ask(client, h.png(), spacing=h.SPACING)
    assert answer.status_code == 200, answer.text
    assert answer.json()["hits"] == expected


def assert_refused(client, expected, contents, words, **fields):
    start = time.monotonic()
    answer = ask(client, *contents, **fields)
    spent = time.monotonic() - start
    assert 400 <= answer.status_code < 500, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    detail = answer.json()["detail"]
    assert words in detail
    assert "/tmp" not in detail
    assert "lesion-search-" not in detail
    assert spent < BOUND_S
    assert_honest_query_is_right(client, expected)
