from __future__ import annotations

import gzip

import pytest

from tests.service import hostile as h
from tests.service.hostile_uploads.asking import ask, assert_honest_query_is_right


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"spacing": "nan,nan,nan"}, "spacing"),
        ({"spacing": "inf,1,1"}, "spacing"),
        ({"spacing": "-1,1,1"}, "spacing"),
        ({"spacing": "1,1,1e-300"}, "each from"),
        ({"spacing": "1e300,1e300,1"}, "each from"),
        ({"spacing": h.SPACING, "box": "nan,nan,nan,nan"}, ""),
        ({"spacing": h.SPACING, "box": "-inf,0,inf,10"}, ""),
        ({"spacing": h.SPACING, "box": "1e308,1e308,1.1e308,1.1e308"}, ""),
        ({"spacing": h.SPACING, "recist": "nan,0,0,0,0,0,0,0"}, ""),
        ({"spacing": h.SPACING, "k": "9" * 400}, ""),
        ({"spacing": h.SPACING, "key_slice_index": "9" * 30}, ""),
        ({"spacing": h.SPACING, "key_slice_index": "-9" + "9" * 3000}, ""),
        ({"spacing": h.SPACING, "patient_id": "\0"}, None),
        ({"spacing": h.SPACING, "where": "long_mm=1e999.."}, None),
    ],
)
def test_fields_of_an_honest_slice(client, expected, fields, words):
    """A refusal is told; what can be answered is."""
    answer = ask(client, h.png(), **{"box": h.BOX, **fields})
    if words is None:
        assert answer.status_code in {200, 422}
    else:
        assert answer.status_code in {200, 422} if words == "" else answer.status_code == 422
        assert words in answer.text
    assert_honest_query_is_right(client, expected)


def test_a_compressed_body_is_refused(client, expected):
    bomb = gzip.compress(bytes(12 << 20))
    headers = {"Content-Encoding": "gzip", "Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/search", content=bomb, headers=headers)
    assert answer.status_code == 415
    assert answer.headers["content-type"] == "application/problem+json"
    assert_honest_query_is_right(client, expected)


@pytest.mark.parametrize("length", [5 << 20, 2**63, 10**18])
def test_an_unbounded_content_length_is_refused(client, expected, length):
    headers = {
        "Content-Length": str(length),
        "Content-Type": "multipart/form-data; boundary=b",
    }
    answer = client.post("/v1/search", content=b"--b", headers=headers)
    assert answer.status_code in {400, 413}
    assert answer.headers["content-type"] == "application/problem+json"
    assert_honest_query_is_right(client, expected)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"--b",
        b"--b\r\n\r\n",
        b"--b\r\nContent-Disposition: form-data\r\n\r\nx\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; name="file"; filename="\xff"\r\n\r\nx\r\n--b--',
        b'--b\r\nContent-Disposition: form-data; name="\xed\xa0\x80"\r\n\r\nx\r\n--b--\r\n',
        b"--b\r\n" + b"X: " + b"y" * 200_000 + b"\r\n\r\n--b--",
        b'--b\r\nContent-Disposition: form-data; name="box"\r\n\r\n' + b"1" * 2_000_000,
        b"".join(
            b'--b\r\nContent-Disposition: form-data; name="a%d"\r\n\r\n\r\n' % n
            for n in range(3000)
        )
        + b"--b--\r\n",
    ],
    ids=["empty", "cut", "no headers", "no name", "bytes", "surrogate", "header", "field", "many"],
)
def test_a_broken_form_is_refused(client, expected, body):
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    answer = client.post("/v1/search", content=body, headers=headers)
    assert 400 <= answer.status_code < 500
    assert answer.headers["content-type"] == "application/problem+json"
    assert_honest_query_is_right(client, expected)
