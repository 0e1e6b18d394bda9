"""Texts that nobody would send on purpose: filters, half characters, charsets."""

from __future__ import annotations

import json

from numpy.random import Generator

from tests.service import hostile as h
from tests.service.http.fuzzing import FuzzReport, Send

_PIECES = (
    *("type", "tag", "patient", "long_mm", "date", "x", "split", "lesion_id", "no_such", "", "é"),
    *("=", "!=", ">=", "<=", "==", "=!", " ", "\t", "\n", "\x00", "..", ",", ";", "(", "*"),
    *('"', '\\"', "\\", "'", " and ", "and", "AND", " or ", "liver", "lung,liver", "test", "²"),
    *("3", "-1", "1e999", "nan", "inf", "10..30", "..", "2019-01-01", "9" * 50, "00000\u0661"),
)
_LONGEST = 40_000
_LONGEST_URL = 9_000
_HALVES = ("\\ud800", "\\udfff", "a\\ud83d", "\\udc00\\ud800", "\\u0000", "\\ud83d\\ude00")
_CHARSETS = ("utf-8", "UTF-8", "utf-7", "utf-16", "unicode_escape", "raw_unicode_escape", "idna")
_JSON_ROUTES = {
    "/v1/matches": ("lesion_a", "lesion_b", "decision"),
    "/v1/marks": ("patient_id", "study_id", "complete"),
    "/v1/dicomweb/search": ("series_instance_uid", "where", "box", "k"),
    "/v1/dicomweb/reports": ("series_instance_uid", "all_tracks"),
}
_FORM_FIELDS = ("lesion_id", "patient_id", "study_id", "where", "box", "vector", "upload_id", "k")


def some_filter(rng: Generator) -> str:
    """A text of the grammar's own pieces; one in five has one of them thousands of times."""
    pieces = [str(piece) for piece in rng.choice(_PIECES, int(rng.integers(1, 12)))]
    if rng.random() < 0.2:
        place = int(rng.integers(0, len(pieces)))
        piece = pieces[place] or " "
        pieces[place] = piece * (int(rng.integers(100, _LONGEST)) // len(piece))
    return "".join(pieces)


def fuzz_filters(send: Send, report: FuzzReport, *, count: int, rng: Generator) -> None:
    """Sends filters to every route that takes one."""
    for _ in range(count):
        where = some_filter(rng)
        route = str(rng.choice(["/v1/lesions", "/v1/map", "/v1/search"]))
        if route == "/v1/search":
            form = {"box": h.BOX, "spacing": h.SPACING, "where": where}
            answer = send("POST", route, files={"file": ("x", h.png())}, data=form)
        else:
            answer = send("GET", route, params={"where": where[:_LONGEST_URL]})
        report.note(f"{route} where {where[:60]!r} ({len(where)})", answer)


def fuzz_characters(send: Send, report: FuzzReport, *, count: int, rng: Generator) -> None:
    """Sends half characters in JSON, and forms in charsets that make such."""
    for _ in range(count):
        if rng.random() < 0.5:
            route = str(rng.choice(sorted(_JSON_ROUTES)))
            content = _some_json(_JSON_ROUTES[route], rng)
            headers = {"Content-Type": "application/json"}
        else:
            route = str(rng.choice(["/v1/search", "/v1/lesions", "/v1/uploads", "/v1/detect"]))
            content = _some_form(rng)
            charset = str(rng.choice(_CHARSETS))
            headers = {"Content-Type": f"multipart/form-data; boundary=part; charset={charset}"}
        answer = send("POST", route, content=content, headers=headers)
        report.note(f"{route} {content[:80]!r}", answer)


def _some_json(names: tuple[str, ...], rng: Generator) -> bytes:
    half = str(rng.choice(_HALVES))
    values = [f'"{half}"', "null", "[]", "1e999", '"x"', f'["{half}"]', "[" * 900 + "]" * 900]
    fields = [f'"{name}": {rng.choice(values)}' for name in names if rng.random() < 0.8]
    if rng.random() < 0.2:
        fields.append(f'"{half}": {json.dumps("x")}')
    return ("{" + ", ".join(fields) + "}").encode()


def _some_form(rng: Generator) -> bytes:
    parts = []
    for name in rng.choice(_FORM_FIELDS, int(rng.integers(1, 4))):
        half = str(rng.choice(_HALVES))
        value = [half.encode(), b"\xed\xa0\x80", b"+2AA-", b"\xff\xfe\x00\xd8", h.BOX.encode()]
        named = f'--part\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode()
        parts.append(named + value[int(rng.integers(0, len(value)))] + b"\r\n")
    return b"".join(parts) + b"--part--\r\n"
