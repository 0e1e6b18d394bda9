"""What goes between the service and a decoder, and what does not get through."""

from __future__ import annotations

import os
import socket
import struct
import threading

import numpy as np
import pytest

from service.decoding.decoder import Decoder
from service.decoding.limits import DecodeLimits
from service.decoding.wire import (
    WireError,
    open_shared_file,
    read_shared,
    receive_message,
    send_message,
    write_shared,
)


@pytest.fixture
def ends():
    one, other = socket.socketpair()
    with one, other:
        yield one, other


def test_a_message_arrives_as_it_was_sent(ends):
    document = {"sizes": [3], "spacing_mm": [0.5, float("inf"), 1], "words": "é\udcff"}
    send_message(ends[0], document, [b"abc"], 3)
    received, length = receive_message(ends[1])
    assert received == document
    assert length == 3
    assert ends[1].recv(9) == b"abc"


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"LSD1",
        b"EVIL" + bytes(12),
        struct.pack("!4sIQ", b"LSD1", 2**31, 0),
        struct.pack("!4sIQ", b"LSD1", 2, 0) + b"[]",
        struct.pack("!4sIQ", b"LSD1", 2, 0) + b"{x",
        struct.pack("!4sIQ", b"LSD1", 4, 0) + b"\xff\xff\xff\xff",
        struct.pack("!4sIQ", b"LSD1", 40, 0) + b"{}",
    ],
)
def test_what_is_no_message_is_refused(ends, sent):
    ends[0].sendall(sent)
    ends[0].close()
    with pytest.raises(WireError):
        receive_message(ends[1])


def test_a_payload_of_another_length_than_announced_is_noticed(ends):
    with pytest.raises(WireError, match="announced"):
        send_message(ends[0], {}, [b"abc"], 4)


def test_a_volume_through_the_shared_file():
    descriptor = open_shared_file()
    try:
        sent = np.random.default_rng(0).normal(size=(3, 40, 50)).astype(np.float32)
        received = np.empty_like(sent)
        for _ in range(2):
            write_shared(descriptor, sent.data.cast("B"))
            read_shared(descriptor, received.data.cast("B"))
            np.testing.assert_array_equal(received, sent)
            assert os.fstat(descriptor).st_size == 0
        write_shared(descriptor, sent[:2].data.cast("B"))
        with pytest.raises(WireError, match="shorter"):
            read_shared(descriptor, received.data.cast("B"))
    finally:
        os.close(descriptor)


SLAB = {
    "outcome": "slab",
    "shape": [1, 4, 4],
    "spacing_mm_px": [1, 1],
    "slice_interval_mm": 1,
    "key_slice": 0,
    "grid": {"axes": [0, 1, 2], "step": [1, 1, 1], "origin": [0, 0, 0]},
    "notes": [],
}


@pytest.mark.parametrize(
    "forged",
    [
        {"shape": [1, 4]},
        {"shape": [1, 4, -4]},
        {"shape": [0, 4, 4]},
        {"shape": [2, 4, 4]},
        {"shape": [2**20, 2**20, 2**20]},
        {"shape": "abc"},
        {"shape": [1e400, 1, 1]},
        {"shape": None},
        {"spacing_mm_px": [1, 0]},
        {"spacing_mm_px": [1]},
        {"slice_interval_mm": float("nan")},
        {"key_slice": 1},
        {"key_slice": "x"},
        {"grid": {}},
        {"grid": {"axes": [0, 1, 1], "step": [1, 1, 1], "origin": [0, 0, 0]}},
        {"grid": {"axes": [0, 1, 2], "step": [1, 2, 1], "origin": [0, 0, 0]}},
        {"grid": {"axes": [0, 1, 2], "step": [1, 1, 1], "origin": [0, 0]}},
        {"grid": {"axes": "abc", "step": [1, 1, 1], "origin": [0, 0, 0]}},
        {"notes": 5},
    ],
)
def test_a_decoder_that_was_taken_over_can_only_answer_with_a_volume(forged):
    """The answer is read as untrusted too: nothing but a Slab within the limits comes of it."""
    decoder = object.__new__(Decoder)
    decoder._limits = DecodeLimits(max_volume_bytes=1 << 20)
    decoder._volume_file = open_shared_file()
    try:
        write_shared(decoder._volume_file, np.ones((1, 4, 4), np.float32).data.cast("B"))
        assert decoder._receive_slab(SLAB).hu.sum() == 16
        write_shared(decoder._volume_file, np.ones((1, 4, 4), np.float32).data.cast("B"))
        with pytest.raises((WireError, ValueError)):
            decoder._receive_slab({**SLAB, **forged})
    finally:
        os.close(decoder._volume_file)


def test_large_messages_need_both_sides(ends):
    payload = bytes(range(256)) * 8192
    sending = threading.Thread(
        target=send_message, args=(ends[0], {"n": 1}, [payload], len(payload))
    )
    sending.start()
    _, length = receive_message(ends[1])
    received = b""
    while len(received) < length:
        received += ends[1].recv(1 << 16)
    sending.join()
    assert received == payload
