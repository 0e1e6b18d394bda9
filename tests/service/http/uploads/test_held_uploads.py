"""Held uploads: bounded in number, size and age."""

from __future__ import annotations

import numpy as np
import pytest

from retrieval.image import Slab
from service.http.uploads.held import (
    HeldUploads,
    HoldingLimits,
    UnknownUploadError,
    UploadTooLargeError,
)

SLAB_BYTES = 4 * 10 * 10


class Clock:
    def __init__(self):
        self.now = 0.0

    def __call__(self):
        return self.now


def slab(slices=1):
    return Slab(np.zeros((slices, 10, 10), np.float32), (1.0, 1.0), 1.0)


def holder(*, uploads=3, slabs=100, seconds=60.0):
    clock = Clock()
    return HeldUploads(HoldingLimits(uploads, slabs * SLAB_BYTES, seconds), clock=clock), clock


def test_what_is_held_comes_back_by_an_unguessable_id():
    held, _ = holder()
    first, second = slab(), slab()
    ids = [held.hold(first), held.hold(second)]
    assert held.get(ids[0]) is first
    assert held.get(ids[1]) is second
    assert all(len(bytes.fromhex(upload_id)) == 16 for upload_id in ids)
    assert ids[0] != ids[1]


def test_the_least_used_makes_room():
    held, _ = holder(uploads=2)
    first, second = held.hold(slab()), held.hold(slab())
    held.get(first)
    third = held.hold(slab())
    for kept in (first, third):
        held.get(kept)
    with pytest.raises(UnknownUploadError, match="/v1/uploads"):
        held.get(second)


def test_pixels_are_bounded_together_and_alone():
    held, _ = holder(slabs=3)
    first, second = held.hold(slab(2)), held.hold(slab(2))
    assert held.pixel_bytes == 2 * SLAB_BYTES
    with pytest.raises(UnknownUploadError):
        held.get(first)
    with pytest.raises(UploadTooLargeError):
        held.hold(slab(4))
    assert len(held.get(second).hu) == 2


def test_an_upload_expires_after_its_last_use():
    held, clock = holder(seconds=60)
    upload_id = held.hold(slab())
    for clock.now in (50.0, 100.0):
        held.get(upload_id)
    assert held.forget_expired() == 1
    clock.now = 161.0
    assert held.forget_expired() == 0
    assert held.pixel_bytes == 0
    with pytest.raises(UnknownUploadError):
        held.get(upload_id)


def test_dropped_is_gone():
    held, _ = holder()
    upload_id = held.hold(slab())
    held.drop(upload_id)
    for forget in (held.get, held.drop):
        with pytest.raises(UnknownUploadError):
            forget(upload_id)
